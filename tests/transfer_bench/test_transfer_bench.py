"""Hidden robots, jobs that are done once, and what many seeds come to."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from simreal.callbacks import Tell
from simreal.cli.main import cli
from simreal.cli.transfer_bench import read_seeds
from simreal.deploy.drivers.driver import DriverError
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.files import digest
from simreal.make_environment import make_environment
from simreal.randomization.distributions import Uniform
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior
from simreal.run import Run
from simreal.state import RobotCommand
from simreal.train import start_run
from simreal.transfer_bench import adapted_arms
from simreal.transfer_bench.adapted_arms import Adaptation
from simreal.transfer_bench.arms import make, missing
from simreal.transfer_bench.flights import excite
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.job import Job, Made
from simreal.transfer_bench.jobs import do
from simreal.transfer_bench.meetings import MEETINGS
from simreal.transfer_bench.page import rows, write_page
from simreal.transfer_bench.results import Result, add_result, results_in
from simreal.transfer_bench.tables import lines, mean_gap
from simreal.transfer_bench.targets import (
    BASES,
    TARGETS,
    base_experiment,
    find_target,
    target_experiment,
)
from simreal.transfer_bench.trainings import trained


def result(arm: str, seed: int, mean_return: float) -> Result:
    return Result("qube", "a", arm, seed, 100, 8, mean_return, 0.5, 0.0, 96.0, 12, 3, "0" * 64, (), 60.0)


@pytest.mark.parametrize("name", "abc")
@pytest.mark.parametrize("robot", TARGETS)
def test_every_target_moves(robot: str, name: str) -> None:
    if name == "b":
        pytest.importorskip("pybullet")
    env = make_environment(target_experiment(robot, find_target(robot, name)), 2, threads=1)
    env.reset(seed=0)
    for _ in range(5):
        step = env.step(np.full((2, env.action_size), 0.5))
    assert np.isfinite(step.observation).all()


@pytest.mark.parametrize("robot", TARGETS)
def test_latency_of_target_a_lies_beyond_what_training_knows(robot: str) -> None:
    _, latency = TARGETS[robot]["a"].parameters["action_latency_ms"]
    known = load_experiment(BASES[robot]).randomization["action_latency_ms"].distribution
    assert isinstance(known, Uniform)
    assert latency > 1.3 * known.high


def test_a_hidden_robot_moves_with_commands_alone() -> None:
    robot = HiddenRobot("qube", "c", 100.0)
    with robot:
        first = robot.restart(3).joint_position.copy()
        assert np.array_equal(robot.read().joint_position, first)
        for _ in range(30):
            robot.write(RobotCommand(np.array([3.0])))
        moved = robot.read()
        assert abs(moved.joint_position[0] - first[0]) > 0.05
        assert float(moved.time) == pytest.approx(0.3)
        again = robot.restart(3)
        assert np.array_equal(again.joint_position, first)
        assert (robot.seconds, robot.resets) == (pytest.approx(0.3), 2)
    with pytest.raises(DriverError):
        robot.write(RobotCommand(np.zeros(1)))


def test_an_excitation_is_a_recording_of_commands_and_measurements() -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    with HiddenRobot("qube", "a", 100.0) as robot:
        flight = excite(robot, contract, MEETINGS["qube"], 1.5, 0)
    recording = flight.recording
    assert recording.position.shape == (150, 2)
    assert recording.command.shape == (150, 1)
    assert np.ptp(recording.position[:, 0]) > 0.05
    assert not flight.fell


@pytest.mark.long
@pytest.mark.parametrize("arm", ["online", "recurrent"])
@pytest.mark.usefixtures("small")
def test_a_policy_that_remembers_is_trained_and_judged(arm: str, tmp_path: Path) -> None:
    job = Job("qube", "a", arm, 0, 1000, tmp_path)
    found = do(job, 4, lambda text: None)
    assert np.isfinite(found.mean_return)
    run = Run.open(job.target_free)
    assert run.steps_kept() >= 1000
    experiment = run.experiment()
    assert isinstance(experiment, ExperimentConfig)
    assert (experiment.adaptation == "rma") == (arm == "online")
    assert experiment.agent_config.discount == load_experiment("qube_swingup").ppo.discount
    assert do(job, 4, lambda text: None) == found  # which was not made again
    other = do(replace(job, target="c"), 4, lambda text: None)
    assert other.policy_sha256 == found.policy_sha256  # it met neither
    assert other.mean_return != found.mean_return


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_a_training_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    experiment = base_experiment("qube")
    whole = trained(3, tmp_path / "whole", experiment, 500, lambda text: None)
    killed = start_run(whole.experiment(), 3, tmp_path / "killed")
    killed.episodes.write_text(whole.episodes.read_text("utf-8")[:300], "utf-8")
    run = trained(3, killed.path, experiment, 500, lambda text: None)
    assert run.steps_kept() == whole.steps_kept() >= 500
    assert run.episodes.read_text("utf-8") == whole.episodes.read_text("utf-8")


@pytest.mark.usefixtures("small")
def test_a_training_that_is_broken_off_has_learned_what_the_whole_one_had_by_then(
    tmp_path: Path,
) -> None:
    experiment, told = base_experiment("qube"), []
    whole = trained(3, tmp_path / "whole", experiment, 512, print)
    half = trained(3, tmp_path / "half", experiment, 512, told.append, until=256)
    assert 256 <= half.steps_kept() < whole.steps_kept() and half.unfinished is None
    assert whole.episodes.read_text("utf-8").startswith(half.episodes.read_text("utf-8"))
    told.clear()
    trained(3, half.path, experiment, 512, told.append, until=256)
    assert not told  # it is not done again


def kept(path: Path, names: tuple[str, ...]) -> list[str]:
    """Leave of a run's folder what stood there when a process was killed as it made it."""
    for each in path.iterdir():
        if each.name not in names:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    for each in (path / "checkpoints").glob("*.pt"):
        each.unlink()
    return sorted(each.name for each in path.iterdir())


