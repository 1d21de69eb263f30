"""Whether a policy that was adapted, perhaps from one that was, may leave its run."""

import json
import shutil
from pathlib import Path

import pytest

from simreal.adapt.adapted_run import adapted_from, start_from
from simreal.files import digest
from simreal.run import Run
from simreal.run_verdict import BASE, VERDICT, reasons_against_export


def adapted(base: Run, path: Path) -> Run:
    """A run that begins from another's policy, and has learned nothing yet."""
    run = start_from(base, base.experiment(), 64, path, adapted=adapted_from("finetune", base))
    checkpoint = base.latest_checkpoint()
    run.checkpoints.mkdir(exist_ok=True)
    shutil.copyfile(checkpoint, run.checkpoints / checkpoint.name)
    return run


def passed(run: Run, against: Run | None = None) -> Run:
    """The same, as the gate leaves a policy that is not worse."""
    base = against or Run(run.path / BASE)
    verdict = {
        "passed": True,
        "reasons": [],
        "policy_sha256": digest(run.latest_checkpoint()),
        "base": base.path.name,
        "base_sha256": digest(base.latest_checkpoint()),
    }
    (run.path / VERDICT).write_text(json.dumps(verdict), "utf-8")
    return run


@pytest.mark.parametrize("judged", [True, False])
def test_all_that_a_policy_was_adapted_from_must_have_passed(
    run_and_policy: tuple[Path, Path], tmp_path: Path, judged: bool
) -> None:
    first = Run.open(run_and_policy[0])
    second = adapted(first, tmp_path / "second")
    if judged:
        passed(second)
    third = passed(adapted(second, tmp_path / "third"))
    fourth = passed(adapted(third, tmp_path / "fourth"))
    for run in (second, third, fourth):
        assert (reasons_against_export(run) == []) == judged
    if not judged:
        assert f"simreal gate {third.path / BASE} --against {first.path}" in "".join(
            reasons_against_export(third)
        )
        passed(Run(third.path / BASE), first)  # as that command finds
        assert reasons_against_export(third) == [] and reasons_against_export(fourth)


def test_a_verdict_of_an_older_version_is_to_be_made_again(
    run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    run = passed(adapted(Run.open(run_and_policy[0]), tmp_path / "run"))
    verdict = json.loads((run.path / VERDICT).read_text())
    del verdict["base_sha256"]
    (run.path / VERDICT).write_text(json.dumps(verdict))
    [reason] = reasons_against_export(run)
    assert "does not say base_sha256, as those of older versions" in reason
    assert reason.endswith(f"judge it again: simreal gate {run.path}")
    (run.path / VERDICT).write_text("[]")
    [reason] = reasons_against_export(run)
    assert reason == f"{run.path / VERDICT} cannot be read: judge it again: simreal gate {run.path}"
