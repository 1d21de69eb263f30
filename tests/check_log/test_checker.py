from dataclasses import replace

import numpy as np
import pytest

from simreal.bench.log_faults import FAULTS, Fault, planted, sound
from simreal.check_log.checker import CHECKS, check_log
from simreal.check_log.drift_checks import drift
from simreal.check_log.finding import Finding, worst
from simreal.check_log.joint_checks import joint_order
from simreal.check_log.sample_checks import encoder, quantum_of
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, LogEvent, RobotLog


def by_check(log: RobotLog) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_log(make_subject(log))}


def test_an_empty_log_is_skipped_by_all_that_needs_a_sensor() -> None:
    findings = check_log(make_subject(RobotLog("empty")))
    assert worst(findings) == "fail"
    assert findings[0].text == "nothing to check: no row of a channel of sensors (channels: none)"
    assert sum(finding.verdict == "skip" for finding in findings) > 10


@pytest.mark.parametrize("rows", [slice(3), slice(None, 100), slice(None, 200)])
def test_a_log_with_hardly_anything_to_check_does_not_simply_pass(rows: slice) -> None:
    log = sound("qube", 0)
    channels = {name: table.rows(rows) for name, table in log.channels.items()}
    finding = by_check(replace(log, channels=channels))["whole"]
    little = len(channels["joint_position"]) < 126  # half a second of 250 Hz
    assert finding.verdict == ("warn" if little else "pass")
    assert finding.text.startswith("hardly anything to check: ") == little


def test_what_follows_from_a_broken_clock_is_not_said_again() -> None:
    [fault] = [fault for fault in FAULTS if fault.name == "the clock goes back"]
    findings = by_check(planted(fault, 0))
    assert findings["clock"].verdict == "fail"
    assert findings["drift"].text == "not before clock is mended"


def test_a_reading_that_stays_constant_fails_and_the_rest_is_looked_at() -> None:
    log = sound("qube", 0)
    table = log.channels["joint_velocity"]
    values = table.values.copy()
    values[:, 0] = 0.0
    log.channels["joint_velocity"] = replace(table, values=values)
    findings = by_check(log)
    assert findings["values"].verdict == "fail"
    assert findings["values"].text.startswith("constant from beginning to end: joint_velocity of ")
    assert not any("is mended" in finding.text for finding in findings.values())


@pytest.mark.parametrize(
    "fault", [each for each in FAULTS if each.check == "clock"], ids=lambda fault: fault.name
)
def test_every_broken_clock_blocks_what_computes_with_time(fault: Fault) -> None:
    findings = by_check(planted(fault, 0))
    later = list(CHECKS)[list(CHECKS).index("clock") + 1 :]
    blocked = findings["clock"].verdict == "fail"
    assert {findings[name].text == "not before clock is mended" for name in later} == {blocked}


def test_a_fault_says_what_and_where() -> None:
    [fault] = [fault for fault in FAULTS if fault.name == "a value is no number"]
    log = planted(fault, 0)
    row = int(np.flatnonzero(np.isnan(log["joint_velocity"].values[:, 0]))[0])
    at = log["joint_velocity"].time[row]
    text = f"joint_velocity of base is no number in row {row}, at {at:.3f} s (1 such values)"
    assert by_check(log)["values"].text == text


def test_rows_that_are_logged_twice_are_stale_and_no_broken_clock() -> None:
    """As of a control loop that was faster than its robot for a moment."""
    log = sound("arm", 0)
    twice = np.sort(np.concatenate([np.arange(2400), np.arange(500, 620)]))
    for name, table in log.channels.items():
        log.channels[name] = table.rows(twice)
    findings = by_check(log)
    assert findings["clock"].verdict == "pass"
    finding = findings["repeats"]
    assert finding.verdict == "warn"
    assert finding.numbers["again"] == pytest.approx(120 / 2520)