def meet_and_identify(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, coverage: float | None = None
) -> None:
    """As if a robot had been met for so long, and found to be heavier."""
    base = trained(0, folder / "base", base_experiment("qube"), 256, lambda text: None)
    heavier = PosteriorParameter(name="mass[arm]", unit="1", operation="scale", low=0.5, high=2.0)
    path = folder / "identified.yaml"
    samples = ((1.2,), (1.3,))
    write_posterior(
        path, Posterior(robot="qube", parameters=(heavier,), samples=samples, coverage=coverage)
    )
    found = Adaptation(base, [], path, seconds, 2, 0, 0)
    monkeypatch.setattr(adapted_arms, "adaptation", lambda job, tell: found)


STILLBORN = [
    ("config.yaml",),
    ("config.yaml", "run.json", "checkpoints", "contract.json", "worlds.yaml"),
]


@pytest.mark.parametrize("names", STILLBORN)
@pytest.mark.usefixtures("small")
def test_a_finetuning_that_was_killed_before_its_first_checkpoint_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    meet_and_identify(tmp_path, monkeypatch, 7.0)
    job = Job("qube", "a", "posterior", 0, 512, tmp_path)
    first = make(job, print).run
    whole = first.episodes.read_text("utf-8")
    assert kept(first.path, names) == sorted(names)
    again = make(job, print).run
    assert again.steps_kept() >= 256 and again.episodes.read_text("utf-8") == whole
    assert (again.path / "base" / "checkpoints").is_dir()
    told: list[str] = []
    assert make(job, told.append).run.path == again.path and not told  # nothing is done twice


