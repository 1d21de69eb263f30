"""The simulated robot without its process: what it does is a pure function of the commands."""

import socket
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.deploy.emulators.simulated_robot import SimulatedRobot, serve
from simreal.deploy.sim_wire import LARGEST_PACKET, CommandPacket, Mode
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.physics.model import compile_model
from simreal.robots import load_robot
from simreal.tasks import TASKS

STEPS = 300
ARM, PENDULUM = 0, 1
RESOLUTION = 0.0030679616
IDEAL = {"encoder_resolution": 0.0}
"""A reading without counts, to see the motion itself."""


def _positions(
    commands: Mapping[int, tuple[Mode, float]],
    parameters: Mapping[str, float] = IDEAL,
    keep: bool = True,
    steps: int = STEPS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """(steps, joints) readings; a command comes before its step, and again at each step if kept."""
    robot = SimulatedRobot("qube", parameters, seed)
    positions, current = [], None
    for step in range(steps):
        if step in commands:
            current = commands[step]
        if current is not None and (keep or step in commands):
            robot.command(current[0], np.array([current[1]]))
        positions.append(robot.advance().joint_position.copy())
    return np.array(positions)


def test_what_a_factor_comes_to_is_told() -> None:
    told = SimulatedRobot("qube", {"joint_damping[arm]": 0.5, "encoder_bias[arm]": 0.1}, 0).factors
    (line,) = told
    own = load_robot_damping()
    assert line == f"joint_damping[arm] 0.5 times {own:.3g} = {0.5 * own:.3g} N·m·s/rad"


def load_robot_damping() -> float:
    model = compile_model(load_robot("qube"))
    return float(model.dof_damping[model.joint("arm").dofadr[0]])


def test_a_command_acts_on_no_step_that_has_passed() -> None:
    """A state is of the time on its stamp: it shows the step before, and commands the one after."""
    robot, order = SimulatedRobot("qube", IDEAL, 0), []
    advance, command = robot.advance, robot.command
    robot.advance = lambda: order.append("step") or advance()  # type: ignore[method-assign, func-returns-value]
    robot.command = lambda *given: order.append("command") or command(*given)  # type: ignore[method-assign, func-returns-value]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    ours.send(CommandPacket(0, Mode.FOLLOW, np.array([3.0])).encode())
    served = threading.Thread(target=serve, args=(robot, theirs))
    served.start()
    for _ in range(2):
        ours.recv(LARGEST_PACKET)
    ours.close()
    served.join(timeout=10.0)
    assert order[0] == "step" and "step" in order[order.index("command") :]


def test_without_a_command_it_hangs_still() -> None:
    np.testing.assert_array_equal(_positions({}), np.zeros((STEPS, 2)))


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_with_a_task_it_is_found_where_an_episode_of_that_seed_starts(seed: int) -> None:
    found = SimulatedRobot("qube", IDEAL, seed, "qube_swingup").advance().joint_position
    task = TASKS["qube_swingup"]
    start = task.initial_states[task.start](EpisodeRandom(episode_seed(seed, np.array([0]))))
    assert np.abs(start.joint_position).min() > 1e-4
    np.testing.assert_allclose(found, start.joint_position[0], atol=1e-3)


def test_every_shipped_task_starts_in_its_own_surroundings() -> None:
    """Legs carry the Go2 from where it stands; a robot within the ground would be thrown out."""
    for task in TASKS.values():
        robot = SimulatedRobot(task.robot, {}, 3, task.name)
        speeds = [np.abs(robot.advance().joint_velocity).max() for _ in range(5)]
        assert max(speeds) < 10.0, task.name


@pytest.mark.parametrize("sign", [1, -1])
def test_a_voltage_turns_the_arm_its_way_and_lifts_the_pendulum(sign: int) -> None:
    positions = _positions({0: (Mode.FOLLOW, sign * 1.0)}, steps=150)
    arm = sign * positions[:, ARM]
    assert arm[-1] > 0.3
    assert np.all(np.diff(arm[:100]) >= 0)
    assert np.abs(positions[:, PENDULUM]).max() > 0.1


def test_twice_the_voltage_is_about_twice_the_first_motion() -> None:
    """Friction takes its share of each."""
    once, twice = (_positions({0: (Mode.FOLLOW, volts)}, steps=40)[-1, ARM] for volts in (1.0, 2.0))
    assert twice / once == pytest.approx(2.0, rel=0.1)


def test_the_amplifier_clamps_to_its_limits() -> None:
    np.testing.assert_array_equal(
        _positions({0: (Mode.FOLLOW, 1000.0)}, steps=60), _positions({0: (Mode.FOLLOW, 4.0)}, steps=60)
    )


def test_the_watchdog_makes_it_passive_100_ms_after_the_last_command() -> None:
    left_alone = _positions({0: (Mode.FOLLOW, 2.0)}, keep=False)
    told_off = _positions({0: (Mode.FOLLOW, 2.0), 50: (Mode.OFF, 0.0)})
    told_off_later = _positions({0: (Mode.FOLLOW, 2.0), 51: (Mode.OFF, 0.0)})
    np.testing.assert_array_equal(left_alone, told_off)
    assert not np.array_equal(left_alone, told_off_later)


@pytest.mark.parametrize("volts", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_off(volts: float) -> None:
    np.testing.assert_array_equal(
        _positions({0: (Mode.FOLLOW, 2.0), 20: (Mode.FOLLOW, volts)}),
        _positions({0: (Mode.FOLLOW, 2.0), 20: (Mode.OFF, 2.0)}),
    )


@pytest.mark.parametrize("milliseconds", [2, 50])
def test_action_latency_shifts_the_response_by_itself(milliseconds: int) -> None:
    prompt = _positions({0: (Mode.FOLLOW, 1.0)})
    late = _positions({0: (Mode.FOLLOW, 1.0)}, IDEAL | {"action_latency_ms": milliseconds})
    shift = milliseconds // 2
    assert not late[:shift].any()
    np.testing.assert_allclose(late[shift:], prompt[:-shift], rtol=0, atol=1e-12)


def test_sensor_latency_shifts_the_reading_by_itself() -> None:
    prompt = _positions({0: (Mode.FOLLOW, 1.0)})
    late = _positions({0: (Mode.FOLLOW, 1.0)}, IDEAL | {"sensor_latency_ms": 30.0})
    assert not late[:15].any()
    np.testing.assert_array_equal(late[15:], prompt[:-15])


@pytest.mark.parametrize(
    ("parameters", "least", "most"),
    [
        ({"motor_strength": 0.5}, 0.4, 0.55),
        ({"mass": 2.0}, 0.4, 0.7),
        ({"mass[pendulum]": 3.0}, 0.4, 0.9),
        ({"joint_frictionloss": 1e3}, 0.0, 0.1),
    ],
)
def test_its_parameters_are_its_own(parameters: dict[str, float], least: float, most: float) -> None:
    nominal = _positions({0: (Mode.FOLLOW, 1.0)}, steps=40)[-1, ARM]
    found = _positions({0: (Mode.FOLLOW, 1.0)}, IDEAL | parameters, steps=40)[-1, ARM]
    assert least <= found / nominal <= most


def test_the_encoder_counts_in_whole_steps() -> None:
    counts = _positions({0: (Mode.FOLLOW, 1.0)}, {}) / RESOLUTION
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
    assert np.unique(np.rint(counts[:, ARM])).size > 50


def test_noise_follows_the_seed() -> None:
    noisy = IDEAL | {"encoder_noise": 0.01}
    first = _positions({}, noisy, seed=1)
    np.testing.assert_array_equal(first, _positions({}, noisy, seed=1))
    assert not np.array_equal(first, _positions({}, noisy, seed=2))
    assert first.std() == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("qub", {}, ["'qub'", "did you mean 'qube'"]),
        ("qube", {"mas": 1.0}, ["'mas'", "did you mean 'mass'"]),
        ("qube", {"mass[ram]": 1.0}, ["'ram'", "'arm'"]),
        ("qube", {"mass": -1.0}, ["mass", "below"]),
        ("qube", {"action_latency_ms": 5000.0}, ["5000", "1000"]),
    ],
)
def test_a_robot_that_cannot_be_is_one_message(
    name: str, parameters: dict[str, float], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        SimulatedRobot(name, parameters, 0)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def _servo_robot() -> tuple[SimulatedRobot, NDArray[np.float64]]:
    """An SO-101 without noise at its default posture, and that posture."""
    robot = SimulatedRobot("so101", {"encoder_resolution": 0.0}, 0)
    return robot, np.array(robot.description.default_position)


def _settle(robot: SimulatedRobot, steps: int = 400) -> NDArray[np.float64]:
    for _ in range(steps):
        state = robot.advance()
        robot._since_command = 0
    return state.joint_position


def test_less_authority_follows_a_servo_s_target_less() -> None:
    """A weak servo sags under the arm's weight, and friction stops it short of its target."""
    errors = []
    for authority in (1.0, 0.5, 0.1):
        robot, target = _servo_robot()
        robot.command(Mode.FOLLOW, target + 0.3, authority)
        errors.append(np.abs(_settle(robot) - target - 0.3).max())
    assert errors[0] < errors[1] < errors[2]


def test_less_authority_is_less_voltage() -> None:
    full = _positions({0: (Mode.FOLLOW, 1.0)}, steps=60)
    robot = SimulatedRobot("qube", IDEAL, 0)
    for _ in range(60):
        robot.command(Mode.FOLLOW, np.array([2.0]), 0.5)
        position = robot.advance().joint_position
    np.testing.assert_array_equal(position, full[-1])


def test_a_servo_that_holds_stays_where_it_is_and_not_where_it_was_sent() -> None:
    robot, target = _servo_robot()
    robot.command(Mode.FOLLOW, target + 0.5)
    there = _settle(robot, 30)
    robot.command(Mode.HOLD, target)
    held = _settle(robot)
    assert np.abs(there - target).max() > 0.1
    assert np.abs(held - there).max() < 0.15
    assert np.abs(held - target - 0.5).max() > 0.2


def test_a_robot_that_brakes_sinks_slower_than_one_that_is_off() -> None:
    sunk = {}
    for mode in (Mode.FOLLOW, Mode.DAMP, Mode.OFF):
        robot = SimulatedRobot("go2", {}, 0, "go2_velocity")
        default = np.array(robot.description.default_position)
        robot.command(mode, default)
        sunk[mode] = np.abs(_settle(robot, 40) - default).max()
    assert sunk[Mode.FOLLOW] < 0.4
    assert sunk[Mode.FOLLOW] < sunk[Mode.DAMP] < 0.8 * sunk[Mode.OFF]


def test_the_watchdog_brakes_servos() -> None:
    """As a command to brake does, given when its time is over."""
    found = []
    for told in (False, True):
        robot = SimulatedRobot("go2", {}, 0, "go2_velocity")
        robot.command(Mode.FOLLOW, np.array(robot.description.default_position))
        for step in range(100):
            if told and step >= 50:
                robot.command(Mode.DAMP, np.zeros(12))
            position = robot.advance().joint_position
        found.append(position)
    np.testing.assert_array_equal(*found)
