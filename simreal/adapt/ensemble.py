"""From a fit to a posterior: draws of whole robots, wide enough to cover what was held out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.adapt.uncertainty import Uncertainty, widened
from simreal.adapt.unknowns import Unknown

Values = NDArray[np.float64]
Draw = Callable[[float, int], Values]
"""(members, unknowns) of a posterior whose deviations are widened by a factor, the fit itself first."""

RATE = 0.9
"""Share of held-out measurements that the band of the ensemble is to cover."""
MEMBERS = 64
WIDEST = 1e3
"""Factor on the deviations beyond which widening gives up."""
BISECTIONS = 9


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Robots that the logs allow.

    Attributes:
        values: (members, unknowns); the first is the fit itself.
        factor: by which deviations were widened.
        coverage: (joints,) share of the held-out measurements within the band.
    """

    values: Values
    factor: float
    coverage: Values


def draw_members(
    values: Values,
    uncertainty: Uncertainty,
    unknowns: list[Unknown],
    factor: float,
    count: int,
    seed: int = 0,
) -> Values:
    """(count, unknowns) values, all within their bounds; the same random numbers for any factor."""
    normal = np.random.default_rng(seed).standard_normal((count, len(values)))
    covariance = widened(uncertainty.covariance, uncertainty.prior, factor)
    scale = np.sqrt(np.diag(covariance))
    eigenvalues, vectors = np.linalg.eigh(covariance / (scale[:, None] * scale))
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0)) @ vectors.T
    members = values + scale * (normal @ root)
    members[0] = values
    return within_bounds(members, unknowns)


def within_bounds(values: Values, unknowns: list[Unknown]) -> Values:
    """(members, unknowns) values, what lies outside of the bounds mirrored back."""
    low, high = (np.array([getattr(each, end) for each in unknowns]) for end in ("low", "high"))
    return _folded(values, low, high)


def _folded(values: Values, low: Values, high: Values) -> Values:
    """Mirror what lies outside of bounds back into them: nothing heaps on a bound."""
    width = high - low
    place = np.mod(values - low, 2.0 * width)
    inside: Values = low + np.where(place > width, 2.0 * width - place, place)
    return inside


def band(predicted: Values, noise: Values, rate: float = RATE) -> tuple[Values, Values]:
    """Lower and upper edge, (windows, samples, joints), of an ensemble's (members, ...) positions.

    Args:
        predicted: of the members.
        noise: (joints,) standard deviation of a measurement.
        rate: that the band is to cover.
    """
    tail = 0.5 * (1.0 - rate)
    finite = np.where(np.isfinite(predicted), predicted, np.nan)
    low, middle, high = np.nanquantile(finite, (tail, 0.5, 1.0 - tail), axis=0)
    reach = 1.645 * noise
    return middle - np.hypot(middle - low, reach), middle + np.hypot(high - middle, reach)


def coverage(predicted: Values, measured: Values, valid: NDArray[np.bool_], noise: Values) -> Values:
    """(joints,) share of valid measurements within the band; see `band`."""
    low, high = band(predicted, noise)
    inside = (measured >= low) & (measured <= high)
    share: Values = inside[valid].mean(axis=0)
    return share


def widen(
    covered: Callable[[float], Values], rate: float = RATE, widest: float = WIDEST
) -> tuple[float, Values]:
    """The smallest factor, at least 1, with which the mean coverage reaches the rate, and the coverage.

    Args:
        covered: (joints,) coverage with a factor.
        rate: wanted.
        widest: largest factor tried.
    """
    factor, found = 1.0, covered(1.0)
    if found.mean() >= rate:
        return factor, found
    low, high = 0.0, np.log(widest)
    reached = covered(widest)
    if reached.mean() < rate:
        return widest, reached
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        share = covered(float(np.exp(middle)))
        if share.mean() >= rate:
            high, reached = middle, share
        else:
            low = middle
    return float(np.exp(high)), reached
