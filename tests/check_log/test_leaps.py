"""Sensors that get stuck, single readings that cannot be, angles that wrap, and what only looks so."""

import numpy as np
import pytest

from simreal.bench.log_faults import FAULTS, planted, sound
from simreal.check_log.finding import Finding
from simreal.check_log.spike_check import spikes, spikes_of, wrapped
from simreal.check_log.stuck_check import stuck
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray

PERIOD = 0.01
TIME = PERIOD * np.arange(1000)
COUNT = 2 * np.pi / 4096


def servo(position: FloatArray, command: FloatArray | None = None, period: float = PERIOD) -> RobotLog:
    """A log of one joint, in steps of its encoder."""
    log, time = RobotLog("servo", joint_names=("elbow",)), period * np.arange(len(position))
    counted = COUNT * np.round(position / COUNT)
    log.channels["joint_position"] = Channel(time, counted[:, None], ("elbow",), ("rad",))
    if command is not None:
        log.channels["commanded_position"] = Channel(time, command[:, None], ("elbow",), ("rad",))
    return log


def swing(late: float = 0.0) -> FloatArray:
    """(1000,) rad."""
    return np.asarray(0.5 * np.sin(2 * np.pi * 0.4 * (TIME - late)))


def stuck_in(position: FloatArray, command: FloatArray | None = None, period: float = PERIOD) -> Finding:
    return stuck(make_subject(servo(position, command, period)))


def test_a_sensor_that_is_stuck_is_told_by_the_leap_at_its_end() -> None:
    position = swing()
    position[400:500] = position[400]
    finding = stuck_in(position)
    assert finding.verdict == "fail"
    assert finding.text.startswith("elbow reads the same for 0.99 s from 4.000 s on, then leaps by")


def test_a_sensor_that_dies_is_told_by_a_command_to_both_sides() -> None:
    position = swing(0.1)
    position[620:] = 0.1
    finding = stuck_in(position, swing())
    assert finding.verdict == "fail"
    assert "while it is told to go to -0.5 and 0.5 rad" in finding.text
    assert stuck_in(position).verdict == "pass"  # nothing says that it should move


def test_a_joint_against_its_stop_or_an_object_is_not_stuck() -> None:
    command = swing()
    held = np.maximum(swing(0.1), 0.1)  # fingers that close on something
    assert stuck_in(held, command).verdict == "pass"


@pytest.mark.parametrize("period", [0.01, 0.04, 0.1])
def test_a_stiff_servo_that_follows_steps_within_a_sample_is_not_stuck(period: float) -> None:
    command = np.where(np.arange(1000) < 500, 0.0, 0.4)
    position = np.concatenate([command[:1], command[:-1]])
    assert stuck_in(position, command, period).verdict == "pass"


def test_a_joint_that_starts_from_rest_is_not_stuck() -> None:
    rests = np.where(TIME < 5, 0.0, 0.5 - 0.5 * np.cos(2 * np.pi * (TIME - 5)))
    assert stuck_in(rests).verdict == "pass"


def test_a_velocity_with_an_offset_tells_of_no_motion() -> None:
    position = np.where(TIME < 5, swing(), swing()[500])
    log = servo(position)
    velocity = np.gradient(position, TIME) + 0.03
    log.channels["joint_velocity"] = Channel(TIME, velocity[:, None], ("elbow",), ("rad/s",))
    assert stuck(make_subject(log)).verdict == "pass"
    position[300:380] = position[300]
    live = np.gradient(swing(), TIME)
    log = servo(position)
    log.channels["joint_velocity"] = Channel(TIME, live[:, None], ("elbow",), ("rad/s",))
    assert stuck(make_subject(log)).verdict == "fail"


def test_single_readings_are_named_by_joint_number_and_time() -> None:
    position = swing()
    position[[100, 333, 334]] = 0.0
    finding = spikes(make_subject(servo(position)))
    assert finding.verdict == "warn"
    assert finding.text.startswith("elbow leaps away and back in 3 readings")
    assert finding.text.endswith("3 of them read 0")


@pytest.mark.parametrize("rows", [[100, 102], [100, 103], [100, 102, 104], [100, 101, 103], [300, 304]])
def test_sound_readings_between_spikes_are_not_counted(rows: list[int]) -> None:
    position = swing()
    position[rows] += 0.4
    finding = spikes(make_subject(servo(position)))
    assert finding.numbers["spikes"] == len(rows), finding.text


def test_a_dozen_spikes_are_a_dozen() -> None:
    for seed in range(20):
        random, position = np.random.default_rng(seed), swing()
        rows = random.choice(np.arange(30, 970), 12, replace=False)
        position[rows] += random.choice([-1.0, 1.0], 12) * random.uniform(0.2, 1.0, 12)
        assert set(spikes_of(TIME, position)) <= set(rows.tolist())


def test_a_command_that_chatters_and_noise_make_no_spikes() -> None:
    random = np.random.default_rng(0)
    for position in (
        swing() + 0.01 * random.normal(size=1000),
        np.where(np.arange(1000) % 2, 0.1, -0.1),
    ):
        assert spikes(make_subject(servo(position))).verdict == "pass"


def test_a_wrapped_angle_is_named() -> None:
    turning = 1.5 * TIME
    finding = wrapped(make_subject(servo(np.remainder(turning + np.pi, 2 * np.pi) - np.pi)))
    assert finding.verdict == "fail" and finding.blocks
    assert "elbow leaps by a whole turn at 2.100 s (2 such leaps)" in finding.text
    assert wrapped(make_subject(servo(turning))).verdict == "pass"


@pytest.mark.parametrize("check", ["spikes", "stuck", "wrapped"])
def test_planted_faults_are_found_and_sound_logs_pass(check: str) -> None:
    function = {"spikes": spikes, "stuck": stuck, "wrapped": wrapped}[check]
    for fault in (fault for fault in FAULTS if fault.check == check):
        assert function(make_subject(planted(fault, 0))).verdict in ("warn", "fail"), fault.name
        assert function(make_subject(sound(fault.base, 0))).verdict == "pass"
