"""Whether joints follow their own commands: of servos so weak that they come late, and under load."""

import numpy as np
import pytest

from simreal.check_log.clock_checks import clock
from simreal.check_log.drift_checks import drift
from simreal.check_log.finding import Finding
from simreal.check_log.joint_checks import joint_order, position_range
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray

PERIOD = 0.01
JOINTS = ("shoulder", "elbow")


def excited(seed: int, rows: int = 1200) -> FloatArray:
    """(rows, 2) commands of an excitation, rad: sums of sines."""
    random, time = np.random.default_rng(seed), PERIOD * np.arange(rows)
    angle = 2 * np.pi * np.geomspace(0.3, 2.5, 6)[:, None] * time
    phase = random.uniform(0, 2 * np.pi, (2, 6, 1))
    return np.asarray(0.25 * np.sin(angle + phase).sum(axis=1).T)


def weak_servos(command: FloatArray) -> FloatArray:
    """(rows, 2) positions, rad, of second-order lags of 0.15 and 0.1 s that drag each other along."""
    position, speed = np.zeros((2, *command.shape))
    rate = np.array([9.0, 13.0])
    for row in range(1, len(command)):
        push = rate**2 * (command[row - 1] - position[row - 1]) - 1.2 * rate * speed[row - 1]
        speed[row] = speed[row - 1] + PERIOD * (push + 0.2 * push[::-1])
        position[row] = position[row - 1] + PERIOD * speed[row]
    return position


def found(command: FloatArray, position: FloatArray) -> Finding:
    time, units = PERIOD * np.arange(len(command)), ("rad", "rad")
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
    log.channels["joint_position"] = Channel(time, position, JOINTS, units)
    log.channels["commanded_position"] = Channel(time, command, JOINTS, units)
    return joint_order(make_subject(log))


@pytest.mark.parametrize("seed", range(4))
def test_joints_that_come_late_are_told_apart_by_how_they_move(seed: int) -> None:
    """Their distance from either command is much the same."""
    command = excited(seed)
    position = weak_servos(command)
    sound = found(command, position)
    assert sound.verdict == "pass", sound.text
    assert "not told" not in sound.text
    assert sound.numbers["error_shoulder"] > 0.25
    swapped = found(command, position[:, ::-1])
    assert swapped.verdict == "fail"
    assert "shoulder follows the command of elbow" in swapped.text
    assert "correlation" in swapped.text


def test_motion_that_is_like_no_command_is_not_said_to_follow_one() -> None:
    command, other = excited(0), excited(7)
    finding = found(command, other)
    assert (finding.verdict, finding.unfit) == ("skip", True)
    assert finding.text.startswith("not to be told from this log: shoulder hardly moves as it is told")
    half = found(command, np.stack([weak_servos(command)[:, 0], other[:, 1]], axis=1))
    assert half.verdict == "pass"
    assert "not told: elbow hardly moves as it is told" in half.text


def test_a_joint_that_sags_more_than_it_is_told_to_move_follows_from_near() -> None:
    posture = np.array([0.8, -1.2])
    command = posture + 0.02 * excited(1)
    sag = 0.15 * np.abs(excited(2)[:, :1])
    assert found(command, command - sag).verdict == "pass"
    assert "not told" not in found(command, command - sag).text


def test_legs_that_are_told_the_same_are_not_taken_for_swapped() -> None:
    command = excited(3)[:, [0, 0]]
    noise = 0.05 * np.random.default_rng(0).standard_normal(command.shape)
    finding = found(command, weak_servos(command) + noise)
    assert finding.verdict == "pass", finding.text


@pytest.mark.filterwarnings("error")
def test_a_joint_that_stands_still_has_no_sign() -> None:
    command = excited(0)
    position = np.stack([weak_servos(command)[:, 0], np.full(len(command), 0.3)], axis=1)
    assert found(command, position).verdict == "pass"


def swings(rate: float, late: float = 0.0, rows: int = 1200) -> FloatArray:
    """(rows, 2) rad, `late` s late: each joint swings at one rate, Hz, the second a quarter later."""
    time = PERIOD * np.arange(rows)[:, None] - late
    return np.asarray(0.4 * np.sin(2 * np.pi * rate * time + [0.0, 0.5 * np.pi]))


def steps(rows: int = 1200) -> FloatArray:
    """(rows, 2) commands, rad, that change at once, every second: some stairs up, some down."""
    time = PERIOD * np.arange(rows)[:, None] + [0.0, 1.5]
    return np.asarray(0.2 * np.abs(np.floor(time) % 6.0 - 3.0))


