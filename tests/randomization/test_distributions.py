import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from simreal.randomization.distributions import Distribution

ADAPTER: TypeAdapter[Any] = TypeAdapter(Distribution)
NUMBERS = st.floats(-1e12, 1e12)
EDGE_OF_ONE = np.nextafter(1.0, 0.0)
GRID = np.unique(np.concatenate((np.linspace(0.0, EDGE_OF_ONE, 2001), [1e-300, 1e-17, EDGE_OF_ONE])))
EVEN = (np.arange(20_000) + 0.5) / 20_000


def made(kind: str, **options: Any) -> Any:
    return ADAPTER.validate_python({"type": kind, **options})


INTERVALS = st.tuples(NUMBERS, NUMBERS).map(sorted)


@st.composite
def truncated_normals(draw: st.DrawFn) -> Any:
    """Cut within five standard deviations of the mean, with something left."""
    std = draw(st.floats(1e-6, 1e6))
    mean = std * draw(st.floats(-100, 100))
    low = draw(st.floats(-5, 4.9))
    high = low + draw(st.floats(0.01, 10))
    return made("truncated_normal", mean=mean, std=std, low=mean + std * low, high=mean + std * high)


@st.composite
def log_uniforms(draw: st.DrawFn) -> Any:
    low, high = sorted(draw(st.tuples(st.floats(1e-100, 1e100), st.floats(1e-100, 1e100))))
    return made("log_uniform", low=low, high=high)


CONTINUOUS = st.one_of(
    INTERVALS.map(lambda ends: made("uniform", low=ends[0], high=ends[1])),
    log_uniforms(),
    truncated_normals(),
    NUMBERS.map(lambda value: made("constant", value=value)),
)
CHOICES = st.lists(st.tuples(NUMBERS, st.floats(0, 10)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=300)
@given(CONTINUOUS)
def test_a_quantile_rises_within_the_support_from_end_to_end(distribution: Any) -> None:
    values = distribution.quantile(GRID)
    low, high = distribution.support
    assert values.shape == GRID.shape
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert low <= values[0]
    assert values[-1] <= high
    assert values[0] == pytest.approx(low, rel=1e-6, abs=1e-6 * (high - low))


@settings(deadline=None)
@given(CONTINUOUS, st.sampled_from([(), (3,), (2, 3)]))
def test_a_quantile_treats_each_number_alone(distribution: Any, shape: tuple[int, ...]) -> None:
    uniform = np.random.default_rng(0).random(shape)
    values = distribution.quantile(uniform)
    assert values.shape == shape
    for index in np.ndindex(shape):
        assert values[index] == distribution.quantile(uniform[index][None])[0]


def test_a_constant_is_always_the_same() -> None:
    assert set(made("constant", value=-0.3).quantile(GRID).tolist()) == {-0.3}


@settings(deadline=None)
@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_uniform_numbers_spread_evenly(low: float, width: float) -> None:
    values = made("uniform", low=low, high=low + width).quantile(EVEN)
    assert values.mean() == pytest.approx(low + width / 2, abs=1e-4 * width)
    assert values.std() == pytest.approx(width / math.sqrt(12), rel=1e-4)


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6))
def test_log_uniform_numbers_spread_evenly_over_factors(low: float, ratio: float) -> None:
    distribution = made("log_uniform", low=low, high=low * ratio)
    values = distribution.quantile(EVEN)
    assert np.median(values) == pytest.approx(low * math.sqrt(ratio), rel=1e-3)
    reference = stats.loguniform(low, low * ratio)
    assert values.mean() == pytest.approx(reference.mean(), rel=1e-3)
    np.testing.assert_allclose(distribution.quantile(GRID), reference.ppf(GRID), rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(truncated_normals())
def test_truncated_normal_numbers_are_those_of_the_cut_density(distribution: Any) -> None:
    mean, std = distribution.mean, distribution.std
    low, high = ((end - mean) / std for end in distribution.support)
    reference = stats.truncnorm(low, high, loc=mean, scale=std)
    values = distribution.quantile(EVEN)
    assert values.mean() == pytest.approx(reference.mean(), abs=2e-3 * std)
    assert values.std() == pytest.approx(reference.std(), rel=1e-2, abs=1e-4 * std)
    # The cut is made by selection, not by heaping what lies outside onto the ends.
    assert (values == distribution.low).mean() < 1e-3
    assert (values == distribution.high).mean() < 1e-3


@settings(deadline=None)
@given(CHOICES)
@example([(1.0, 1.0), (1.0, 7.160139282900103), (0.0, 0.0)])
def test_choices_come_as_often_as_they_weigh(pairs: list[tuple[float, float]]) -> None:
    weights = np.array([weight for _, weight in pairs])
    assume(weights.sum() > 1e-6)
    distribution = made("choice", values=[v for v, _ in pairs], weights=weights.tolist())
    values = distribution.quantile(EVEN)
    for value in {v for v, _ in pairs}:
        share = sum(weight for v, weight in pairs if v == value) / weights.sum()
        assert (values == value).mean() == pytest.approx(share, abs=1e-3)
    assert set(distribution.quantile(GRID).tolist()) <= {v for v, weight in pairs if weight > 0}


def test_choices_without_weights_are_equally_likely() -> None:
    values = made("choice", values=[1.0, 5.0, 2.0, -3.0]).quantile(EVEN)
    assert [(values == each).mean() for each in (1.0, 5.0, 2.0, -3.0)] == [0.25] * 4


@settings(deadline=None)
@given(CHOICES)
def test_the_support_of_a_choice_holds_all_of_them(pairs: list[tuple[float, float]]) -> None:
    distribution = made("choice", values=[v for v, _ in pairs])
    low, high = distribution.support
    values = distribution.quantile(EVEN)
    assert (low, high) == (values.min(), values.max())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"type": "uniform", "low": 2, "high": 1}, "low 2 is above high 1"),
        ({"type": "log_uniform", "low": 0, "high": 1}, "needs low > 0"),
        ({"type": "log_uniform", "low": -1, "high": 1}, "needs low > 0"),
        ({"type": "truncated_normal", "mean": 0, "std": 0, "low": -1, "high": 1}, "greater than 0"),
        (
            {"type": "truncated_normal", "mean": 0, "std": 1, "low": 50, "high": 60},
            "nothing of a normal",
        ),
        ({"type": "truncated_normal", "mean": 0, "std": 1, "low": 1, "high": -1}, "low 1 is above"),
        ({"type": "choice", "values": []}, "at least 1"),
        ({"type": "choice", "values": [1, 2], "weights": [1]}, "one for each value"),
        ({"type": "choice", "values": [1, 2], "weights": [0, 0]}, "not all zero"),
        ({"type": "choice", "values": [1, 2], "weights": [2, -1]}, "greater than or equal to 0"),
        ({"type": "constant", "value": math.nan}, "finite"),
        ({"type": "uniform", "low": 0, "high": math.inf}, "finite"),
        ({"type": "uniform", "low": 0, "hihg": 1}, "did you mean 'high'"),
        ({"type": "normal", "mean": 0}, "'truncated_normal'"),
        ({"low": 0, "high": 1}, "type"),
    ],
)
def test_a_distribution_that_makes_no_sense_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ADAPTER.validate_python(options)
