"""Bounds of exploration around a policy that is known, which widen with evidence and close without it.

A policy that explores on a robot may leave the actions of the frozen base policy by a width. Each
stretch of safe time that used the width makes it larger, and a violation halves it and lets the
evidence begin anew.
Where exploration was worse than the base policy, it goes back by one step, and never that far again.
The state is a few numbers, so that a session that stops can go on where it was.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from simreal.config import Config
from simreal.state import FloatArray


class BoundsConfig(Config):
    """How far exploration may leave the base policy, in shares of the actions' range, [-1, 1]."""

    first: Annotated[float, Field(gt=0, le=2)] = 0.2
    """Width at the beginning."""
    largest: Annotated[float, Field(gt=0, le=2)] = 0.3
    smallest: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Below which violations do not press it; 0 ends exploration after some ten violations in a row."""
    evidence_s: Annotated[float, Field(gt=0)] = 12.0
    """s of exploration that used the width without a violation, after which the bounds widen."""
    growth: Annotated[float, Field(gt=1)] = 1.25
    """By which they do."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.smallest <= self.first <= self.largest:
            raise ValueError("needs smallest <= first <= largest")
        return self


@dataclass(frozen=True, slots=True)
class BoundsState:
    """What bounds know.

    Attributes:
        width: now.
        safe_s: s since the last violation, or since they last widened.
        violations: so far.
        widened: how often they have widened.
        ceiling: beyond which they do not widen: there, exploration was worse than the base policy.
    """

    width: Annotated[float, Field(ge=0, le=2)]
    safe_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    violations: Annotated[int, Field(ge=0)] = 0
    widened: Annotated[int, Field(ge=0)] = 0
    ceiling: Annotated[float, Field(ge=0, le=2)] = 2.0


class ActionBounds:
    """Keeps explored actions near those of a base policy.

    Attributes:
        state: to be kept between sessions.
    """

    CLOSED = 1e-3
    """Width below which exploration is at an end."""

    def __init__(self, config: BoundsConfig, state: BoundsState | None = None) -> None:
        """Begin at the first width, or go on from a state, within the largest width in any case."""
        self._config = config
        state = state or BoundsState(config.first)
        self.state = replace(state, width=min(state.width, config.largest))

    @property
    def closed(self) -> bool:
        """Whether violations have closed them: there is nothing left to explore."""
        return self.state.width < self.CLOSED

    def __call__(self, base: FloatArray, wanted: FloatArray) -> FloatArray:
        """The (..., actuators) action nearest to a wanted one that is allowed beside the base's."""
        width = self.state.width
        bounded = np.minimum(np.maximum(wanted, base - width), base + width)
        return np.minimum(np.maximum(bounded, -1.0), 1.0)

    def elapsed(self, seconds: float) -> None:
        """So much time has passed in which actions used the width, without a violation."""
        state, safe = self.state, self.state.safe_s + seconds
        if safe < self._config.evidence_s:
            self.state = replace(state, safe_s=safe)
            return
        furthest = max(state.width, min(self._config.largest, state.ceiling))
        width = min(furthest, state.width * self._config.growth)
        widened = state.widened + (width > state.width)
        self.state = replace(state, width=width, safe_s=0.0, widened=widened)

    def worsened(self) -> None:
        """Exploration within this width was worse than the base policy."""
        state = self.state
        width = max(min(self._config.first, state.width), state.width / self._config.growth)
        self.state = replace(state, width=width, safe_s=0.0, ceiling=width)

    def violated(self) -> None:
        """A limit was reached: a fault of the supervisor, a fall, a command cut off."""
        state = self.state
        width = max(self._config.smallest, 0.5 * state.width)
        self.state = replace(state, width=width, safe_s=0.0, violations=state.violations + 1)
