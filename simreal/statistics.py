"""Estimates with their 95 % intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z = 1.959964
"""Quantile of the normal distribution for a 95 % interval."""
Z_90 = 1.645
"""The same for a 90 % interval."""
RESAMPLES = 4000
"""Of a bootstrap."""


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean with the interval of the central limit theorem; no values give nan."""
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan)
    margin = Z * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - margin, mean + margin)


def share_interval(hits: float, number: int) -> Interval:
    """Share with Wilson's score interval (1927), which is honest near 0 and 1."""
    if number == 0:
        return Interval(math.nan, math.nan, math.nan)
    share = hits / number
    centre = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    margin = Z / (1 + Z**2 / number) * math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    return Interval(share, max(0.0, centre - margin), min(1.0, centre + margin))


def paired_interval(differences: Sequence[float]) -> Interval:
    """Mean difference of two shares that the same episodes gave, one difference in [-1, 1] for each.

    With one difference of 1 and one of -1 added, as Bonett and Price do (J. Educ. Behav. Stat. 37,
    2012), the interval is honest where all are equal, too.
    """
    if not len(differences):
        return Interval(math.nan, math.nan, math.nan)
    padded = [*differences, 1.0, -1.0]
    mean = float(np.mean(padded))
    margin = Z * float(np.std(padded)) / math.sqrt(len(padded))
    return Interval(float(np.mean(differences)), max(-1.0, mean - margin), min(1.0, mean + margin))


def student_interval(values: Sequence[float], confidence: float = 0.975) -> Interval:
    """Mean with Student's bounds, for a few numbers that are nearly normal.

    Args:
        values: the numbers.
        confidence: with which the mean is above the lower bound, and with which it is below the upper.
    """
    from scipy.stats import t as student  # takes half a second, which most commands need not wait

    if len(values) < 2:
        return Interval(float(np.mean(values)) if len(values) else math.nan, -math.inf, math.inf)
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    margin = float(student.ppf(confidence, len(values) - 1)) * error
    return Interval(mean, mean - margin, mean + margin)


def bootstrap_interval(values: Sequence[float]) -> Interval:
    """Mean with the percentile interval of its bootstrap (Efron, 1979), the same for the same values.

    A single value has no interval.
    """
    if len(values) < 2:
        return mean_interval(values)
    given = np.asarray(values, dtype=np.float64)
    picked = np.random.default_rng(0).integers(0, len(given), (RESAMPLES, len(given)))
    low, high = np.quantile(given[picked].mean(axis=1), (0.025, 0.975))
    return Interval(float(given.mean()), float(low), float(high))