@pytest.mark.parametrize("seed", range(3))
def test_drift_is_found_without_a_model_too(seed: int) -> None:
    """By the middle of the swing alone."""
    log = sound("qube", seed)
    log.robot = None
    before = drift(make_subject(log)).numbers["drift"]
    [fault] = [fault for fault in FAULTS if fault.check == "drift" and fault.base == "qube"]
    log = planted(fault, seed)
    log.robot = None
    finding = drift(make_subject(log))
    assert finding.verdict == "fail"
    assert finding.numbers["drift"] == pytest.approx(0.3, abs=0.12)
    assert before < 0.1


@pytest.mark.parametrize("step", [0.01, 2 * np.pi / 2048])
def test_encoder_steps(step: float) -> None:
    motion = np.sin(np.linspace(0, 30, 3000))
    assert quantum_of(step * np.round(motion / step)) == pytest.approx(step, rel=1e-3)
    rounded = (step * np.round(motion / step)).astype(np.float32).astype(np.float64)
    assert quantum_of(rounded) == pytest.approx(step, rel=1e-3)
    assert quantum_of(motion + 1e-3 * np.random.default_rng(0).standard_normal(3000)) == 0


def chattering(seed: int, rows: int = 1000) -> RobotLog:
    """A servo arm at 50 Hz, as of `simreal deploy`, told to and fro from sample to sample."""
    random, period = np.random.default_rng(seed), 0.02
    time = period * np.arange(rows)
    swing = np.where(np.arange(rows) % 2, 1.0, -1.0)[:, None]
    # By some chance the policy leans to one side for a while, more so later.
    lean = np.repeat(random.normal(0.0, 0.6, (rows // 50 + 1, 2)), 50, axis=0)[:rows]
    command = swing * random.uniform(0.3, 1.0, (rows, 2)) + lean
    position, velocity = np.zeros((2, rows, 2))
    for row in range(1, rows):  # a servo that comes nearly half of the way within a sample
        velocity[row] = 0.45 * (command[row - 1] - position[row - 1]) / period
        position[row] = position[row - 1] + period * velocity[row]
    joints, units = ("shoulder", "elbow"), ("rad", "rad")
    log = RobotLog("chatter", joint_names=joints, actuator_joints={name: name for name in joints})
    log.channels["joint_position"] = Channel(time, position, joints, units)
    log.channels["commanded_position"] = Channel(time, command, joints, units)
    return log


@pytest.mark.parametrize("seed", range(4))
def test_a_command_that_chatters_is_no_fault_of_clock_joints_or_encoder(seed: int) -> None:
    findings = by_check(chattering(seed))
    for check in ("hidden_jitter", "joint_order"):
        assert findings[check].verdict == "skip"
        assert findings[check].unfit
        assert "not to be told from this log: " in findings[check].text
    assert "to and fro" in findings["joint_order"].text
    assert findings["drift"].verdict != "fail"


def test_seconds_that_differ_by_themselves_are_no_drift() -> None:
    log = chattering(0)
    time = log["joint_position"].time
    restless = 0.5 * np.sign(np.sin(np.arange(len(time)) // 50 * 2.4)) + 0.1 * time / time[-1]
    log.channels["joint_position"].values[:] = log["commanded_position"].values + restless[:, None]
    finding = by_check(log)["drift"]
    assert (finding.verdict, finding.unfit) == ("skip", True)
    # The same trend of a joint that is at peace fails.
    slow = 0.3 * time / time[-1]
    log.channels["joint_position"].values[:] = log["commanded_position"].values + slow[:, None]
    assert by_check(log)["drift"].verdict == "fail"


def test_a_tenth_of_a_second_of_motion_tells_no_sign_and_no_unit() -> None:
    """As of a log that was cut off just when its policy took over."""
    log = chattering(0, 60)
    for table in log.channels.values():
        table.values[:55] = 0.0
    log.channels["joint_position"].values[55:] *= -1.0
    table = log["joint_position"]
    log.channels["joint_velocity"] = replace(table, values=7.0 * np.gradient(table.values, 0.02, axis=0))
    findings = by_check(log)
    for check in ("joint_order", "velocity_scale"):
        assert (findings[check].verdict, findings[check].unfit) == ("skip", True)
        assert "too short" in findings[check].text


def _changed(log: RobotLog, channel: str, rows: slice, column: int | None = None) -> RobotLog:
    """The log with some rows of a channel, or with a column of it that stands still."""
    table = log[channel].rows(rows)
    values = table.values.copy()
    if column is not None:
        values[:, column] = 0.3
    return replace(log, channels=log.channels | {channel: replace(table, values=values)})


@pytest.mark.long
@pytest.mark.filterwarnings("error")
def test_a_log_is_checked_without_the_rows_of_any_channel() -> None:
    for robot in ("qube", "arm"):
        log = sound(robot, 0)
        for channel in log.channels:
            values = by_check(_changed(log, channel, slice(0)))["values"]
            assert values.text == f"not a single row: {channel}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [0, 1, 2, 20])
def test_a_short_log_is_checked_as_far_as_it_goes(rows: int) -> None:
    log = sound("qube", 0)
    short = replace(log, channels={name: each.rows(slice(rows)) for name, each in log.channels.items()})
    told = by_check(short)["values"].text
    assert told.startswith("not a single row") == (rows == 0)
    assert told.startswith("one row alone: joint_position, joint_velocity") == (rows == 1)


@pytest.mark.filterwarnings("error")
def test_a_number_beyond_belief_is_told_like_one_that_is_none() -> None:
    log = sound("qube", 0)
    log.channels["joint_position"].values[100, 1] = 1e300
    findings = by_check(log)
    text = "joint_position of pendulum is 1e+300, beyond belief, in row 100, at 0.400 s (1 such values)"
    assert findings["values"].text == text
    assert findings["drift"].text == "not before values is mended"


def test_a_robot_that_nobody_knows_is_named_with_the_nearest_one() -> None:
    subject = make_subject(replace(sound("qube", 0), robot="quube"))
    told = "no robot 'quube' is known: did you mean 'qube'?"
    assert [note.endswith(told) for note in subject.notes] == [True]
    assert make_subject(sound("qube", 0)).notes == []
    finding = {each.check: each for each in check_log(subject)}["position_range"]
    assert (finding.verdict, finding.text.endswith(told)) == ("skip", True)


def test_a_fault_that_the_log_tells_of_is_told_where_a_sensor_seems_dead() -> None:
    log = sound("qube", 0)
    log.channels["joint_position"].values[:, 1] = 0.0
    log.events.append(LogEvent(3.2, "phase", "fault, damp: motor_fault: lift: overload", "motor_fault"))
    told = "the log tells of a fault: fault, damp: motor_fault: lift: overload (at 3.20 s)"
    assert make_subject(log).notes == [told]
    assert by_check(log)["values"].advice.startswith(told)


def test_a_channel_without_a_row_is_named() -> None:
    finding = by_check(_changed(sound("qube", 0), "joint_velocity", slice(0)))["values"]
    assert (finding.verdict, finding.text) == ("fail", "not a single row: joint_velocity")


def test_neither_an_empty_channel_nor_a_dead_sensor_hides_what_else_is_wrong() -> None:
    empty = _changed(sound("qube", 0), "joint_velocity", slice(0))
    dead = by_check(_changed(empty, "joint_position", slice(None), column=1))["values"].text
    assert dead.startswith("not a single row: joint_velocity; constant from beginning to end: joint_pos")
    values = empty["joint_position"].values.copy()
    values[200, 1] = np.nan
    table = replace(empty["joint_position"], values=values)
    findings = by_check(replace(empty, channels=empty.channels | {"joint_position": table}))
    assert "is no number in row 200" in findings["values"].text


@pytest.mark.filterwarnings("error")
def test_no_motion_is_asked_of_a_model_whose_joint_reads_the_same_all_along() -> None:
    """A dead sensor is one fault: neither a zero that moves, nor a hand that pushes."""
    findings = by_check(_changed(sound("qube", 0), "joint_position", slice(None), column=1))
    assert findings["values"].text == "constant from beginning to end: joint_position of pendulum"
    assert {name for name, each in findings.items() if each.verdict in ("warn", "fail")} == {"values"}


def test_an_arm_whose_gripper_rests_is_told_what_the_others_tell() -> None:
    """Of a robot that follows positions, no model is asked of the motion anyway."""
    log = sound("arm", 0)
    resting = _changed(log, "joint_position", slice(None), column=-1)
    assert by_check(resting)["excitation"].verdict != "skip"


def test_a_joint_that_is_told_to_rest_may_rest() -> None:
    log = sound("arm", 0)
    for channel in ("joint_position", "joint_velocity"):
        log = _changed(log, channel, slice(None), 2)
    moved = by_check(log)["values"]
    assert moved.verdict == "fail"
    for channel in ("commanded_position", "commanded_effort"):
        log = _changed(log, channel, slice(None), 2)
    rests = by_check(log)["values"]
    assert rests.verdict == "warn"
    told = "constant, like their commands: joint_position of elbow, joint_velocity of elbow"
    assert rests.text == told


@pytest.mark.parametrize(("times", "levels", "verdict"), [(4, 100, "fail"), (4, 10, "pass")])
def test_an_encoder_that_is_several_times_as_coarse(times: int, levels: int, verdict: str) -> None:
    log = sound("qube", 0)
    step = times * 2 * np.pi / 2048
    table = log["joint_position"]
    swing = 0.5 * levels * np.sin(2 * np.pi * table.time[:, None] * [0.5, 0.7])
    log.channels["joint_position"] = replace(table, values=step * np.round(swing))
    assert encoder(make_subject(log)).verdict == verdict


@pytest.mark.parametrize(("late", "told"), [(0.3, "0.30 s sooner"), (-0.5, "0.50 s later")])
def test_efforts_that_are_stamped_by_another_clock(late: float, told: str) -> None:
    log = sound("qube", 1)
    table = log["commanded_voltage"]
    log.channels["commanded_voltage"] = replace(table, time=table.time + late)
    finding = joint_order(make_subject(log))
    assert finding.verdict == "fail" and f"far better with commands {told}" in finding.text
    log.channels["commanded_voltage"] = replace(table, time=table.time + 0.05)
    assert joint_order(make_subject(log)).verdict == "pass"  # an amplifier may be as late


def test_a_channel_of_another_rate_in_the_rows_of_the_others_is_told_as_that() -> None:
    log = sound("qube", 0)
    log.channels["commanded_voltage"].values[5] = np.nan
    assert "a reading that failed" in by_check(log)["values"].advice
    log.channels["commanded_voltage"].values[np.arange(len(log["commanded_voltage"])) % 5 > 0] = np.nan
    assert "is it recorded at another rate?" in by_check(log)["values"].advice


def test_a_free_swing_without_a_command_tells_of_inertia_and_friction() -> None:
    """It was said to tell no more than where it comes to rest."""
    time = 0.004 * np.arange(2500)
    swing = 2.0 * np.exp(-0.15 * time) * np.cos(2 * np.pi * 0.8 * time)
    log = RobotLog("free", joint_names=("shoulder",), actuator_joints={"motor": "shoulder"})
    log.channels["joint_position"] = Channel(time, swing[:, None], ("shoulder",), ("rad",))
    for torque, verdict in ((0.0, "pass"), (0.9, "fail")):
        held = np.full((len(time), 1), torque)
        log.channels["commanded_effort"] = Channel(time, held, ("motor",), ("N·m",))
        finding = by_check(log)["excitation"]
        assert (finding.verdict == "fail") == (verdict == "fail")
        assert ("the command is constant" in finding.text) == (verdict == "fail")
