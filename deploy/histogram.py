"""Durations counted in logarithmic bins: any number of cycles in constant memory."""

import math
from typing import TypedDict

BINS_PER_DECADE = 100
DECADES = 8
SMALLEST = 1e-7
"""s, upper edge of the first bin; the last bin holds everything beyond 10 s."""


class Percentiles(TypedDict):
    """In ms; each to within 1.2 %, the width of half a bin. `max_ms` is exact."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Histogram:
    """Counts of durations."""

    def __init__(self) -> None:
        self._counts = [0] * (BINS_PER_DECADE * DECADES + 1)
        self._number = 0
        self._largest = 0.0

    def add(self, duration: float) -> None:
        """Count one duration in s; what is below zero counts as zero."""
        if duration <= SMALLEST:
            place = 0
        else:
            place = math.ceil(BINS_PER_DECADE * math.log10(duration / SMALLEST))
        self._counts[min(place, len(self._counts) - 1)] += 1
        self._number += 1
        self._largest = max(self._largest, duration)

    def quantile(self, share: float) -> float:
        """S below which that share of the durations lies; 0 of none."""
        wanted, seen = share * self._number, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                middle: float = SMALLEST * 10.0 ** ((place - 0.5) / BINS_PER_DECADE)
                return min(middle, self._largest)
        return 0.0

    def percentiles(self) -> Percentiles:
        """The usual ones."""
        return Percentiles(
            count=self._number,
            p50_ms=1e3 * self.quantile(0.5),
            p90_ms=1e3 * self.quantile(0.9),
            p99_ms=1e3 * self.quantile(0.99),
            max_ms=1e3 * self._largest,
        )
