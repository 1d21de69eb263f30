"""Schedules of randomization: the simple ones, and the choice among all by configuration.

    schedule: {type: by_step, start_width: 0.1, steps: 1000000}

Automatic domain randomization is in `adr`, entropy maximization in `doraemon`.
"""

from collections import deque
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from simreal.config import Config
from simreal.errors import UserError, nearest
from simreal.randomization.adr import Adr, AdrConfig
from simreal.randomization.doraemon import Doraemon, DoraemonConfig
from simreal.randomization.schedule_interface import (
    Drawn,
    Flags,
    Schedule,
    Space,
    SuccessThresholds,
    Tags,
    untagged,
)
from simreal.state import FloatArray


class FixedConfig(Config):
    """The configured distributions, from beginning to end."""

    type: Literal["fixed"] = "fixed"


class Fixed(Schedule):
    """Draws from the configured distributions."""

    type = "fixed"

    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """See the base class."""
        return untagged(self.space.configured(uniform))

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """The limits."""
        return self.space.low.copy(), self.space.high.copy()

    def entropies(self) -> FloatArray:
        """0: nothing is wider."""
        return np.zeros(len(self.space.columns))


class WithinConfig(Config):
    """Given ranges, such as a moving schedule arrived at, in place of the configured ones."""

    type: Literal["within"] = "within"
    ranges: dict[str, tuple[float, float]]
    """Column to the ends of its range. Columns that are not named keep their distribution."""


class Within(Schedule):
    """Draws evenly from given ranges."""

    type = "within"

    def __init__(self, config: WithinConfig, space: Space) -> None:
        """Take the ranges, which may not leave the configured ones.

        Raises:
            UserError: a range of a column that is not drawn.
        """
        super().__init__(space)
        self._low, self._high = space.low.copy(), space.high.copy()
        self._given = np.zeros(len(space.columns), dtype=bool)
        for name, ends in config.ranges.items():
            if name not in space.columns:
                raise UserError(f"schedule.ranges: no column {name!r}: {nearest(name, space.columns)}")
            column = space.columns.index(name)
            if space.moved[column]:
                self._given[column] = True
                self._low[column], self._high[column] = np.clip(
                    ends, space.low[column], space.high[column]
                )

    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """See the base class."""
        between = self.space.between(self._low, self._high, uniform)
        return untagged(np.where(self._given, between, self.space.configured(uniform)))

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """The given ranges."""
        return self._low.copy(), self._high.copy()

    def entropies(self) -> FloatArray:
        """The logarithms of the widths."""
        width = self.space.position(self._high) - self.space.position(self._low)
        with np.errstate(divide="ignore"):
            return np.where(self._given, np.log(width), 0.0)


class _Narrowed(Schedule):
    """Draws a share `width` of the way from nominal to a value of the configured distributions."""

    width: float

    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """See the base class."""
        configured = self.space.configured(uniform)
        narrowed = np.clip(self.space.from_nominal(configured, self.width), *self.ranges())
        return untagged(np.where(self.space.moved, narrowed, configured))

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """The limits, drawn towards nominal."""
        moved, low, high = self.space.moved, self.space.low, self.space.high
        return (
            np.where(moved, self.space.from_nominal(low, self.width), low),
            np.where(moved, self.space.from_nominal(high, self.width), high),
        )

    def entropies(self) -> FloatArray:
        """The logarithm of the width: by how much it lowers the entropy of any distribution."""
        with np.errstate(divide="ignore"):
            return np.where(self.space.moved, np.log(self.width), 0.0)

    def _state(self) -> dict[str, Any]:
        return {"width": self.width}

    def _restore(self, state: dict[str, Any]) -> None:
        self.width = state["width"]


class NarrowedConfig(Config):
    """The configured distributions, drawn towards nominal, such as a widening schedule arrived at."""

    type: Literal["narrowed"] = "narrowed"
    width: float = Field(ge=0, le=1)
    """Share of the way from nominal to the configured draw."""


class Narrowed(_Narrowed):
    """Draws from them, at one width."""

    type = "narrowed"

    def __init__(self, config: NarrowedConfig, space: Space) -> None:
        """Take the width."""
        super().__init__(space)
        self.width = config.width


