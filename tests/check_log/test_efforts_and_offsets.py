"""Efforts of another sign or unit than the robot's model needs, and servos whose zero is off."""

from dataclasses import replace

import numpy as np
import pytest

from simreal.bench.log_faults import sound
from simreal.check_log.effort_checks import delivered_effort
from simreal.check_log.finding import Finding
from simreal.check_log.joint_checks import joint_order
from simreal.check_log.measured_effort_check import measured_effort
from simreal.check_log.offset_check import servo_offset
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray


def leg(seed: int = 0, **changes: FloatArray) -> RobotLog:
    """A leg of position servos, with columns added to or multiplied: `effort` and `position`."""
    log = sound("leg", seed)
    if "effort" in changes:
        log.channels["joint_effort"].values *= changes["effort"]
    if "position" in changes:
        log.channels["joint_position"].values += changes["position"]
    return log


def effort_of(log: RobotLog) -> Finding:
    return measured_effort(make_subject(log))


def offset_of(log: RobotLog) -> Finding:
    return servo_offset(make_subject(log))


@pytest.mark.parametrize("seed", range(3))
def test_a_leg_whose_efforts_and_zeros_are_right_is_sound(seed: int) -> None:
    log = leg(seed)
    assert effort_of(log).verdict == "pass", effort_of(log).text
    assert offset_of(log).verdict == "pass", offset_of(log).text


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ([1.0, -1.0], "the effort of knee of the other sign"),
        ([-1.0, 1.0], "the effort of hip of the other sign"),
        ([1e3, 1e3], "in mN·m"),
        ([1e2, 1e2], "in N·cm"),
        ([1.0, -1e3], "the effort of knee in mN·m, of the other sign"),
    ],
)
def test_measured_efforts_of_another_sign_or_unit_are_told(factors: list[float], told: str) -> None:
    finding = effort_of(leg(effort=np.array(factors)))
    assert finding.verdict == "fail", finding.text
    assert told in finding.text


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_efforts_of_a_leg_that_is_lighter_or_heavier_than_its_model_are_sound(factor: float) -> None:
    assert effort_of(leg(effort=np.array([factor, factor]))).verdict == "pass"


def test_an_effort_that_explains_nothing_of_its_motion_is_a_warning() -> None:
    log = leg()
    table = log.channels["joint_effort"]
    table.values[:, 1] = 3.0 * np.sign(np.sin(40.0 * table.time))
    finding = effort_of(log)
    assert finding.verdict == "warn"
    assert finding.text.startswith("the effort of knee explains nothing of its motion")


def test_efforts_of_a_robot_that_nobody_knows_are_not_held_against_a_model() -> None:
    log = replace(leg(), robot=None)
    assert effort_of(log).verdict == "skip"
    assert offset_of(log).verdict == "skip"


@pytest.mark.parametrize(
    ("factor", "told"), [(-1.0, ": of the other sign?"), (1e3, ": mN·m beside N·m?"), (1.0, "")]
)
def test_a_delivered_effort_of_another_sign_or_unit_than_the_desired_one(
    factor: float, told: str
) -> None:
    log = sound("arm", 0)
    log.channels["joint_effort"].values *= factor
    finding = delivered_effort(make_subject(log))
    assert finding.verdict == ("pass" if factor == 1.0 else "fail")
    assert finding.text.endswith(told or "(root mean square)")


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1e3, "the command in mV"), (1e-3, "the command in kV"), (-1.0, "the command of the other sign")],
)
def test_commands_of_another_unit_or_sign_are_told_by_the_model(factor: float, told: str) -> None:
    log = sound("qube", 1)
    log.channels["commanded_voltage"].values *= factor
    finding = joint_order(make_subject(log))
    assert finding.verdict == "fail", finding.text
    assert f"far better with {told}" in finding.text


def test_a_motion_of_which_the_model_explains_nothing_is_no_pass() -> None:
    log = sound("qube", 0)
    random = np.random.default_rng(0)
    noise = np.repeat(random.choice([-1.0, 1.0], 250), 10)[:, None]
    log.channels["commanded_voltage"].values = 400.0 * noise
    finding = joint_order(make_subject(log))
    assert finding.verdict == "warn"
    assert finding.text.startswith("the robot's model explains nothing of the motion")


@pytest.mark.parametrize(("offset", "verdict"), [(0.12, "warn"), (-0.12, "warn"), (0.3, "fail")])
@pytest.mark.parametrize("joint", ["hip", "knee"])
def test_a_servo_whose_zero_is_off_is_told(offset: float, verdict: str, joint: str) -> None:
    finding = offset_of(leg(position=np.where(np.array(["hip", "knee"]) == joint, offset, 0.0)))
    assert finding.verdict == verdict, finding.text
    assert finding.text.startswith(f"{joint} stands ")
    assert finding.numbers[f"offset_{joint}"] == pytest.approx(offset, abs=0.01)


@pytest.mark.parametrize("softer", [0.5, 2.0])
def test_what_load_or_softness_makes_of_a_servo_is_no_offset(softer: float) -> None:
    """Its errors are half or twice what the model expects."""
    log = leg()
    asked = log["commanded_position"].values
    table = log.channels["joint_position"]
    table.values = asked + softer * (table.values - asked)
    assert offset_of(log).verdict == "pass", offset_of(log).text


def test_a_joint_that_an_object_holds_up_for_half_the_time_has_no_offset() -> None:
    log = leg()
    table = log.channels["joint_position"]
    table.values[1000:2300, 1] += 0.4
    assert offset_of(log).verdict == "pass", offset_of(log).text


def test_commands_that_were_not_followed_tell_of_no_offset() -> None:
    log = leg()
    table = log.channels["joint_position"]
    table.values[:2000, 1] += 0.4
    authority = np.where(np.arange(len(table)) < 2000, 0.0, 1.0)[:, None]
    log.channels["authority"] = Channel(table.time, authority, ("authority",), ("",))
    assert offset_of(log).verdict in ("pass", "skip")
