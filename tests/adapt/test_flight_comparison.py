"""Whose flight a log is, and what flights of two policies on the robot show."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from simreal.adapt import transitions
from simreal.adapt.flight_comparison import (
    Flight,
    compare_pairs,
    compared,
    flies_as,
    flight_of,
    mean_reward,
    pairs_of,
)
from simreal.adapt.gate import judge
from simreal.adapt.gate_measures import Part
from simreal.adapt.transitions import Transitions, control_steps
from simreal.cli.main import cli
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.experiment import ExperimentConfig
from simreal.export import export
from simreal.logs.formats import read_logs
from simreal.logs.messages import SHADOW
from simreal.logs.robot_log import RobotLog
from simreal.observation import Float32Array
from simreal.run import Run
from simreal.state import FloatArray
from tests.adapt.toy_qube import ToyQube

torch.set_num_threads(1)


def flown(policy: Path, folder: Path, pushes: tuple[float, ...], seconds: float = 1.2) -> list[RobotLog]:
    """Flights of an exported policy on a robot that is pushed a little, each time otherwise."""
    found = []
    for push in pushes:
        log = folder / f"{policy.stem}_{push:g}.mcap"
        deploy(load_policy(policy), ToyQube(push=push), seconds, log)
        found += read_logs(log)
    return found


@pytest.fixture(scope="module")
def spoilt(base: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Bangs from one end of its range to the other, for which the task has a penalty."""
    run = Run(Path(shutil.copytree(base.path, tmp_path_factory.mktemp("spoilt") / "spoilt")))
    content = torch.load(run.latest_checkpoint(), weights_only=True)
    policy = content["parameters"]["policy"]
    policy["action_net.weight"] = 5.0 * torch.sign(policy["action_net.weight"])
    torch.save(content, run.latest_checkpoint())
    return run


Logs = tuple[list[RobotLog], list[RobotLog]]