@pytest.mark.long
@pytest.mark.parametrize("names", STILLBORN)
@pytest.mark.usefixtures("small")
def test_learning_on_the_robot_that_was_killed_before_it_began_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    simulated = trained(0, tmp_path / "simulated", base_experiment("qube"), 256, lambda text: None)
    before = Made(simulated, robot_seconds=297.0)
    monkeypatch.setattr("simreal.transfer_bench.adapted_arms.posterior", lambda job, tell: before)
    job = Job("qube", "a", "tuned", 0, 512, tmp_path)
    killed = start_run(simulated.experiment(), 0, job.path / "run")
    kept(killed.path, names)
    assert 297.0 < make(job, print).robot_seconds <= 300.0


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_a_policy_of_the_identified_posterior_learns_on_the_robot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("qpsolvers")
    meet_and_identify(tmp_path, monkeypatch, 296.0)
    job = Job("qube", "c", "tuned", 0, 512, tmp_path)
    found = do(job, 4, lambda text: None)
    assert 297.0 < found.robot_seconds <= 300.0 and np.isfinite(found.mean_return)
    posterior, tuned = (
        Run.open(tmp_path / "qube" / "c" / arm / "seed0" / "run") for arm in ("posterior", "tuned")
    )
    made = tuned.facts().adapted
    assert made is not None and made.base_sha256 == digest(posterior.latest_checkpoint())
    assert (tuned.path / "worlds.yaml").is_file()  # from which its worlds are drawn, wherever it goes
    write_page([found], tmp_path / "page.html")
    assert "learning on the robot" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("target", ["b", "c"])
@pytest.mark.usefixtures("small")
def test_the_oracle_goes_on_from_the_half_trained_policy_on_the_target_itself(
    tmp_path: Path, target: str
) -> None:
    if target == "b":
        pytest.importorskip("pybullet")
    job = Job("qube", target, "oracle", 0, 512, tmp_path)
    run = make(job, lambda text: None).run
    half = Run.open(tmp_path / "qube" / "base" / "seed0")
    assert half.steps_kept() >= 256 and run.steps_kept() >= 256
    kept_base = Run.open(run.path / "base").latest_checkpoint()
    before, after = (
        torch.load(path, weights_only=True)["parameters"]["policy"]["action_net.weight"]
        for path in (half.latest_checkpoint(), kept_base)
    )
    assert torch.equal(before, after)
    own, hidden = run.experiment(), target_experiment("qube", find_target("qube", target))
    assert isinstance(own, ExperimentConfig)
    assert (own.engine, own.randomization) == (hidden.engine, hidden.randomization)
    assert own.ppo.learning_rate < hidden.ppo.learning_rate  # where the schedule was broken off


def test_a_folder_in_which_somebody_trains_is_left_alone(tmp_path: Path) -> None:
    run = start_run(base_experiment("qube"), 0, tmp_path / "run")
    with run.lock(), pytest.raises(UserError, match="another process is training here"):
        trained(0, run.path, base_experiment("qube"), 256, print)
    assert (run.path / "config.yaml").is_file()


def test_another_target_or_robot_is_named() -> None:
    with pytest.raises(UserError, match="no target 'd'"):
        find_target("qube", "d")
    with pytest.raises(UserError, match="no targets for robot 'can_leg' yet"):
        find_target("can_leg", "a")
    with pytest.raises(UserError, match="no target 'x'"):
        HiddenRobot("qube", "x", 100.0).connect()


def test_the_gap_lies_between_no_randomization_and_the_oracle() -> None:
    arms = {"none": 0.0, "posterior": 75.0, "oracle": 100.0}
    found = lines([result(arm, seed, value) for arm, value in arms.items() for seed in range(5)])
    gaps = {each.arm: each.gap["mean_return"].value for each in found}
    assert gaps == {"none": 0.0, "posterior": 0.75, "oracle": 1.0}
    assert mean_gap(found, "posterior", "mean_return") == 0.75
    assert np.isnan(found[0].gap["success"].value)  # the oracle succeeds no more often


def test_interquartile_means_leave_out_a_seed_that_failed() -> None:
    values = [-1000.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 1000.0]
    (line,) = lines([result("uniform", seed, value) for seed, value in enumerate(values)])
    assert line.measures["mean_return"].value == 10.0
    assert line.measures["mean_return"].low < 10.0


def test_a_single_seed_has_no_interval() -> None:
    found = lines([result(arm, 0, value) for arm, value in (("none", 1.0), ("oracle", 9.0))])
    measure, gap = found[1].measures["mean_return"], found[1].gap["mean_return"]
    assert (measure.value, gap.value) == (9.0, 1.0)
    assert all(np.isnan([measure.low, measure.high, gap.low, gap.high]))
    assert rows(found)[1][4] == "9.0"


