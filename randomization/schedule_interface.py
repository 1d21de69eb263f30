"""What a schedule of randomization moves in, and what every schedule can do.

A schedule decides, for each new episode, the drawn values of all randomized columns, and may learn
from finished episodes. It holds no random state: draws are functions of the uniform numbers given
and of what the schedule has learned so far.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from simreal.config import Config
from simreal.errors import UserError
from simreal.state import FloatArray

Tags = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_TAG = -1
"""The tag of an episode whose outcome has no place of its own in the schedule."""


class SuccessThresholds(Config):
    """Base of configurations by which success widens ranges and failure narrows them."""

    grow_above: float = Field(default=0.8, ge=0, le=1)
    """Mean success from which on a range grows."""
    shrink_below: float = Field(default=0.5, ge=0, le=1)
    """Mean success up to which it shrinks, at most to nominal."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shrink_below >= self.grow_above:
            raise ValueError(
                f"shrink_below {self.shrink_below:g} is not below grow_above {self.grow_above:g}"
            )
        return self


@dataclass(frozen=True)
class Space:
    """The randomized columns and how far each may go.

    Attributes:
        columns: names, such as ``mass[arm]`` or ``action_latency_ms``, in the order of every draw.
        low: (columns,) smallest value allowed: the lower end of the configured distribution.
        high: (columns,) largest value allowed. A pinned column has ``low == high``.
        nominal: (columns,) the value that means "as in the model", in [low, high].
        logarithmic: (columns,) whether steps of a column are factors instead of differences, as for
            a log-uniform distribution. Needs ``low > 0``.
        held: (columns,) whether a column always keeps its configured distribution, because nothing
            lies between its values (a choice of three surfaces). Pinned columns are held anyway.
        quantile: maps (n, columns) uniform numbers in [0, 1) to values of the configured
            distributions.
    """

    columns: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    nominal: FloatArray
    logarithmic: Flags
    held: Flags
    quantile: Callable[[FloatArray], FloatArray]

    @property
    def moved(self) -> Flags:
        """(columns,) which columns a schedule may narrow and widen."""
        return ~self.held & (self.low < self.high)

    def configured(self, uniform: FloatArray) -> FloatArray:
        """(n, columns) values of the configured distributions."""
        return np.clip(self.quantile(uniform), self.low, self.high)

    def from_nominal(self, ends: FloatArray, share: FloatArray | float) -> FloatArray:
        """Go a share of the way from nominal to `ends`; 0 and 1 give them exactly.

        Args:
            ends: (columns,) or (n, columns) values in the column's unit.
            share: of the distance, or of its logarithm, broadcast against `ends`.
        """
        way = self._way(self.nominal, ends, share)
        return np.clip(np.where(np.asarray(share) >= 1.0, ends, way), self.low, self.high)

    def between(self, low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
        """(n, columns) values in [low, high] at (n, columns) shares of the way."""
        return np.clip(self._way(low, high, share), low, high)

    def _way(self, start: FloatArray, end: FloatArray, share: FloatArray | float) -> FloatArray:
        ratio = np.where(self.logarithmic, end, 1.0) / np.where(self.logarithmic, start, 1.0)
        way: FloatArray = np.where(self.logarithmic, start * ratio**share, start + (end - start) * share)
        return way

    def position(self, values: FloatArray) -> FloatArray:
        """Where values lie between the limits, 0 to 1; 0 in columns that have no width."""
        given = np.stack(np.broadcast_arrays(values, self.low, self.high))
        at, low, high = np.where(self.logarithmic, np.log(np.where(self.logarithmic, given, 1.0)), given)
        positions: FloatArray = np.clip((at - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        return positions


class Drawn(NamedTuple):
    """What a schedule draws for n episodes."""

    values: FloatArray
    """(n, columns)."""
    tags: Tags
    """(n,) what the schedule wants back with each episode's outcome. What it means is the schedule's."""


class HistoryRow(NamedTuple):
    """One line of ``schedule.csv``: the range of one column after so many steps.

    Attributes:
        step: environment steps of the training so far.
        column: of the space.
        low: lower end of what is drawn, in the column's unit.
        high: upper end.
        entropy: in nats, against the widest that the schedule may draw: 0 is fully open.
    """

    step: int
    column: str
    low: float
    high: float
    entropy: float


class Schedule(ABC):
    """Decides what is drawn, and learns from how episodes went.

    The environment calls `draw` when episodes begin and `record` when training episodes end; the
    training calls `update` between rollouts, so that nothing changes within one.
    """

    type: str
    """The name in the configuration, and the kind of a saved state."""

    def __init__(self, space: Space) -> None:
        """Begin in a space."""
        self.space = space

    @abstractmethod
    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """Draw the values of n episodes.

        Args:
            uniform: (n, columns) uniform numbers in [0, 1), one for each value.
            choice: (n, 2) more of them, for what an episode is used for.
        """

    @abstractmethod
    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """(columns,) lower and upper ends of what is drawn now."""

    @abstractmethod
    def entropies(self) -> FloatArray:
        """(columns,) entropy in nats, against the widest that may be drawn: 0 is fully open."""

    def record(self, tags: Tags, values: FloatArray, success: Flags) -> None:  # noqa: B027
        """Take note of n finished training episodes.

        Args:
            tags: (n,) as drawn.
            values: (n, columns) as drawn.
            success: (n,) whether each episode reached the task's goal.
        """

    def update(self, step: int) -> bool:
        """Move what is drawn, if there is reason to.

        Args:
            step: environment steps of the training so far.

        Returns:
            Whether something changed.
        """
        return False

    @property
    def entropy(self) -> float:
        """Mean entropy of the moved columns in nats per column; 0 is fully open.

        OpenAI's "ADR entropy" (Akkaya et al., 2019, arXiv:1910.07113, section 5) is this mean of the
        logarithms of widths. Here a width is a share of the allowed one, so that units drop out.
        """
        moved = self.space.moved
        return float(self.entropies()[moved].mean()) if moved.any() else 0.0

    def history(self, step: int) -> list[HistoryRow]:
        """The present state of each moved column as rows of ``schedule.csv``."""
        low, high = self.ranges()
        table = zip(self.space.columns, low, high, self.entropies(), self.space.moved, strict=True)
        return [
            HistoryRow(step, name, float(start), float(end), float(nats))
            for name, start, end, nats, moved in table
            if moved
        ]

    @final
    def state(self) -> dict[str, Any]:
        """Everything learned, fit for JSON."""
        return {"type": self.type, "columns": list(self.space.columns), **self._state()}

    @final
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`.

        Raises:
            UserError: it is another schedule's, or of other columns.
        """
        if state.get("type") != self.type:
            raise UserError(
                f"saved schedule: is {state.get('type')!r}, the configuration says {self.type!r}"
            )
        if tuple(state["columns"]) != self.space.columns:
            differing = sorted(set(state["columns"]) ^ set(self.space.columns)) or ["their order"]
            raise UserError(
                f"saved schedule: its columns differ from the configuration's in {', '.join(differing)}"
            )
        self._restore(state)

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        pass


def untagged(values: FloatArray) -> Drawn:
    """Drawn values of episodes whose outcome has no place of its own."""
    return Drawn(values, np.full(len(values), NO_TAG, dtype=np.int64))
