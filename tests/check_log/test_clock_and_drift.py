"""What a healthy flight looks like: checks that must stay silent about it, and speak when it is not."""

from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.bench.log_faults import sound
from simreal.check_log.checker import check_log
from simreal.check_log.clock_checks import clock
from simreal.check_log.drift_checks import drift
from simreal.check_log.effort_checks import command_limits
from simreal.check_log.offset_check import servo_offset
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.physics.model import compile_model
from simreal.robots.loader import load_robot

RATE = 50.0
ARM = load_robot("so101")
JOINTS = ARM.description.joint_names


def channel(time: NDArray[np.float64], values: NDArray[np.float64], unit: str = "rad") -> Channel:
    return Channel(time, values, JOINTS[: values.shape[1]], (unit,) * values.shape[1])


def sagging_arm(slip: float = 0.0) -> RobotLog:
    """An SO-101 that reaches out slowly and sags under its weight; its second encoder may slip, rad."""
    model = compile_model(ARM)
    data = mujoco.MjData(model)
    time = np.arange(0.0, 12.0, 1.0 / RATE)
    asked = np.tile(ARM.description.default_position, (len(time), 1))
    asked[:, 1] = np.linspace(-1.5, 0.3, len(time))
    position = asked.copy()
    for row in range(len(time)):
        for _ in range(20):  # until posture and load agree
            data.qpos[:] = 0.0
            for column, name in enumerate(JOINTS):
                data.joint(name).qpos = position[row, column]
            mujoco.mj_forward(model, data)
            for column, each in enumerate(ARM.description.actuators):
                sag = data.joint(each.joint).qfrc_bias[0] / each.stiffness
                position[row, column] = asked[row, column] - sag
    position[:, 1] += np.linspace(0.0, slip, len(time))
    actuators = {each.name: each.joint for each in ARM.description.actuators}
    channels = {
        "joint_position": channel(time, position),
        "commanded_position": Channel(time, asked, tuple(actuators), ("rad",) * len(actuators)),
    }
    return RobotLog("sagging", channels, JOINTS, actuators, "so101")


def test_a_servo_that_sags_where_it_reaches_out_does_not_drift_but_one_that_slips_does() -> None:
    log = sagging_arm()
    known, unknown = drift(make_subject(log)), drift(make_subject(replace(log, robot=None)))
    assert known.numbers["drift"] < 0.002
    assert unknown.numbers["drift"] > 0.05  # nobody knows what it carries
    assert drift(make_subject(sagging_arm(slip=0.4))).verdict == "fail"


def test_a_servo_that_sags_has_no_offset_but_one_that_was_calibrated_wrong_has() -> None:
    log = sagging_arm()
    assert servo_offset(make_subject(log)).verdict == "pass"
    sag = log["joint_position"].values[:, 1] - log["commanded_position"].values[:, 1]
    assert np.ptp(sag) > 0.05
    log.channels["joint_position"].values[:, 1] += 0.15
    finding = servo_offset(make_subject(log))
    assert finding.verdict in ("warn", "fail")
    assert finding.text.startswith("shoulder_lift stands +0.1")


def test_stamps_of_what_a_policy_saw_may_stand_still_but_not_those_of_sensors() -> None:
    log = sagging_arm()
    time = log["joint_position"].time
    late = np.repeat(time[100::2], 2)  # it begins later, and sees each state twice
    seen = Channel(late, np.arange(len(late))[:, None] * 1.0, ("x",), ("",))
    log.channels["observation"] = seen
    assert clock(make_subject(log)).verdict == "pass"
    log.channels["joint_velocity"] = channel(
        np.repeat(time[::2], 2), np.random.default_rng(0).random((len(time), 6))
    )
    found = clock(make_subject(log))
    assert found.verdict == "fail" and "joint_velocity" in found.text


def test_sensors_that_begin_apart_are_told_and_commands_that_do_are_not() -> None:
    log = sagging_arm()
    commands = log["commanded_position"]
    log.channels["commanded_position"] = commands.rows(np.arange(len(commands)) >= 100)
    assert clock(make_subject(log)).verdict == "pass"
    positions = log["joint_position"]
    late = positions.rows(np.arange(len(positions)) >= 100)
    log.channels["joint_velocity"] = replace(late, units=("rad/s",) * 6)
    assert clock(make_subject(log)).verdict == "warn"


def test_times_in_milliseconds_are_not_taken_for_seconds() -> None:
    log = sagging_arm()
    for factor, unit in ((1e3, "ms"), (1e6, "us"), (1e9, "ns")):
        channels = {name: replace(each, time=factor * each.time) for name, each in log.channels.items()}
        finding = clock(make_subject(replace(log, channels=channels)))
        assert finding.verdict == "fail" and finding.blocks
        assert f"are its times in {unit}? That would be 50 Hz" in finding.text
    assert clock(make_subject(log)).verdict == "pass"


def test_a_single_command_with_which_the_log_begins_is_on_its_clock() -> None:
    log = sagging_arm()
    log.channels["commanded_position"] = log["commanded_position"].rows(slice(1))
    assert clock(make_subject(log)).verdict == "pass"


def test_commands_that_bear_the_names_of_joints_are_held_against_their_actuators() -> None:
    """As in ROS, which knows no names of actuators: the Qube's motor drives its arm."""
    log = sound("qube", 0)
    command = log["commanded_voltage"]
    assert command.names == ("motor",)
    bag = replace(
        log,
        channels={**log.channels, "commanded_voltage": replace(command, names=("arm",))},
        actuator_joints={"arm": "arm", "pendulum": "pendulum"},
    )
    told = {each.check: (each.verdict, each.text) for each in check_log(make_subject(bag))}
    assert told["command_limits"][0] == "pass"
    assert told == {each.check: (each.verdict, each.text) for each in check_log(make_subject(log))}
    bag.channels["commanded_voltage"].values[:] *= 100
    assert command_limits(make_subject(bag)).verdict == "fail"


def test_a_command_without_known_limits_is_not_within_them() -> None:
    log = sound("qube", 0)
    command = replace(log["commanded_voltage"], names=("fan",))
    found = command_limits(make_subject(replace(log, channels={"commanded_voltage": command})))
    assert (found.verdict, found.text) == ("skip", "no limit is known of fan")


def test_the_command_that_is_beyond_its_limits_is_named_not_the_largest_one() -> None:
    log = sagging_arm()
    log.channels["commanded_position"].values[::2, JOINTS.index("gripper")] = -0.3
    finding = command_limits(make_subject(log))
    assert finding.text.startswith("gripper is asked for up to -0.3 rad, it can do -0.174533 to")
