"""Durations counted in logarithmic bins: any number of cycles in constant memory.

Each bin keeps its smallest and largest duration, and a quantile lies between them: of durations that are
all about the same, as periods are, it is not the bin's edge or middle.
"""

import math
from collections.abc import Sequence
from typing import TypedDict

BINS_PER_DECADE = 200
DECADES = 8
SMALLEST = 1e-7
"""s, upper edge of the first bin; the last bin holds everything beyond 10 s."""


class Percentiles(TypedDict):
    """In ms; each to within 1.2 %, the width of a bin, and mostly far better. `max_ms` is exact."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Histogram:
    """Counts of durations."""

    def __init__(self) -> None:
        self._counts = [0] * (BINS_PER_DECADE * DECADES + 1)
        self._smallest_of = [math.inf] * len(self._counts)
        self._largest_of = [0.0] * len(self._counts)
        self._number = 0
        self._largest = 0.0

    def add(self, duration: float) -> None:
        """Count one duration in s; what is below zero counts as zero."""
        if duration <= SMALLEST:
            duration, place = max(duration, 0.0), 0
        else:
            place = math.ceil(BINS_PER_DECADE * math.log10(duration / SMALLEST))
            place = min(place, len(self._counts) - 1)
        self._counts[place] += 1
        if duration < self._smallest_of[place]:
            self._smallest_of[place] = duration
        if duration > self._largest_of[place]:
            self._largest_of[place] = duration
        self._number += 1
        self._largest = max(self._largest, duration)

    def quantile(self, share: float) -> float:
        """S below which that share of the durations lies; 0 of none."""
        return self.quantiles((share,))[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The same for several shares, which rise."""
        found: list[float] = []
        seen = 0
        for place, count in enumerate(self._counts):
            if not count:
                continue
            while len(found) < len(shares):
                rank = max(1, math.ceil(shares[len(found)] * self._number)) - seen
                if rank > count:
                    break
                found.append(self._of_rank(place, rank))
            seen += count
        return found + [0.0] * (len(shares) - len(found))

    def _of_rank(self, place: int, rank: int) -> float:
        """The so-many-th smallest of a bin, as if all of them had the same distance from each other."""
        low, high, count = self._smallest_of[place], self._largest_of[place], self._counts[place]
        if rank in (1, count):
            return low if rank == 1 else high
        return low + (high - low) * (rank - 1) / (count - 1)

    def percentiles(self) -> Percentiles:
        """The usual ones."""
        half, most, nearly_all = self.quantiles((0.5, 0.9, 0.99))
        return Percentiles(
            count=self._number,
            p50_ms=1e3 * half,
            p90_ms=1e3 * most,
            p99_ms=1e3 * nearly_all,
            max_ms=1e3 * self._largest,
        )
