"""What an adapted policy must pass before it leaves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.adapt.gate import Gate, in_worlds_of, judge, write_verdict
from simreal.adapt.gate_measures import Measure, Part
from simreal.adapt.gate_page import write_page
from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.export import export
from simreal.logs.robot_log import RobotLog
from simreal.run import Run
from simreal.run_verdict import reasons_against_export
from simreal.statistics import Interval

torch.set_num_threads(1)


def test_a_policy_is_not_worse_than_itself(base: Run, identified: Path, log: RobotLog) -> None:
    found = judge(base, base.path, [log], identified, episodes=64)
    assert found.passed
    assert [part.name for part in found.parts] == ["old worlds", "identified robot", "real states"]
    assert {part.verdict for part in found.parts} == {"not worse"}
    [missing] = found.not_judged
    assert missing.startswith("flights of both on the robot: 0 logs are of")


def test_logs_too_short_for_an_interval_judge_nothing(base: Run, log: RobotLog) -> None:
    whole = log.channels["joint_position"]
    log.channels["joint_position"] = replace(whole, time=whole.time[:250], values=whole.values[:250])
    found = judge(base, base.path, [log], episodes=8)
    assert [part.name for part in found.parts] == ["old worlds"]
    assert any("of which no interval can be told: at least 3 s" in each for each in found.not_judged)


def test_a_spoilt_policy_is_kept_back(adapted: Run, log: RobotLog, tmp_path: Path) -> None:
    path = adapted.latest_checkpoint()
    content = torch.load(path, weights_only=True)
    policy = content["parameters"]["policy"]
    policy["action_net.weight"] = 5.0 * torch.sign(policy["action_net.weight"])
    torch.save(content, path)
    assert "not compared" in reasons_against_export(adapted)[0]
    found = judge(adapted, logs=[log], episodes=32)
    assert not found.passed
    assert any(reason.startswith("real states") for reason in found.reasons)
    write_page(found, write_verdict(adapted, found).with_suffix(".html"))
    assert "kept back" in (adapted.path / "gate.html").read_text()
    runner = CliRunner()
    refused = runner.invoke(cli, ["export", str(adapted.path), "-o", str(tmp_path / "no.onnx")])
    assert isinstance(refused.exception, UserError)
    assert "real states" in str(refused.exception)
    assert not (tmp_path / "no.onnx").exists()
    forced = runner.invoke(
        cli, ["export", str(adapted.path), "-o", str(tmp_path / "yes.onnx"), "--force"]
    )
    assert forced.exit_code == 0
    assert (tmp_path / "yes.onnx").exists()
    export(Run.open(adapted.path / "base"), tmp_path / "base.onnx")


def test_the_gate_s_verdict_is_of_one_checkpoint(adapted: Run) -> None:
    found = judge(adapted, episodes=16)
    assert [each for each in found.not_judged if "no --log" in each]
    write_verdict(adapted, found)
    verdict = json.loads((adapted.path / "gate.json").read_text())
    assert verdict["passed"] == (reasons_against_export(adapted) == [])
    content = torch.load(adapted.latest_checkpoint(), weights_only=True)
    torch.save(content | {"wall_time": -1.0}, adapted.latest_checkpoint())
    assert "trained on since" in reasons_against_export(adapted)[0]


def test_a_policy_that_still_trains_is_not_judged(adapted: Run) -> None:
    """At first it is the base's own, which is not worse than itself."""
    with adapted.changing_facts() as facts:
        facts.finished, facts.total_steps = False, 512
    with pytest.raises(
        UserError,
        match=r"not finished: 128 of 512 steps; go on .* end there: .* -o train\.total_steps=128$",
    ):
        judge(adapted, episodes=16)
    assert not (adapted.path / "gate.json").exists()


def test_runs_that_are_not_adapted_need_no_gate(base: Run) -> None:
    assert reasons_against_export(base) == []


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (Interval(0.1, 0.01, 0.2), "better"),
        (Interval(0.0, -0.04, 0.04), "not worse"),
        (Interval(-0.02, -0.03, -0.01), "not worse"),
        (Interval(0.0, -0.2, 0.2), "undecided"),
        (Interval(-0.2, -0.3, -0.1), "worse"),
    ],
)
def test_verdicts_follow_from_the_interval_and_the_margin(gain: Interval, verdict: str) -> None:
    assert Measure("success", 0.0, 0.0, gain, 0.05).verdict == verdict


def test_both_are_judged_in_the_engine_of_the_base() -> None:
    """A policy that goes on in another one would be judged there, and its base here."""
    base, own = (load_experiment("qube_swingup", [f"engine={each}"]) for each in ("bullet", "mujoco"))
    assert isinstance(base, ExperimentConfig) and isinstance(own, ExperimentConfig)
    assert in_worlds_of(own, base).engine == "bullet"


def test_undecided_passes_no_gate() -> None:
    wide = Measure("success", 0.5, 0.5, Interval(0.0, -0.2, 0.2), 0.05)
    better = Measure("return", 1.0, 2.0, Interval(1.0, 0.5, 1.5), 0.05)
    part = Part("old worlds", "", (better, wide))
    assert not Gate("a", "", "b", "", 2, 0, (part,), (), {}).passed


