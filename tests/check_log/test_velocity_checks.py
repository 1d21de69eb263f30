import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.bench.log_faults import sound
from simreal.check_log.subject import make_subject
from simreal.check_log.velocity_checks import euler_corner, fit_lag, low_pass, velocity_scale

STEP = 0.004
TIME = STEP * np.arange(2500)


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