@pytest.mark.long
def test_seeds_are_drawn_for_each_arm_on_its_own() -> None:
    """Equal results of two arms would else move together, and their difference have no spread."""
    values = [3.0, 9.0, 1.0, 7.0, 5.0]
    both = [result(arm, seed, each) for arm in ("none", "uniform") for seed, each in enumerate(values)]
    best = [result("oracle", seed, 100.0) for seed in range(5)]
    line = next(each for each in lines([*both, *best]) if each.arm == "uniform")
    assert line.gap["mean_return"].value == 0.0
    assert line.gap["mean_return"].low < 0.0 < line.gap["mean_return"].high


def test_results_of_other_numbers_are_not_taken_for_those_asked_for(tmp_path: Path) -> None:
    add_result(tmp_path, result("none", 0, 1.0))
    job = Job("qube", "a", "none", 0, 100, tmp_path)
    known = result("none", 0, 1.0)
    assert do(replace(job, steps=known.steps), known.episodes, print) == known
    with pytest.raises(UserError, match="episodes, not 7"):
        do(replace(job, steps=known.steps), 7, print)
    with pytest.raises(UserError, match="steps, not 99"):
        do(replace(job, steps=99), known.episodes, print)


def test_seeds_are_read() -> None:
    assert read_seeds("0-2,5,5") == [0, 1, 2, 5]
    for text in ("", "x", "3-1"):
        with pytest.raises(UserError, match="--seeds"):
            read_seeds(text)


def test_results_that_stand_there_are_not_made_again_and_make_the_page(tmp_path: Path) -> None:
    for arm, value in (("none", 1.0), ("oracle", 9.0)):
        add_result(tmp_path, result(arm, 0, value))
    options = ["--folder", str(tmp_path), "--robot", "qube", "--target", "a", "--seeds", "0"]
    options += ["--episodes", "8"]
    arms = ["--arm", "none", "--arm", "oracle"]
    done = CliRunner().invoke(cli, ["transfer-benchmark", *options, *arms, "--steps", "100"])
    assert done.exit_code == 0, done.output
    assert "return 9.0" in done.output
    page = (tmp_path / "page.html").read_text()
    assert "no randomization" in page
    other = CliRunner().invoke(cli, ["transfer-benchmark", *options, *arms, "--steps", "200"])
    assert isinstance(other.exception, UserError)
    assert "of 100 steps, not 200" in str(other.exception)


def test_results_of_two_processes_are_kept_and_a_newer_one_replaces(tmp_path: Path) -> None:
    add_result(tmp_path, result("none", 1, 1.0))
    add_result(tmp_path, result("none", 0, 2.0))
    add_result(tmp_path, result("none", 1, 3.0))
    assert results_in(tmp_path) == [result("none", 0, 2.0), result("none", 1, 3.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "not a result"), ('{"robot": "qube"}', "arm, .* is missing"), ("[]", "is missing")],
)
def test_a_damaged_line_of_results_is_named(tmp_path: Path, line: str, message: str) -> None:
    add_result(tmp_path, result("none", 0, 2.0))
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=rf"results.jsonl, line 2: .*{message}"):
        results_in(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_last_line_that_was_cut_is_left_out_with_a_note(tmp_path: Path, share: float) -> None:
    add_result(tmp_path, result("none", 0, 2.0))
    path, told = tmp_path / "results.jsonl", list[str]()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: int(share * len(whole))])
    assert results_in(tmp_path, told.append) == [result("none", 0, 2.0)]
    assert len(told) == 1 and "results.jsonl: its last line was cut" in told[0]
    add_result(tmp_path, result("none", 1, 3.0))
    assert len(results_in(tmp_path, told.append)) == 2 and len(told) == 1
    path.write_bytes(path.read_bytes().rstrip())  # whole, but for the end of its line
    assert len(results_in(tmp_path, told.append)) == 2 and len(told) == 1


def test_a_folder_without_results_has_no_page(tmp_path: Path) -> None:
    found = CliRunner().invoke(cli, ["transfer-benchmark", "--folder", str(tmp_path), "--page-only"])
    assert isinstance(found.exception, UserError)