@pytest.fixture(scope="module")
def files(base: Run, spoilt: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both, exported."""
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simreal.export.PARITY_OBSERVATIONS", 64)  # exporting has tests of its own
        one, two = (export(run, folder / f"{run.path.name}.onnx").path for run in (base, spoilt))
    return one, two


@pytest.fixture(scope="module")
def logs(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Three flights of each."""
    folder = tmp_path_factory.mktemp("logs")
    return flown(files[0], folder, (0.0, 0.02, 0.04)), flown(files[1], folder, (0.01, 0.03, 0.05))


@pytest.mark.long
def test_actions_tell_who_flew(base: Run, spoilt: Run, logs: Logs, log: RobotLog) -> None:
    for run, own, others in ((base, *logs), (spoilt, *reversed(logs))):
        act, contract = load_candidate(run.path).act, run.contract()
        assert all(flies_as(act, contract, each) for each in own)
        assert not any(flies_as(act, contract, each) for each in (*others, log))
    rate = base.contract().model_copy(update={"control_rate": 50.0})
    assert not flies_as(load_candidate(base.path).act, rate, logs[0][0])


@pytest.mark.long
def test_a_policy_that_is_worse_on_the_robot_is_kept_back(base: Run, spoilt: Run, logs: Logs) -> None:
    found = judge(spoilt, base.path, [*logs[0], *logs[1]], episodes=4)
    part = found.parts[-1]
    assert part.name == "on the robot" and part.where.startswith("3 pairs of flights, 1.1")
    [measure] = part.measures
    assert measure.verdict == "worse" and measure.adapted < measure.base
    assert any(reason.startswith("on the robot: mean reward is worse") for reason in found.reasons)


def test_too_few_flights_are_told(base: Run, spoilt: Run, logs: Logs, log: RobotLog) -> None:
    for given, told in (
        (
            [*logs[0], *logs[1][:2]],
            "3 logs are of run and 2 of spoilt; 2 pairs that were asked the same",
        ),
        ([log], "0 logs are of run and 0 of spoilt; 0 pairs"),
    ):
        found = judge(spoilt, base.path, given, episodes=4)
        assert "on the robot" not in [part.name for part in found.parts]
        assert any(told in each for each in found.not_judged)


def test_either_policy_of_two_that_act_alike_may_have_flown(base: Run, logs: Logs) -> None:
    found = judge(base, base.path, logs[0], episodes=4)
    told = "0 logs are of run and 0 of run, 3 of either, which would have acted alike"
    assert any(told in each for each in found.not_judged)


def test_a_log_counts_once(
    base: Run, spoilt: Run, files: tuple[Path, Path], tmp_path: Path, logs: Logs
) -> None:
    flown(files[0], tmp_path, (0.0,), 0.1)
    [log] = tmp_path.glob("*.mcap")
    again = shutil.copyfile(log, tmp_path / "again.mcap")
    arguments = f"gate {spoilt.path} --against {base.path} --log {log} --log {again}"
    found = CliRunner().invoke(cli, arguments)
    assert str(found.exception).startswith(f"{again}: the same content as {log}, and its flights would")


def test_a_shadow_run_is_no_flight(base: Run, spoilt: Run, logs: Logs) -> None:
    watched = [replace(each, provenance=each.provenance | {SHADOW: "true"}) for each in logs[0]]
    found = judge(spoilt, base.path, [*watched, *logs[1]], episodes=4)
    assert any("0 logs are of run and 3 of spoilt" in each for each in found.not_judged)
    with pytest.raises(UserError, match="shadow run: its commands were not sent"):
        control_steps(watched[0], base.contract())


def test_steps_count_whoever_limited_their_commands_and_a_fall_ends_them(
    base: Run, files: tuple[Path, Path], tmp_path: Path, logs: Logs
) -> None:
    """Learning leaves out what the supervisor has changed; what a flight was worth, it was worth."""
    experiment = base.experiment()
    assert isinstance(experiment, ExperimentConfig)
    whole = flight_of(logs[0][0], experiment, base.contract())
    assert not whole.fell and whole.asked == () and whole.seconds == pytest.approx(1.18, abs=0.03)
    commanded = logs[0][0]["commanded_voltage"]
    limited = replace(commanded, values=0.5 * commanded.values)
    changed = replace(logs[0][0], channels=logs[0][0].channels | {"commanded_voltage": limited})
    assert flight_of(changed, experiment, base.contract()).reward.tolist() == whole.reward.tolist()
    # A push that no policy resists: the supervisor ends it, for what the robot does.
    [fallen] = flown(files[0], tmp_path, (400.0,), 3.0)
    found = flight_of(fallen, experiment, base.contract())
    assert found.fell and found.seconds < 2.0


def test_a_policy_with_a_memory_begins_anew_after_a_pause(base: Run, logs: Logs) -> None:
    class Counts:
        """Its action is the number of its step."""

        def begin(self, rows: object = None) -> None:
            self.step = 0

        def __call__(self, observation: Float32Array, images: object) -> FloatArray:
            self.step += 1
            return np.full((1, 1), 0.01 * self.step)

    log = logs[0][0]
    count = len(log["action"])
    steps = np.concatenate((np.arange(1, 21), np.arange(1, count - 19)))
    time = log["action"].time + np.where(np.arange(count) < 20, 0.0, 5.0)
    channels = log.channels | {
        name: replace(log[name], time=time, logged=time, values=values)
        for name, values in (
            ("action", 0.01 * steps[:, None].astype(np.float64)),
            ("observation", log["observation"].values),
        )
    }
    paused = replace(log, channels=channels)
    assert flies_as(Counts(), base.contract(), paused)
    assert not flies_as(Counts(), base.contract(), log)


def flight(values: list[float], fell: bool = False, asked: tuple[float, ...] | None = ()) -> Flight:
    """One control step a second."""
    return Flight(np.arange(1.0, len(values) + 1.0), np.array(values), fell, asked)


def test_a_pair_is_compared_over_the_same_time_and_a_fall_costs_what_is_left_of_it() -> None:
    whole, fell, longer = flight([1.0] * 10), flight([1.0] * 4, fell=True), flight([1.0] * 10 + [-5.0])
    assert [compared(pair) for pair in ((whole, longer), (whole, fell), (fell, longer))] == [10, 10, 11]
    assert compared((fell, flight([1.0] * 6, fell=True))) == 6
    assert mean_reward(longer, 10.0, 1.0, -5.0) == 1.0
    assert mean_reward(fell, 10.0, 1.0, 0.0) == pytest.approx(0.4)
    assert mean_reward(fell, 10.0, 1.0, -5.0) == pytest.approx((4.0 - 30.0) / 10.0)
    assert mean_reward(flight([], fell=True), 10.0, 1.0, -5.0) == -5.0
    assert mean_reward(flight([1.0, np.nan, 3.0]), 3.0, 1.0, 0.0) == 2.0


def test_steps_that_tell_nothing_count_alike_in_the_gate_and_while_it_is_learned() -> None:
    """Else a fall would cost less in a flight of which less is known."""
    fell = flight([2.0, np.nan, 2.0, 2.0], fell=True)
    nothing = np.zeros((3, 1), np.float32)
    steps = Transitions(
        nothing, nothing, np.full(3, 2.0), nothing, np.zeros(3, bool), np.zeros(3, int), limited=1
    )
    assert mean_reward(fell, 10.0, 1.0, 0.0) == pytest.approx(0.8)
    assert transitions.mean_reward(steps, 10) == pytest.approx(0.8)


def test_a_fall_at_once_is_never_better_than_to_fly() -> None:
    pairs = [(flight([reward] * 5), flight([], fell=True)) for reward in (-1.0, -2.0, -1.5)]
    found = compare_pairs(pairs, 1.0)
    assert isinstance(found, Part)
    assert found.measures[0].adapted == -2.0 and found.measures[0].base == -1.5
    assert "3 falls of the adapted, 0 of the base" in found.where


def test_only_flights_that_were_asked_the_same_are_compared() -> None:
    """How far a target is away says more of a reward than which policy went there."""
    near, far, other = (flight([value] * 5, asked=(value, 0.0)) for value in (0.1, 0.9, 0.5))
    assert pairs_of([near, far, near], [far, near, other]) == [(near, near), (far, far)]
    changing, short = flight([1.0] * 5, asked=None), flight([])
    assert pairs_of([changing, short], [changing, short]) == []
