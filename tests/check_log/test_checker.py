from dataclasses import replace

import numpy as np
import pytest

from simreal.bench.log_faults import FAULTS, Fault, planted, sound
from simreal.check_log.checker import CHECKS, check_log
from simreal.check_log.drift_checks import drift
from simreal.check_log.finding import Finding, worst
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import RobotLog


def by_check(log: RobotLog) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_log(make_subject(log))}


def test_an_empty_log_is_skipped_by_all_that_needs_a_sensor() -> None:
    findings = check_log(make_subject(RobotLog("empty")))
    assert worst(findings) == "pass"
    assert sum(finding.verdict == "skip" for finding in findings) > 10


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