@pytest.mark.parametrize(
    ("base", "adapted", "told"), [(0.11, 0.12, True), (0.11, 0.9, False), (0.9, 0.88, False)]
)
def test_no_worse_than_a_policy_that_fails_is_told_as_such(
    base: float, adapted: float, told: bool, tmp_path: Path
) -> None:
    success = Measure("success", base, adapted, Interval(0.01, -0.02, 0.03), 0.05)
    found = Gate("mine", "", "base", "", 64, 0, (Part("old worlds", "", (success,)),), (), {})
    said = [
        "old worlds: base succeeds in 11 % of the episodes, mine in 12 %: not to be worse than that "
        "says little"
    ]
    assert found.passed
    assert found.notes == said * told
    write_page(found, tmp_path / "gate.html")
    assert (said[0] in (tmp_path / "gate.html").read_text()) == told


def test_the_commands_lead_from_a_run_to_a_verdict(base: Run, identified: Path, tmp_path: Path) -> None:
    runner, new = CliRunner(), tmp_path / "cli"
    trained_on = runner.invoke(
        cli,
        [
            "finetune",
            str(base.path),
            "--randomization",
            str(identified),
            "--steps",
            "128",
            "--run",
            str(new),
        ],
    )
    assert trained_on.exit_code == 0, trained_on.output
    assert "simreal gate" in trained_on.output and "the policy that it began from" in trained_on.output
    judged = runner.invoke(cli, ["gate", str(new), "--episodes", "16", "--json"])
    assert judged.exit_code in (0, 1)
    assert judged.stderr.startswith("16 episodes x 2 policies x 2 worlds\n")
    verdict = json.loads((new / "gate.json").read_text())
    assert judged.exit_code == (0 if verdict["passed"] else 1)
    assert verdict["made_by"]["identified"]["file"] == "identified.yaml"


def passed(run: Run, against: Path | None = None) -> None:
    """A verdict that lets a policy leave, whatever its episodes say."""
    part = Part("old worlds", "", (Measure("success", 0.9, 0.9, Interval(0.0, -0.01, 0.01), 0.05),))
    write_verdict(run, replace(judge(run, against, episodes=2), parts=(part,)))


@pytest.mark.long
def test_a_verdict_against_another_policy_releases_nothing(adapted: Run, base: Run) -> None:
    passed(adapted, adapted.path)
    [reason] = reasons_against_export(adapted)
    assert reason.startswith("it was compared with adapted, not with the policy that it began from")
    passed(adapted)
    assert reasons_against_export(adapted) == []
    shutil.rmtree(adapted.path / "base")  # what has passed has passed, and whoever has the base may ask
    assert reasons_against_export(adapted) == []
    passed(adapted, base.path)
    assert reasons_against_export(adapted) == []


@pytest.mark.long
def test_what_goes_on_from_a_policy_that_may_not_leave_may_not_leave_either(
    adapted: Run, base: Run, identified: Path, tmp_path: Path
) -> None:
    """A worse policy that trains on for a step is not worse than itself."""
    again = start_finetuning(adapted, identified, steps=128, path=tmp_path / "again").run
    finetune(again)
    passed(again)
    [reason] = reasons_against_export(again)
    assert reason.startswith("base: it was adapted and not compared with its base policy yet")
    kept = Run.open(again.path / "base")
    passed(kept, base.path)
    assert reasons_against_export(again) == []


def test_a_base_policy_that_had_passed_can_be_brought_back(
    adapted: Run, identified: Path, tmp_path: Path
) -> None:
    passed(adapted)
    again = start_finetuning(adapted, identified, steps=128, path=tmp_path / "again").run
    assert reasons_against_export(Run.open(again.path / "base")) == []


@pytest.mark.parametrize(
    "change", [{"passed": True}, {"reasons": []}, {"reasons": None}, {"base_sha256": ""}]
)
def test_a_verdict_that_does_not_agree_with_itself_releases_nothing(
    change: dict[str, object], adapted: Run
) -> None:
    passed(adapted)
    verdict = adapted.path / "gate.json"
    content = json.loads(verdict.read_text()) | {"passed": False, "reasons": ["it is worse"]}
    verdict.write_text(json.dumps(content | change))
    assert reasons_against_export(adapted)


def test_what_is_undecided_says_how_many_episodes_would_tell() -> None:
    """Of policies that are as good, one in five was undecided among 256, and none among 1,024."""
    wide = Measure("return", 1.0, 1.0, Interval(0.01, -0.06, 0.08), 0.05)
    found = Gate("mine", "", "base", "", 256, 0, (Part("old worlds", "", (wide,)),), (), {})
    assert found.notes == ["256 episodes leave it undecided; some 1024 would tell: --episodes 1024"]
    worse = Measure("success", 0.9, 0.5, Interval(-0.4, -0.5, -0.3), 0.05)
    assert not replace(found, parts=(Part("old worlds", "", (wide, worse)),)).notes
    on_robot = Part("on the robot", "", (wide,))
    assert not replace(found, parts=(on_robot,)).notes
