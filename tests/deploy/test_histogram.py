import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.histogram import Histogram

PRECISION = 0.012
"""What `Percentiles` promises."""


def _filled(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


@given(
    st.lists(st.floats(2e-7, 9.0), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_quantiles_are_numpys_to_the_stated_precision(durations: list[float], share: float) -> None:
    exact = np.quantile(durations, share, method="inverted_cdf")
    assert _filled(durations).quantile(share) == pytest.approx(exact, rel=PRECISION)


def test_periods_that_are_nearly_the_same_are_not_rounded_to_a_bin() -> None:
    periods = np.random.default_rng(0).normal(20e-3, 10e-6, 3_000)
    found = _filled(periods.tolist()).percentiles()
    expected = 1e3 * np.quantile(periods, [0.5, 0.9, 0.99])
    measured = [found["p50_ms"], found["p90_ms"], found["p99_ms"]]
    np.testing.assert_allclose(measured, expected, atol=0.02)  # ms
    assert measured[0] < measured[1] < measured[2]


@given(st.floats(0.0, 100.0), st.integers(1, 50))
def test_one_and_the_same_duration_is_told_as_it_is(duration: float, count: int) -> None:
    found = _filled([duration] * count).percentiles()
    assert {found["p50_ms"], found["p90_ms"], found["p99_ms"]} == {1e3 * duration}


def test_percentiles_of_a_realistic_run() -> None:
    durations = np.random.default_rng(0).lognormal(np.log(1e-3), 0.7, 20_000)
    found = _filled(durations.tolist()).percentiles()
    expected = 1e3 * np.quantile(durations, [0.5, 0.9, 0.99])
    np.testing.assert_allclose(
        [found["p50_ms"], found["p90_ms"], found["p99_ms"]], expected, rtol=PRECISION
    )
    assert found["count"] == 20_000
    assert found["max_ms"] == 1e3 * durations.max()


@given(st.lists(st.floats(-1e3, 1e3), max_size=50))
def test_any_duration_is_counted_and_quantiles_stay_ordered(durations: list[float]) -> None:
    found = _filled(durations).percentiles()
    assert found["count"] == len(durations)
    assert found["max_ms"] == 1e3 * max([0.0, *durations])
    assert 0.0 <= found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"]


def test_nothing_counted_is_zero() -> None:
    assert set(Histogram().percentiles().values()) == {0}
