"""The simplest of nested models that predicts about as well as the best."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from simreal.identification.model_choice import Candidate, scores_of, simplest


def candidates(*scores: tuple[float, float]) -> list[Candidate]:
    nothing = cast(Any, None)
    return [Candidate((), nothing, nothing, *score) for score in scores]


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([(3.0, 0.5), (1.2, 0.3), (1.0, 0.0)], 1),  # within one standard error of the best
        ([(3.0, 0.5), (1.4, 0.3), (1.0, 0.0)], 2),
        ([(1.0, 0.0), (1.2, 0.1)], 0),  # more unknowns predict worse
        ([(5.0, 9.0), (1.0, 0.0)], 0),  # nothing is known of their difference
    ],
)
def test_the_simplest_within_one_standard_error_is_chosen(
    scores: list[tuple[float, float]], chosen: int
) -> None:
    assert simplest(candidates(*scores)) == chosen


def prediction(error: np.ndarray) -> Any:
    """Of (windows,) errors, the same at each of three steps of one joint."""
    return SimpleNamespace(error=np.tile(error[None, :, None, None], (1, 1, 3, 1)))


def test_scores_are_in_variances_and_their_errors_those_of_the_difference() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0.0, 1.0, 400)
    best, worse = 0.1 * shared, 0.2 * shared
    nominal, (of_best, of_none), (of_worse, of_difference) = scores_of(
        [prediction(np.full(400, 1.0)), prediction(best), prediction(worse)], np.array([0.1])
    )
    assert nominal[0] == pytest.approx(100.0)
    assert of_best == pytest.approx(1.0, abs=0.2) and of_none == 0.0
    assert of_worse == pytest.approx(4.0, abs=0.8)
    # Of windows whose error is large by both, the difference is what varies, not the error.
    assert of_difference == pytest.approx(3.0 * np.sqrt(2.0 / 400), rel=0.5)


def test_a_prediction_that_diverged_counts_as_a_very_bad_one() -> None:
    lost = np.array([0.1, np.nan, 0.1, 0.1])
    _, fine, bad = scores_of(
        [prediction(np.ones(4)), prediction(np.full(4, 0.1)), prediction(lost)], np.array([0.1])
    )
    assert fine[0] == pytest.approx(1.0) and bad[0] > 1e5