@pytest.mark.usefixtures("small")
def test_where_the_model_as_it_is_is_offered_nothing_is_identified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `simreal identify` advises: no posterior, and the policy is the one that knows of none."""
    facts = {"seconds": 7.0, "resets": 2, "violations": 0, "falls": 0}

    def meet(job: Job, base: Run, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(adapted_arms, "_meet", meet)
    monkeypatch.setattr(adapted_arms, "_read_logs", lambda path: ([], facts))
    asked: list[str] = []

    def as_it_is(robot: str, recordings: list[object], tell: Tell) -> SimpleNamespace:
        asked.append(robot)
        return SimpleNamespace(nominal_suffices=True)

    monkeypatch.setattr(adapted_arms, "_identify", as_it_is)
    job = Job("qube", "a", "posterior", 0, 512, tmp_path)
    made = make(job, print)
    assert made.run.path == tmp_path / "qube" / "trained" / "uniform" / "seed0"
    assert made.robot_seconds == 7.0
    assert made.notes == ("the model as it is was offered: the policy is that of the uniform arm",)
    assert adapted_arms.adaptation(job, print).identified is None
    assert asked == ["qube"]  # once, and kept
    assert not list(tmp_path.rglob("identified.yaml"))


@pytest.mark.usefixtures("small")
def test_where_what_was_identified_does_not_cover_the_robot_nothing_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet_and_identify(tmp_path, monkeypatch, 7.0, coverage=0.2)
    made = make(Job("qube", "c", "posterior", 0, 512, tmp_path), print)
    assert made.run.path == tmp_path / "qube" / "trained" / "uniform" / "seed0"
    assert made.notes == (
        "20 % of what was held out were covered: the policy is that of the uniform arm",
    )


@pytest.mark.usefixtures("small")
def test_an_arm_without_a_limit_goes_on_from_robots_that_cover_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the mean, old worlds do not stand in for what is not covered."""
    meet_and_identify(tmp_path, monkeypatch, 7.0, coverage=0.0)
    job = Job("qube", "c", "point", 0, 512, tmp_path)
    made = make(job, print)
    assert made.run.path == job.path / "run"
    assert made.notes == ()


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_the_arm_that_learns_on_the_robot_counts_all_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = trained(0, tmp_path / "simulated", base_experiment("qube"), 500, lambda text: None)
    before = Made(simulated, robot_seconds=292.0, resets=12, violations=3, notes=("met",))
    monkeypatch.setattr("simreal.transfer_bench.adapted_arms.posterior", lambda job, tell: before)
    job = Job("qube", "a", "tuned", 0, 1000, tmp_path)
    found = do(job, 4, lambda text: None)
    assert 293.0 < found.robot_seconds <= 300.0
    assert found.resets > 12 and found.violations >= 3
    assert found.notes[0] == "met" and "base policy" in found.notes[2]
    assert (job.path / "run" / "robot" / "episode_00000.mcap").is_file()
    assert do(job, 4, lambda text: None) == found


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_the_robot_decides_between_a_policy_and_what_it_was_adapted_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simreal.export.PARITY_OBSERVATIONS", 64)
    meet_and_identify(tmp_path, monkeypatch, 263.0)
    job = Job("qube", "c", "tried", 0, 512, tmp_path)
    adapted = make(replace(job, arm="posterior"), print).run
    content = torch.load(adapted.latest_checkpoint(), weights_only=True)
    policy = content["parameters"]["policy"]
    policy["action_net.weight"] = 3.0 * torch.sign(policy["action_net.weight"])  # it bangs, at a cost
    torch.save(content, adapted.latest_checkpoint())
    made = make(job, print)
    assert made.run.path == adapted.path / "base"
    [told] = made.notes
    assert told.startswith("kept the base policy: mean reward ")
    flights = len(list(job.path.glob("*.mcap")))
    assert flights >= 6 and f"in {flights // 2} pairs of flights" in told
    assert 263.0 < made.robot_seconds <= 300.0 and made.resets >= 2 + flights


def test_an_arm_needs_rewards_that_are_in_a_log() -> None:
    for arm in ("tuned", "tried"):
        assert missing("qube", arm) is None and missing("so101", arm) is None
        assert "no log tells it" in str(missing("go2", arm))
