from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.bench.log_faults import sound
from simreal.check_log.lag_check import euler_corner, fit_lag, low_pass, velocity_lag
from simreal.check_log.subject import make_subject
from simreal.check_log.velocity_checks import seconds_apart, velocity_scale
from simreal.logs.robot_log import RobotLog

STEP = 0.004
TIME = STEP * np.arange(2500)
TIMES = sound("arm", 0)["joint_position"].time


def motion(seed: int) -> np.ndarray:
    """Positions of some sines, whole encoder steps of 3 mrad."""
    random = np.random.default_rng(seed)
    waves = [np.sin(2 * np.pi * f * TIME + random.uniform(0, 6)) for f in random.uniform(0.3, 4, 6)]
    return 0.003 * np.round(np.sum(waves, axis=0) / 6 / 0.003)


@pytest.mark.parametrize("substeps", [1, 2, 4])
def test_euler_steps_make_the_same_filter_of_another_corner(substeps: int) -> None:
    """Forward Euler on a line between samples, written out."""
    position, corner = motion(0), 52.7
    fine = np.interp(np.arange(len(position) * substeps) / substeps, np.arange(len(position)), position)
    own = euler_corner(corner, STEP, substeps)
    smooth, told = position[0], []
    for row, value in enumerate(fine):
        if row % substeps == 0:
            told.append(own * (value - smooth))
        smooth += own * STEP / substeps * (value - smooth)
    velocity = corner * (position - low_pass(position, corner, STEP))
    np.testing.assert_allclose(velocity[:-1], told[:-1], atol=1e-10)


@settings(max_examples=12)
@given(corner=st.floats(15, 120), seed=st.integers(0, 99))
def test_the_corner_of_a_filter_is_found(corner: float, seed: int) -> None:
    position = motion(seed)
    velocity = corner * (position - low_pass(position, corner, STEP))
    lag = fit_lag(TIME, position, velocity + 0.01 * np.random.default_rng(1).standard_normal(len(TIME)))
    assert lag is not None and lag.is_filter
    assert lag.corner == pytest.approx(corner, rel=0.02)


@settings(max_examples=12)
@given(delay=st.floats(0.003, 0.06), seed=st.integers(0, 99))
def test_a_delay_is_found(delay: float, seed: int) -> None:
    position = motion(seed)
    velocity = np.interp(TIME - delay, TIME, np.gradient(position, STEP))
    lag = fit_lag(TIME, position, velocity)
    assert lag is not None and not lag.is_filter
    assert lag.delay == pytest.approx(delay, abs=0.001)


@pytest.mark.parametrize("delay", [0.003, 0.0035, 0.0044])
def test_a_delay_of_a_sample_is_not_taken_for_a_fast_filter(delay: float) -> None:
    """Differences of encoder steps smooth as a filter of 330 rad/s does: that alone decided here."""
    position = motion(13)
    lag = fit_lag(TIME, position, np.interp(TIME - delay, TIME, np.gradient(position, STEP)))
    assert lag is not None and lag.is_delay
    assert lag.delay == pytest.approx(delay, abs=1e-4)


@pytest.mark.parametrize("corner", [40.0, 110.0])
def test_a_filter_behind_differences_is_found(corner: float) -> None:
    """As a drive has it that takes central differences of its encoder and then smooths them."""
    position = motion(3)
    difference = np.gradient(position, STEP)
    lag = fit_lag(TIME, position, low_pass(difference, corner, STEP))
    assert lag is not None and lag.is_filter
    assert lag.corner == pytest.approx(corner, rel=0.05)


def test_52_7_rad_per_s_is_50_at_500_hz() -> None:
    assert euler_corner(52.68, 0.004, 2) == pytest.approx(50, abs=0.01)


def test_a_velocity_that_is_not_the_position_s_has_no_lag() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME))
    assert fit_lag(TIME, motion(0), noise) is None


def test_the_gravest_of_several_wrong_velocities_is_told() -> None:
    log = sound("arm", 0)
    log.channels["joint_velocity"].values *= [1.07, 1.0, 180 / np.pi]
    finding = velocity_scale(make_subject(log))
    assert finding.verdict == "fail"
    assert finding.text.startswith("the velocity of elbow is 57.") and "deg/s?" in finding.text
    assert finding.text.endswith("; wrong, too: base")


def other_velocities(late: float, sign: float = 1.0) -> RobotLog:
    """An arm whose velocities come `late` s after its motion."""
    log = sound("arm", 0)
    table = log["joint_velocity"]
    log.channels["joint_velocity"] = replace(table, values=sign * log.at("joint_velocity", TIMES - late))
    return log


@pytest.mark.parametrize("lead", [0.01, 0.02, 0.07])
def test_a_velocity_that_leads_its_position_is_told(lead: float) -> None:
    finding = velocity_lag(make_subject(other_velocities(-lead)))
    assert finding.verdict == "warn"
    assert finding.text.startswith("velocities lead positions by ")
    assert -finding.numbers["lag_ms_base"] == pytest.approx(1e3 * lead, abs=1.0)


def test_half_a_sample_as_of_forward_differences_is_no_lead() -> None:
    finding = velocity_lag(make_subject(other_velocities(-0.0025)))
    assert finding.verdict == "pass", finding.text


@pytest.mark.parametrize("late", [0.3, 0.8, -0.4])
def test_velocities_by_another_clock_are_told_by_their_lag_alone(late: float) -> None:
    log = sound("arm", 0)
    table = log["joint_velocity"]
    log.channels["joint_velocity"] = replace(table, time=table.time + late)
    subject = make_subject(log)
    finding = velocity_lag(subject)
    assert finding.verdict == "fail" and "two clocks" in finding.text
    assert finding.numbers["apart_s"] == pytest.approx(late, abs=0.03)
    assert velocity_scale(subject).verdict == "pass", velocity_scale(subject).text


def test_swapped_or_strange_velocities_are_by_no_other_clock() -> None:
    log = sound("arm", 0)
    for values in (log["joint_velocity"].values[:, ::-1], np.roll(TIMES, 700)[:, None] * np.ones(3)):
        log.channels["joint_velocity"].values = values
        assert seconds_apart(make_subject(log)) == 0.0
    assert seconds_apart(make_subject(other_velocities(0.0, -1.0))) == 0.0
