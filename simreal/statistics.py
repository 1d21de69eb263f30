"""Estimates with their 95 % intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z = 1.959964
"""Quantile of the normal distribution for a 95 % interval."""


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean with the interval of the central limit theorem; no values give nan."""
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan)
    margin = Z * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - margin, mean + margin)


def share_interval(hits: int, number: int) -> Interval:
    """Share with Wilson's score interval (1927), which is honest near 0 and 1."""
    if number == 0:
        return Interval(math.nan, math.nan, math.nan)
    share = hits / number
    centre = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    margin = Z / (1 + Z**2 / number) * math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    return Interval(share, max(0.0, centre - margin), min(1.0, centre + margin))
