"""What a benchmark costs: said before it begins, and corrected by what is done."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.transfer_bench.arms import ARMS
from simreal.transfer_bench.cost import ON_ROBOT, seconds_each, seconds_left
from simreal.transfer_bench.job import Job
from simreal.transfer_bench.jobs import jobs
from simreal.transfer_bench.results import Result
from simreal.transfer_bench.targets import TARGETS


def job(arm: str, target: str = "a", robot: str = "qube", steps: int = 1_200_000) -> Job:
    return Job(robot, target, arm, 0, steps, Path("folder"))


def result(arm: str, seconds: float, steps: int = 1_200_000) -> Result:
    return Result("qube", "a", arm, 0, steps, 8, 1.0, 0.5, 0.0, 0.0, 0, 0, "0" * 64, (), seconds)


def test_what_arms_share_is_paid_once() -> None:
    first, second = seconds_each([job("point"), job("posterior")], 10)
    assert first > second
    alone = seconds_each([job("posterior")], 10)
    assert alone == [first]
    other_target = seconds_each([job("point"), job("point", "c")], 10)
    assert second < other_target[1] < first
    tuned = seconds_each([job("posterior"), job("tuned")], 10)
    judging = seconds_each([job("posterior")] * 2, 10)[1]
    assert tuned == [first, pytest.approx(ON_ROBOT + judging)]
    both = seconds_each([job("posterior"), job("tuned"), job("tried")], 10)
    assert both[2] == pytest.approx(ON_ROBOT + judging)  # each of them flies for itself


def test_an_arm_that_meets_no_target_is_trained_once_for_all() -> None:
    once, judged = seconds_each([job("uniform"), job("uniform", "c")], 10)
    assert judged < 0.1 * once
    first, second = seconds_each([job("oracle"), job("oracle", "c")], 10)
    assert 0.9 * once < first < once + judged  # half of it is the policy to go on from,
    assert 0.4 * first < second < 0.6 * first  # which both share; the other half is not


def test_a_plan_of_many_seeds_reads_each_experiment_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def load(name: str) -> object:
        read.append(name)
        return load_experiment(name)

    for module in ("arms", "targets"):
        monkeypatch.setattr(f"simreal.transfer_bench.{module}.load_experiment", load)
    wanted = list(jobs(Path("folder"), ["qube"], list("abc"), list(ARMS), range(20), None))
    assert len(wanted) == 3 * 20 * len(ARMS)
    assert len(seconds_each(wanted, 10)) == len(wanted)
    assert len(read) <= 3 * len(ARMS)


def test_bullet_makes_its_oracle_dear() -> None:
    cheap, dear = seconds_each([job("oracle"), job("oracle", "b")], 10)
    assert dear > 5.0 * cheap


def test_what_is_done_corrects_the_estimate() -> None:
    wanted = [job("none"), job("uniform")]
    quiet, slower = seconds_left(wanted, [], 10)
    assert slower is None
    one = seconds_each(wanted, 10)[0]
    left, slower = seconds_left(wanted, [result("none", 3.0 * one)], 10)
    assert slower == pytest.approx(3.0)
    assert left == pytest.approx(3.0 * quiet / 2.0)
    # What was done with other steps is another benchmark's.
    assert seconds_left(wanted, [result("none", 3.0 * one, 100)], 10) == (quiet, None)


def test_each_robot_has_the_steps_of_its_experiment() -> None:
    wanted = jobs(Path("folder"), ["qube", "so101"], ["a"], ["none"], [0], None)
    assert [each.steps for each in wanted] == [1_200_000, 3_000_000]


def test_all_targets_of_a_robot_are_planned_unless_some_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(TARGETS["go2"], "d", TARGETS["go2"]["a"])
    found = {each.target for each in jobs(tmp_path, ["go2"], [], ["none"], [0], None)}
    assert found == {"a", "b", "c", "d"}
    assert {each.target for each in jobs(tmp_path, ["go2"], ["c"], ["none"], [0], None)} == {"c"}


def test_a_plan_runs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    options = ["transfer-benchmark", "--folder", str(folder), "--plan", "--seeds", "0"]
    found = CliRunner().invoke(cli, [*options, "--robot", "go2", "--target", "c"])
    assert found.exit_code == 0, found.output
    assert "8 jobs, about" in found.output
    assert "on quiet cores" in found.output
    assert "go2 has no arm automatic: no experiment go2_velocity_adr" in found.output
    assert not folder.exists()


def test_an_arm_that_no_robot_has_is_refused(tmp_path: Path) -> None:
    options = ["transfer-benchmark", "--folder", str(tmp_path), "--robot", "go2", "--arm"]
    for arm, message in (("automatic", "nothing to do"), ("uniforn", "no arm 'uniforn'")):
        found = CliRunner().invoke(cli, [*options, arm])
        assert isinstance(found.exception, UserError)
        assert message in str(found.exception)