class ByStepConfig(Config):
    """Widen linearly over the training."""

    type: Literal["by_step"] = "by_step"
    start_width: float = Field(default=0.0, ge=0, le=1)
    """Share of the way from nominal to the configured draw at the beginning."""
    steps: int = Field(gt=0)
    """Environment steps after which the configured distributions are reached."""


class ByStep(_Narrowed):
    """Widens linearly over the training."""

    type = "by_step"

    def __init__(self, config: ByStepConfig, space: Space) -> None:
        """Begin at the start width."""
        super().__init__(space)
        self._config = config
        self.width = config.start_width

    def update(self, step: int) -> bool:
        """Follow the step."""
        start = self._config.start_width
        width = start + (1.0 - start) * min(1.0, step / self._config.steps)
        changed, self.width = width != self.width, width
        return changed


class BySuccessConfig(SuccessThresholds):
    """Widen all columns together while episodes succeed, narrow them while they fail.

    The window is judged whole and then begins anew. Episodes that began at the width before count
    for the new one, as leaving them out would favour those that end early, mostly failures. So a
    window should be no shorter than the number of simulations.
    """

    type: Literal["by_success"] = "by_success"
    start_width: float = Field(default=0.1, ge=0, le=1)
    """Share of the way from nominal to the configured draw at the beginning."""
    step: float = Field(default=0.1, gt=0, le=1)
    """By how much the width changes."""
    episodes: int = Field(default=256, gt=0)
    """Finished episodes over which success is averaged."""
    shrink_below: float = Field(default=0.4, ge=0, le=1)
    """Mean success up to which the width shrinks."""


class BySuccess(_Narrowed):
    """A curriculum: one width for all columns, moved by the success of recent episodes."""

    type = "by_success"

    def __init__(self, config: BySuccessConfig, space: Space) -> None:
        """Begin at the start width."""
        super().__init__(space)
        self._config = config
        self._recent: deque[bool] = deque(maxlen=config.episodes)
        self.width = config.start_width

    def record(self, tags: Tags, values: FloatArray, success: Flags) -> None:
        """See the base class."""
        self._recent.extend(map(bool, success))

    def update(self, step: int) -> bool:
        """Move the width when the window is full."""
        if len(self._recent) < self._config.episodes:
            return False
        mean = float(np.mean(self._recent))
        self._recent.clear()
        before = self.width
        if mean >= self._config.grow_above:
            self.width = min(1.0, before + self._config.step)
        elif mean <= self._config.shrink_below:
            self.width = max(0.0, before - self._config.step)
        return self.width != before

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "recent": list(self._recent)}

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        self._recent = deque(state["recent"], maxlen=self._config.episodes)


ScheduleConfig = Annotated[
    FixedConfig
    | WithinConfig
    | NarrowedConfig
    | ByStepConfig
    | BySuccessConfig
    | AdrConfig
    | DoraemonConfig,
    Field(discriminator="type"),
]


def build_schedule(config: ScheduleConfig, space: Space) -> Schedule:
    """The schedule that a configuration means."""
    match config:
        case FixedConfig():
            return Fixed(space)
        case WithinConfig():
            return Within(config, space)
        case NarrowedConfig():
            return Narrowed(config, space)
        case ByStepConfig():
            return ByStep(config, space)
        case BySuccessConfig():
            return BySuccess(config, space)
        case AdrConfig():
            return Adr(config, space)
        case DoraemonConfig():
            return Doraemon(config, space)


def arrived(schedule: Schedule) -> ScheduleConfig:
    """What draws from now on as the schedule does, and moves no more.

    Of automatic randomization it is even over the ranges: neither the probes at their ends, nor the
    shape of DORAEMON's distributions.
    """
    match schedule:
        case Fixed():
            return FixedConfig()
        case _Narrowed():
            return NarrowedConfig(width=schedule.width)
    ends = zip(schedule.space.columns, *schedule.ranges(), schedule.space.moved, strict=True)
    return WithinConfig(ranges={name: (low, high) for name, low, high, moved in ends if moved})
