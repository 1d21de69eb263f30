"""Whose flight a log is, and what flights of two policies on the robot show."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simreal.adapt.flown import Flight, flies_as, flight_of, pairs_of, rewards, shortest
from simreal.adapt.gate import judge
from simreal.adapt.transitions import Transitions
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.evaluate import load_candidate
from simreal.experiment import ExperimentConfig
from simreal.export import export
from simreal.logs.formats import read_logs
from simreal.logs.robot_log import RobotLog
from simreal.run import Run
from tests.adapt.toy_qube import ToyQube

torch.set_num_threads(1)


def flown(policy: Path, folder: Path, pushes: tuple[float, ...], seconds: float = 0.6) -> list[RobotLog]:
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
def logs(base: Run, spoilt: Run, tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Three flights of each."""
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simreal.export.PARITY_OBSERVATIONS", 64)  # exporting has tests of its own
        one, two = (export(run, folder / f"{run.path.name}.onnx").path for run in (base, spoilt))
    return flown(one, folder, (0.0, 0.02, 0.04)), flown(two, folder, (0.01, 0.03, 0.05))


def test_actions_tell_who_flew(base: Run, spoilt: Run, logs: Logs, log: RobotLog) -> None:
    for run, own, others in ((base, *logs), (spoilt, *reversed(logs))):
        act, contract = load_candidate(run.path).act, run.contract()
        assert all(flies_as(act, contract, each) for each in own)
        assert not any(flies_as(act, contract, each) for each in (*others, log))
    rate = base.contract().model_copy(update={"control_rate": 50.0})
    assert not flies_as(load_candidate(base.path).act, rate, logs[0][0])


def test_a_policy_that_is_worse_on_the_robot_is_kept_back(base: Run, spoilt: Run, logs: Logs) -> None:
    found = judge(spoilt, base.path, [*logs[0], *logs[1]], episodes=4)
    part = found.parts[-1]
    assert part.name == "on the robot" and part.where.startswith("3 pairs of flights, 0.")
    [measure] = part.measures
    assert measure.verdict == "worse" and measure.adapted < measure.base
    assert any(reason.startswith("on the robot: mean reward is worse") for reason in found.reasons)
    # The base policy's own rewards, as its task has them, are what is compared.
    experiment = base.experiment()
    assert isinstance(experiment, ExperimentConfig)
    flights = [flight_of(each, experiment, base.contract()) for each in logs[0]]
    assert measure.base == pytest.approx(rewards(flights, min(each.steps for each in flights)).mean())


def test_too_few_flights_are_told(base: Run, spoilt: Run, logs: Logs, log: RobotLog) -> None:
    for given, told in (
        (
            [*logs[0], *logs[1][:2]],
            "3 logs are of run and 2 of spoilt; 2 pairs of them",
        ),
        ([log], "0 logs are of run and 0 of spoilt; 0 pairs"),
    ):
        found = judge(spoilt, base.path, given, episodes=4)
        assert "on the robot" not in [part.name for part in found.parts]
        assert any(told in each for each in found.not_judged)


def flight(values: list[float], fell: bool = False, asked: tuple[float, ...] = ()) -> Flight:
    number = len(values)
    nothing, mask = np.zeros((number, 1), np.float32), np.zeros(number, dtype=bool)
    reward, run = np.array(values, np.float32), np.zeros(number, np.int64)
    return Flight(Transitions(nothing, nothing, reward, nothing, mask, run), fell, asked)


def test_flights_are_compared_over_the_same_time_and_a_fall_is_worth_nothing_more() -> None:
    whole, fell, left = flight([1.0] * 10), flight([1.0] * 4, fell=True), flight([9.0] * 3)
    longer = flight([1.0] * 10 + [-5.0] * 2)
    pairs = pairs_of([whole, left, whole], [fell, longer])
    assert pairs == [(whole, fell), (whole, longer)]  # a person has ended the third
    assert shortest(pairs) == 10
    assert rewards([fell, longer], 10).tolist() == pytest.approx([0.4, 1.0])
    punished = replace(fell, transitions=flight([-1.0, -2.0]).transitions)
    assert rewards([punished], 10).tolist() == [pytest.approx((-3.0 - 2.0 * 8) / 10)]
    assert shortest([(fell, punished)]) == 4  # where all fell, as far as the last one came


def test_only_flights_that_were_asked_the_same_are_compared() -> None:
    """How far a target is away says more of a reward than which policy went there."""
    near, far, other = (flight([value] * 5, asked=(value, 0.0)) for value in (0.1, 0.9, 0.5))
    assert pairs_of([near, far, near], [far, near, other]) == [(near, near), (far, far)]
