"""The excitation: within the action's range, slow enough for the control rate, with a rest before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simreal.preview.excited_motion import AMPLITUDE, PAUSE, SECONDS, chirp


@given(st.floats(10, 1000))
def test_a_chirp_rests_steps_and_stays_within_the_action(rate: float) -> None:
    wave = chirp(rate)
    time = np.arange(len(wave)) / rate
    assert abs(len(wave) - SECONDS * rate) <= 0.5
    assert (wave[time < PAUSE - 1e-6] == 0).all()
    first = np.flatnonzero(time > PAUSE - 1e-9)[0]
    assert wave[first] == AMPLITUDE
    assert np.abs(wave).max() <= AMPLITUDE


@given(st.floats(10, 1000))
def test_a_chirp_goes_no_faster_than_the_control_rate_lets_it(rate: float) -> None:
    signs = np.sign(chirp(rate))
    changes = np.count_nonzero(np.diff(signs[signs != 0]))
    assert changes <= 2 * min(8.0, rate / 4) * SECONDS


def test_the_frequency_rises() -> None:
    crossings = np.flatnonzero(np.diff(np.sign(chirp(1000.0))[101:]))
    halves = np.diff(crossings) / 1000.0
    assert (np.diff(halves) < 1e-3).all()
    np.testing.assert_allclose(0.5 / halves[0], 2.5, atol=0.5)
    np.testing.assert_allclose(0.5 / halves[-1], 8.0, atol=0.5)
