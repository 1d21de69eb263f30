"""From a fit to a posterior: draws of whole robots, wide enough to cover what was held out.

Two things are kept apart. Deviations of unknowns are widened, each as far as the joints ask that tell
it: that is what training draws. What no such robot explains is the model's error: a band of each joint
that grows by the second of a prediction; it is told, and not drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.identification.uncertainty import Uncertainty, widened
from simreal.identification.unknowns import Unknown
from simreal.randomization.posterior import BAND
from simreal.state import FloatArray
from simreal.statistics import Z_90

Draw = Callable[[FloatArray, int], FloatArray]
"""(members, unknowns) of a posterior, deviations times (unknowns,) factors, the fit itself first."""

TOO_WIDE = 0.95
"""Coverage beyond which one joint's band is not pushed for another joint's sake."""
MEMBERS = 64
WIDEST = 32.0
"""Factor on deviations beyond which a model lacks something, and no robot differs."""
STEP = 1.5
"""By which deviations grow from one trial to the next."""
MOST_TRIALS = 1 + int(np.log(WIDEST) / np.log(STEP))
SMALLEST_GAIN = 0.02
"""Of coverage by a step: below it, what a joint lacks lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Widening:
    """How far deviations are widened.

    Attributes:
        joints: (joints,) factors that joints ask for.
        unknowns: (unknowns,) factors that come of them.
        coverage: (joints,) share of measurements within the band of the members alone.
    """

    joints: FloatArray
    unknowns: FloatArray
    coverage: FloatArray


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Robots that the logs allow.

    Attributes:
        values: (members, unknowns); the first is the fit itself.
        widening: of their deviations.
        model_error: (joints,) rad/s or m/s, standard deviation by which a prediction may be off for each
            second that it goes on, beside what members differ in.
        coverage: (joints,) share of the held-out measurements within the band of both.
    """

    values: FloatArray
    widening: Widening
    model_error: FloatArray
    coverage: FloatArray


def draw_members(
    values: FloatArray,
    uncertainty: Uncertainty,
    unknowns: list[Unknown],
    factors: FloatArray | float,
    count: int,
) -> FloatArray:
    """(count, unknowns) values, all within their bounds; the same random numbers for any factors."""
    normal = np.random.default_rng(0).standard_normal((count, len(values)))
    covariance = widened(uncertainty.covariance, uncertainty.prior, factors)
    scale = np.sqrt(np.diag(covariance))
    eigenvalues, vectors = np.linalg.eigh(covariance / (scale[:, None] * scale))
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0)) @ vectors.T
    members = values + scale * (normal @ root)
    members[0] = values
    return within_bounds(members, unknowns)


def within_bounds(values: FloatArray, unknowns: list[Unknown]) -> FloatArray:
    """(members, unknowns) values, what lies outside of the bounds mirrored back."""
    low, high = (np.array([getattr(each, end) for each in unknowns]) for end in ("low", "high"))
    return _folded(values, low, high)


def _folded(values: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Mirror what lies outside of bounds back into them: nothing heaps on a bound."""
    width = high - low
    place = np.mod(values - low, 2.0 * width)
    inside: FloatArray = low + np.where(place > width, 2.0 * width - place, place)
    return inside


def deviation(noise: FloatArray, model_error: FloatArray, time: FloatArray) -> FloatArray:
    """(windows, samples, joints) of a measurement from the members.

    Args:
        noise: (joints,) of a measurement.
        model_error: (joints,) by the second.
        time: (windows, samples) s since a prediction began.
    """
    result: FloatArray = np.hypot(noise, model_error * np.maximum(time, 0.0)[..., None])
    return result


def band(predicted: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper edge, (windows, samples, joints), of an ensemble's (members, ...) positions.

    Args:
        predicted: of the members.
        spread: (joints,) or for each sample, standard deviation of a measurement from them.
    """
    low, middle, high = _quantiles(predicted)
    reach = Z_90 * spread
    return middle - np.hypot(middle - low, reach), middle + np.hypot(high - middle, reach)


def _quantiles(predicted: FloatArray) -> FloatArray:
    """(3, windows, samples, joints) lower edge, middle and upper edge of the members alone.

    They are no numbers where no member's simulation came that far.
    """
    tail = 0.5 * (1.0 - BAND)
    finite = np.isfinite(predicted)
    none = ~finite.any(axis=0)
    members = np.where(finite | none, np.where(none, 0.0, predicted), np.nan)
    edges: FloatArray = np.nanquantile(members, (tail, 0.5, 1.0 - tail), axis=0)
    edges[:, none] = np.nan
    return edges


def coverage(
    predicted: FloatArray, measured: FloatArray, valid: NDArray[np.bool_], spread: FloatArray
) -> FloatArray:
    """(joints,) share of valid measurements within the band; see `band`."""
    low, high = band(predicted, spread)
    inside = (measured >= low) & (measured <= high)
    share: FloatArray = inside[valid].mean(axis=0)
    return share


def model_error(
    predicted: FloatArray,
    measured: FloatArray,
    valid: NDArray[np.bool_],
    noise: FloatArray,
    time: FloatArray,
) -> FloatArray:
    """(joints,) the smallest error by the second with which the band covers `BAND` of each joint.

    Args:
        predicted: (members, windows, samples, joints).
        measured: (windows, samples, joints).
        valid: (windows, samples).
        noise: (joints,) standard deviation of a measurement.
        time: (windows, samples) s since the predictions began.
    """
    low, middle, high = _quantiles(predicted)
    off = measured - middle
    explained = np.where(off > 0.0, high - middle, middle - low)
    # Of each measurement, the error by which it would just lie on the edge.
    square = (off**2 - explained**2) / Z_90**2 - noise**2
    needed = np.sqrt(np.maximum(square, 0.0))[valid] / np.maximum(time, 1e-9)[valid][:, None]
    result: FloatArray = np.quantile(needed, BAND, axis=0, method="higher")
    return result


def widen(covered: Callable[[FloatArray], FloatArray], shares: FloatArray) -> Widening:
    """Widen, step by step, the unknowns of the joints that are not covered.

    It ends where every joint is covered, where widening gains nothing more, or where it would make the
    band of a joint that is covered wider than need be.

    Args:
        covered: (joints,) coverage with (unknowns,) factors on the deviations.
        shares: (unknowns, joints) of what is known of each unknown, by the joint that tells it.
    """
    joints = np.ones(shares.shape[1])
    found, growing = covered(np.ones(len(shares))), np.ones(len(joints), dtype=bool)
    while True:
        growing &= (found < BAND) & (joints * STEP <= WIDEST)
        if not growing.any():
            break
        trial = np.where(growing, joints * STEP, joints)
        share = covered(_of_unknowns(shares, trial))
        if ((share > TOO_WIDE) & (found <= TOO_WIDE)).any():
            break
        growing &= share >= found + SMALLEST_GAIN
        if not growing.any():
            break
        joints, found = trial, share
    return Widening(joints, _of_unknowns(shares, joints), found)


def _of_unknowns(shares: FloatArray, joints: FloatArray) -> FloatArray:
    """(unknowns,) factors: the geometric mean of those of the joints that tell each."""
    result: FloatArray = np.exp(shares @ np.log(joints))
    return result
