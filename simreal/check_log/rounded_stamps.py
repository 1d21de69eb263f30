"""Time stamps that were rounded, as to whole ms: their steps differ though the clock is even."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from simreal.state import FloatArray

UNITS = (0.1, 0.01, 1e-3, 1e-4)
"""s, to which stamps are rounded, the coarsest first."""
WHOLE = 0.02
"""Of a unit, by which a step may miss a whole number of them."""
COARSE, OTHERS = 0.4, 0.05
"""Of a step, from which on a unit is so coarse that a few longer steps may as well have lost samples;
and the share of the steps that must differ from the median one then."""
GAP = 1.8
"""Steps: a longer one has lost samples."""
AROUND = 25
"""Rows to either side whose mean tells where an even clock would stand: it goes through several steps
of either length, and is short beside what a clock takes to change."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the stamps of a channel tell of the steps of its clock.

    Attributes:
        typical: s, of a step.
        unit: s, to which stamps were rounded; 0 if no rounding shows.
        uneven: s, from the 1st to the 99th percentile of steps, beyond what rounding explains.
        longest: s, up to which a step has lost no sample.
    """

    typical: float
    unit: float
    uneven: float
    longest: float

    def of(self, time: FloatArray) -> FloatArray:
        """(n - 1,) s between stamps, those that rounding alone makes differ as the clock's own step."""
        steps = np.diff(time)
        if not self.unit or self.uneven > 0.0:
            return steps
        return np.where(np.abs(steps - self.typical) < self.unit, self.typical, steps)


def steps_of(time: FloatArray) -> Steps:
    """How long the steps of (n,) stamps in s are, how even, and whether they were rounded; n > 1."""
    steps = np.diff(time)
    median, unit = float(np.median(steps)), _unit(steps)
    if not unit:
        inside = steps[(steps > 0) & (steps < GAP * median)]
        uneven = float(np.subtract(*np.percentile(inside, (99, 1)))) if len(inside) else 0.0
        return Steps(median, 0.0, uneven, GAP * median)
    longest = _longest(float(np.mean(steps[steps < GAP * median + unit])), unit)
    whole = steps[steps < longest]
    # Rounding takes a stamp away from its place by up to half a unit, either way.
    uneven = float(np.sqrt(2)) * (_deviation(whole) - unit)
    return Steps(float(whole.mean()), unit, uneven if uneven > WHOLE * unit else 0.0, longest)


def _longest(typical: float, unit: float) -> float:
    """s, up to which a step has lost no sample: of 1.1 units in the mean, some are of 2."""
    return max(GAP * typical - 0.5 * unit, typical + unit)


def _unit(steps: FloatArray) -> float:
    """s, to which stamps were rounded; 0 if that does not show, as of steps that are whole units."""
    if len(steps) < 4 * AROUND:
        return 0.0
    parts = (np.abs(steps / unit - np.round(steps / unit)) for unit in UNITS)
    unit = next((unit for unit, part in zip(UNITS, parts, strict=True) if part.max() < WHOLE), 0.0)
    coarse = unit > COARSE * steps.mean()
    near = steps if coarse else steps[steps < GAP * np.median(steps)]
    others = float(np.mean(np.abs(near - np.median(steps)) > 0.5 * unit))
    return unit if others > (OTHERS if coarse else 0.0) and unit < steps.mean() else 0.0


def _deviation(steps: FloatArray) -> float:
    """How far stamps leave an even clock, s: from the 1st to the 99th percentile."""
    time = np.cumsum(steps)
    inside = slice(AROUND, -AROUND)
    away = time[inside] - uniform_filter1d(time, 2 * AROUND + 1)[inside]
    return float(np.subtract(*np.percentile(away, (99, 1))))
