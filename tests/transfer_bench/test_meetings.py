"""How robots are met: excitations within their limits, stands, commands, and falls."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simreal.commands import Commands
from simreal.contract import Contract
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.images import Images
from simreal.observation import Float32Array
from simreal.state import RobotCommand
from simreal.tasks import find_task
from simreal.tasks.so101_kinematics import lowest_axis
from simreal.transfer_bench.arms import ARMS, make, missing
from simreal.transfer_bench.flights import excitation, excite, fly
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.job import Job
from simreal.transfer_bench.jobs import do
from simreal.transfer_bench.meetings import MEETINGS
from simreal.transfer_bench.targets import BASES, TARGETS


def contract_of(robot: str) -> Contract:
    return BatchEnv(load_experiment(BASES[robot]).from_start(), 1, threads=1).contract


def commands_of(robot: str) -> Commands:
    experiment = load_experiment(BASES[robot])
    return Commands(experiment, find_task(experiment.task, experiment.robot))


@pytest.fixture
def held_go2() -> Iterator[HiddenRobot]:
    with HiddenRobot("go2", "a", 50.0, held=True) as robot:
        yield robot


@pytest.mark.parametrize("robot", ["so101", "go2"])
def test_excitations_keep_within_what_servos_take(robot: str) -> None:
    contract = contract_of(robot)
    for seed in range(20):
        targets = excitation(contract.robot, MEETINGS[robot], contract.control_rate, 10.0, seed)
        lower, upper = np.array([(each.lower, each.upper) for each in contract.robot.actuators]).T
        assert ((lower <= targets) & (targets <= upper)).all()
        assert (np.ptp(targets, axis=0) > 0.1).all()
        if robot == "so101":
            assert lowest_axis(targets).min() > 0.1  # m above the table


@pytest.mark.long
def test_an_arm_follows_an_excitation_and_breaks_no_limit() -> None:
    contract = contract_of("so101")
    with HiddenRobot("so101", "a", 25.0) as robot:
        flight = excite(robot, contract, MEETINGS["so101"], 3.0, 0)
    recording = flight.recording
    assert (flight.violations, flight.fell) == (0, False)
    assert (np.ptp(recording.position, axis=0) > 0.05).all()
    # It does as it is told, some 70 ms later: two control steps.
    late = np.abs(recording.command[20:-2] - recording.position[22:]).mean()
    assert late < np.abs(recording.command[20:] - recording.position[20:]).mean()


@pytest.mark.long
def test_a_robot_on_a_stand_moves_its_legs_and_stays(held_go2: HiddenRobot) -> None:
    contract = contract_of("go2")
    flight = excite(held_go2, contract, MEETINGS["go2"], 1.5, 0)
    assert flight.violations == 0
    assert not flight.fell
    assert (np.ptp(flight.recording.position, axis=0) > 0.05).all()
    gravity = held_go2.read()
    assert gravity.orientation is not None
    assert gravity.orientation[0] == pytest.approx(1.0, abs=0.05)


def test_the_same_episode_on_a_stand_is_the_same(held_go2: HiddenRobot) -> None:
    first = held_go2.restart(3).joint_position.copy()
    held_go2.write(RobotCommand(np.full(12, 0.3)))
    assert np.array_equal(held_go2.restart(3).joint_position, first)


class Asked:
    """Acts as it is told, and remembers what it was asked."""

    def __init__(self, action: float, size: int) -> None:
        self.seen: list[Float32Array] = []
        self._action = np.full((1, size), action, dtype=np.float32)

    def __call__(self, observation: Float32Array, images: Images) -> Float32Array:
        self.seen.append(observation[0])
        return self._action


@pytest.mark.long
def test_a_policy_is_asked_what_the_task_asks() -> None:
    contract, act = contract_of("so101"), Asked(0.0, 6)
    with HiddenRobot("so101", "c", 25.0) as robot:
        for seed in (0, 1):
            fly(robot, act, contract, commands_of("so101"), 0.2, seed)
    asked = np.array(act.seen)[:, :5]  # the command stands first
    assert np.ptp(asked[:5], axis=0).max() == 0.0
    assert np.abs(asked[0] - asked[5]).max() > 0.01
    low, high = np.array([(each.low, each.high) for each in contract.commands]).T
    assert ((low <= asked) & (asked <= high)).all()


def test_a_fall_ends_a_flight_and_somebody_puts_it_back() -> None:
    contract = contract_of("go2")
    with HiddenRobot("go2", "a", 50.0) as robot:
        flight = fly(robot, Asked(1.0, 12), contract, commands_of("go2"), 5.0, 0)
        assert flight.fell
        assert robot.resets == 2
        assert len(flight.recording.time) < 250
        assert robot.seconds < 5.0


@pytest.mark.parametrize("robot", ["so101", pytest.param("go2", marks=pytest.mark.long)])
@pytest.mark.usefixtures("small")
def test_an_arm_of_each_robot_is_trained_and_judged(robot: str, tmp_path: Path) -> None:
    found = do(Job(robot, "a", "none", 0, 300, tmp_path), 2, lambda text: None)
    assert np.isfinite(found.mean_return)
    assert found.seconds > 0.0


@pytest.mark.long
@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("robot", TARGETS)
@pytest.mark.usefixtures("small")
def test_every_arm_of_every_robot(
    robot: str, arm: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "benchmark"  # arms share what they can
    job = Job(robot, "a", arm, 0, 1000, folder)
    if missing(robot, arm) is not None:
        with pytest.raises(UserError, match=f"{robot} has no arm {arm}: "):
            make(job, lambda text: None)
        return
    found = do(job, 4, lambda text: None)
    assert np.isfinite(found.mean_return)
    if arm in ("point", "posterior", "residual"):
        assert found.robot_seconds > 50.0
        assert found.resets >= 6