@pytest.mark.parametrize(("rate", "late"), [(2.0, 0.25), (2.2, 0.233), (2.5, 0.2)])
@pytest.mark.parametrize("signs", [(1.0, 1.0), (1.0, -1.0)])
def test_a_swing_alone_does_not_tell_lateness_from_a_wrong_sign(
    rate: float, late: float, signs: tuple[float, float]
) -> None:
    """Whichever it is, half a swing later it would be the other; the log begins in mid-motion."""
    sign = np.array(signs)
    finding = found(swings(rate), swings(rate, late if sign[1] > 0 else 0.02) * sign)
    assert finding.verdict != "fail"
    assert "elbow comes late by half a swing, or moves the wrong way" in finding.text


def test_a_servo_that_comes_late_in_several_swings_is_of_the_right_sign() -> None:
    late = 0.25
    command, position = swings(2.0) + 0.5 * swings(0.8), swings(2.0, late) + 0.5 * swings(0.8, late)
    assert np.corrcoef(command[:, 1], position[:, 1])[0, 1] < -0.5
    finding = found(command, position)
    assert finding.verdict == "pass" and "not told" not in finding.text, finding.text


@pytest.mark.parametrize("command", [swings(0.5), excited(0)], ids=["slow", "excited"])
@pytest.mark.parametrize("late", [1, 4])
def test_a_joint_that_is_turned_round_moves_against_its_command(command: FloatArray, late: int) -> None:
    position = np.concatenate((np.repeat(command[:1], late, axis=0), command[:-late]))
    finding = found(command, position * [1.0, -1.0])
    assert finding.verdict == "fail", finding.text
    assert finding.text.startswith("elbow moves against its command")


def test_a_joint_that_is_turned_round_moves_against_steps() -> None:
    finding = found(steps(), weak_servos(steps()) * [1.0, -1.0])
    assert finding.verdict == "fail"
    assert finding.text.startswith("elbow moves against its command")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [2, 5, 31, 60])
def test_a_log_too_short_for_late_servos_does_without_them(rows: int) -> None:
    command = excited(0, rows)
    assert found(command, command).verdict != "fail"


def test_noise_that_hides_whether_a_swing_is_late_or_turned_round_leaves_it_untold() -> None:
    command = swings(2.0)
    noise = 0.15 * np.random.default_rng(0).standard_normal(command.shape)
    finding = found(command, command * [1.0, -1.0] + noise)
    assert finding.verdict == "pass"
    assert "not told: elbow comes late by half a swing, or moves the wrong way" in finding.text


def test_commands_may_stand_in_another_order_than_joints_and_be_fewer() -> None:
    command = excited(0)
    position = weak_servos(command)
    time, units = PERIOD * np.arange(len(command)), ("rad", "rad")
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
    log.channels["joint_position"] = Channel(time, position, JOINTS, units)
    for order in ([1, 0], [1]):
        names = tuple(JOINTS[column] for column in order)
        asked = Channel(time, command[:, order], names, units[: len(order)])
        log.channels["commanded_position"] = asked
        subject = make_subject(log)
        assert joint_order(subject).verdict == "pass"
        assert drift(subject).verdict == "pass"
    assert log.joints_of("commanded_position") == ("elbow",)


@pytest.mark.parametrize("mirrored", [0, 1])
def test_joints_that_are_swapped_and_of_the_other_sign(mirrored: int) -> None:
    command = excited(0)
    position = weak_servos(command)[:, ::-1] * np.where(np.arange(2) == mirrored, -1.0, 1.0)
    finding = found(command, position)
    assert finding.verdict == "fail" and finding.text.endswith("joints are swapped")
    assert (", of the other sign" in finding.text) == (mirrored == 0)


@pytest.mark.parametrize("late", [0.3, 0.6])
def test_commands_that_come_after_their_motion_are_by_another_clock(late: float) -> None:
    command = excited(1)
    time, units = PERIOD * np.arange(len(command)), ("rad", "rad")
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
    log.channels["joint_position"] = Channel(time, weak_servos(command), JOINTS, units)
    log.channels["commanded_position"] = Channel(time, command, JOINTS, units)
    assert clock(make_subject(log)).verdict == "pass"
    log.channels["commanded_position"].time = time + late
    finding = clock(make_subject(log))
    assert finding.verdict == "fail" and finding.blocks
    assert finding.numbers["ahead_s"] == pytest.approx(late - 0.15, abs=0.05)
    swing = np.sin(2 * np.pi * (time[:, None] - [0.0, 0.03]))
    log.channels["commanded_position"] = Channel(time, swing, JOINTS, units)
    log.channels["joint_position"] = Channel(time, np.roll(swing, 7, axis=0), JOINTS, units)
    assert clock(make_subject(log)).verdict == "pass"  # each swing resembles the next


