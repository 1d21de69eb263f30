"""Automatic domain randomization (ADR): each end of each range moves by the success found there.

After OpenAI (Akkaya et al., "Solving Rubik's Cube with a Robot Hand", 2019, arXiv:1910.07113,
section 5, algorithm 1). An episode in two is a probe: one column stands exactly on one end of its
range, the others are drawn from theirs. When an end has seen enough probes it moves out if they
mostly succeeded and in if they mostly failed.

The numbers are for runs of about 10^4 episodes and 10 to 40 columns. DeXtreme (IsaacGymEnvs) averages
over 256 probes, on thousands of simulations. Here 20 columns with two ends get 10^4 * 0.5 / 40 = 125
probes per end: 12 decisions of 10 probes, and 9 steps of a tenth lead from the start to the limit; 40
columns come two thirds of the way. A decision by 10 probes errs (at a true success of 0.65, between
the thresholds, one in four grows), but errors undo themselves: an end that went too far fails its
next probes.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from simreal.randomization.schedule_interface import (
    NO_TAG,
    Drawn,
    Flags,
    Schedule,
    Space,
    SuccessThresholds,
    Tags,
)
from simreal.state import FloatArray

SAME = 1e-6
"""Of a column's limits: a probe this near to an end was made there, and not where it stood before."""


class AdrConfig(SuccessThresholds):
    """Automatic domain randomization; the thresholds are of the probes of an end."""

    type: Literal["adr"] = "adr"
    start_share: float = Field(default=0.1, ge=0, le=1)
    """How far from nominal to its limit each end begins."""
    step_share: float = Field(default=0.1, gt=0, le=1)
    """How far an end moves at once, of the way from nominal to its limit."""
    boundary_share: float = Field(default=0.5, gt=0, le=1)
    """Share of episodes that probe an end (0.4 in DeXtreme)."""
    queue_length: int = Field(default=10, gt=0)
    """Probes of an end before it is decided on."""


class Adr(Schedule):
    """Moves each end of each range by itself.

    Ends are numbered ``2 * column`` (low) and ``2 * column + 1`` (high), and a probe's tag is its end.
    An end where nominal stands on the limit, such as the low end of a latency, is never probed.

    A probe that began before its end moved says nothing about where the end is now, and is dropped.
    That favours, just after a move, probes that end early: where failing ends an episode, ends are a
    little slow to grow; the effect is small while fewer than `queue_length` probes of an end run at
    the same time, that is while simulations * boundary_share < ends * queue_length.
    """

    type = "adr"

    def __init__(self, config: AdrConfig, space: Space) -> None:
        """Begin near nominal."""
        super().__init__(space)
        self._config = config
        self._limits = np.stack((space.low, space.high))
        # Row 0 low ends, row 1 high ends: the way from nominal (0) to the limit (1).
        self._shares = np.where(space.moved, config.start_share, 1.0) * np.ones((2, 1))
        movable = space.moved & (self._limits != space.nominal)
        self._ends: Tags = np.flatnonzero(movable.T)
        self._queues: dict[int, list[bool]] = {int(end): [] for end in self._ends}

    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """Draw within the ranges; put probes on their end."""
        low, high = self.ranges()
        drawn = self.space.between(low, high, uniform)
        values = np.where(self.space.moved, drawn, self.space.configured(uniform))
        tags = self._probed(choice)
        (probes,) = np.nonzero(tags != NO_TAG)
        columns, sides = np.divmod(tags[probes], 2)
        values[probes, columns] = np.stack((low, high))[sides, columns]
        return Drawn(values, tags)

    def _probed(self, choice: FloatArray) -> Tags:
        """(n,) the end that each episode probes, or none."""
        if not len(self._ends):
            return np.full(len(choice), NO_TAG, dtype=np.int64)
        # A product may round up to the number of ends.
        place = np.minimum((choice[:, 1] * len(self._ends)).astype(np.int64), len(self._ends) - 1)
        return np.where(choice[:, 0] < self._config.boundary_share, self._ends[place], NO_TAG)

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """Where the ends stand; the limits of columns that do not move."""
        low, high = self.space.from_nominal(self._limits, self._shares)
        return low, high

    def entropies(self) -> FloatArray:
        """The logarithm of the width of each column, as a share of the allowed one."""
        low, high = map(self.space.position, self.ranges())
        with np.errstate(divide="ignore"):
            return np.where(self.space.moved, np.log(high - low), 0.0)

    def record(self, tags: Tags, values: FloatArray, success: Flags) -> None:
        """Queue the outcomes of probes whose end has not moved meanwhile."""
        columns, sides = np.divmod(tags, 2)
        ends = np.stack(self.ranges())[sides, columns]
        at = values[np.arange(len(tags)), columns]
        near = np.abs(at - ends) <= SAME * (self.space.high - self.space.low)[columns]
        for probe in np.flatnonzero((tags != NO_TAG) & near):
            self._queues[int(tags[probe])].append(bool(success[probe]))

    def update(self, step: int) -> bool:
        """Decide on each end that has been probed often enough."""
        full = [end for end, queue in self._queues.items() if len(queue) >= self._config.queue_length]
        moved = [self._decide(end) for end in full]
        return any(moved)

    def _decide(self, end: int) -> bool:
        """Move an end by its queue and clear that; whether it moved."""
        mean = float(np.mean(self._queues[end]))
        self._queues[end].clear()
        grow, shrink = mean >= self._config.grow_above, mean <= self._config.shrink_below
        place = (end % 2, end // 2)
        before = float(self._shares[place])
        moved = before + self._config.step_share * (int(grow) - int(shrink))
        # Whole steps would not quite add up to 1, nor come back to 0.
        self._shares[place] = min(1.0, max(0.0, round(moved, 12)))
        return bool(self._shares[place] != before)

    def _state(self) -> dict[str, Any]:
        queues = {str(end): list(queue) for end, queue in self._queues.items() if queue}
        return {"shares": self._shares.tolist(), "queues": queues}

    def _restore(self, state: dict[str, Any]) -> None:
        self._shares = np.array(state["shares"])
        self._queues = {end: list(state["queues"].get(str(end), ())) for end in self._queues}