@pytest.mark.parametrize("late", [0.0, 0.35])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_sine_that_comes_late_or_the_wrong_way_is_no_other_clock(late: float, sign: float) -> None:
    time = PERIOD * np.arange(1000)
    asked = np.sin(2 * np.pi * time[:, None] * [1.0, 1.0])
    moved = sign * np.sin(2 * np.pi * (time[:, None] - late) * [1.0, 1.0])
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
    log.channels["joint_position"] = Channel(time, moved, JOINTS, ("rad", "rad"))
    log.channels["commanded_position"] = Channel(time, asked, JOINTS, ("rad", "rad"))
    assert clock(make_subject(log)).verdict == "pass"
    moved[500] = np.nan
    assert "all joints move" not in clock(make_subject(log)).text


def test_commands_that_end_soon_or_logs_that_are_short_tell_nothing_of_their_clock() -> None:
    time, few = PERIOD * np.arange(1000), PERIOD * np.arange(20)
    for seen in (time, few[-1] * np.linspace(0.0, 1.0, 60)):
        log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
        swing = np.sin(2 * np.pi * seen[:, None] * [1.0, 2.0])
        log.channels["joint_position"] = Channel(seen, swing, JOINTS, ("rad", "rad"))
        asked = np.sin(2 * np.pi * few[:, None] * [1.0, 2.0])
        log.channels["commanded_position"] = Channel(few, asked, JOINTS, ("rad", "rad"))
        assert "all joints move" not in clock(make_subject(log)).text


@pytest.mark.parametrize(("early", "told"), [(0.0, False), (0.15, False), (0.5, True), (0.8, True)])
def test_commands_that_are_stamped_long_before_their_motion_are_by_another_clock(
    early: float, told: bool
) -> None:
    command = excited(1)
    time, units = PERIOD * np.arange(len(command)), ("rad", "rad")
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={name: name for name in JOINTS})
    log.channels["joint_position"] = Channel(time, weak_servos(command), JOINTS, units)
    log.channels["commanded_position"] = Channel(time - early, command, JOINTS, units)
    finding = clock(make_subject(log))
    assert finding.text.startswith("all joints move ") == told, finding.text
    if told:
        assert finding.verdict == "fail" and finding.blocks
        assert finding.numbers["behind_s"] == pytest.approx(early + 0.15, abs=0.05)


@pytest.mark.parametrize(
    ("scale", "unit"), [(180 / np.pi, "positions in degrees"), (np.pi / 180, "commands in degrees")]
)
def test_a_joint_in_another_unit_than_its_command_is_named_without_a_robot(
    scale: float, unit: str
) -> None:
    command = excited(0)
    finding = found(command, weak_servos(command) * [1.0, scale])
    assert finding.verdict == "fail"
    assert finding.text.startswith("elbow moves ") and finding.text.endswith(f"{unit}?")


def test_a_weak_servo_that_goes_half_as_far_as_it_is_told_is_in_its_unit() -> None:
    command = excited(0)
    assert found(command, 0.5 * weak_servos(command)).verdict == "pass"


def test_a_servo_that_seems_to_turn_several_times_to_and_fro_is_in_degrees() -> None:
    command = excited(0)
    time, joints = PERIOD * np.arange(len(command)), JOINTS
    for scale, verdict in ((1.0, "skip"), (180 / np.pi, "warn")):
        log = RobotLog("servos", joint_names=joints, actuator_joints={name: name for name in joints})
        for name, values in (("joint_position", weak_servos(command)), ("commanded_position", command)):
            log.channels[name] = Channel(time, scale * values, joints, ("rad", "rad"))
        assert position_range(make_subject(log)).verdict == verdict


def test_a_joint_that_nobody_commands_is_no_pendulum_where_positions_command_others() -> None:
    command = excited(0)
    time = PERIOD * np.arange(len(command))
    log = RobotLog("servos", joint_names=JOINTS, actuator_joints={"x": "x", "y": "y"})
    log.channels["joint_position"] = Channel(time, weak_servos(command), JOINTS, ("rad", "rad"))
    log.channels["commanded_position"] = Channel(time, command, ("x", "y"), ("m", "m"))
    assert drift(make_subject(log)).verdict == "skip"
    log.actuator_joints = {"a": "shoulder"}
    log.channels["commanded_position"] = Channel(time, command[:, :1], ("a",), ("rad",))
    assert drift(make_subject(log)).verdict == "pass"
