"""What the gate measures: numbers of both policies, their differences, and what these show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simreal.adapt.replayed import Acted
from simreal.episodes import TIME_LIMIT, Episode
from simreal.state import FloatArray
from simreal.statistics import Interval, bootstrap_interval, paired_interval

Verdict = Literal["better", "not worse", "undecided", "worse"]

SUCCESS = "success"
"""The measure of episodes that reach their task's goal."""
SHARE_MARGIN = 0.05
"""Of success, of episodes that last, and of actions and commands at an end of their range."""
RETURN_MARGIN = 0.05
"""Of the root mean square of the base's returns."""
JUMP_MARGIN = 0.1
"""Of the base's mean change of actions; at least `SMALLEST_JUMP`."""
SMALLEST_JUMP = 0.005
POWER = (1.96 + 0.84) / 1.96
"""By which a margin must be wider than half an interval, so that four of five equal policies pass."""
BLOCK = 50
"""Control steps of a log that count as one: neighbouring ones are alike."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of both policies.

    Attributes:
        name: for people.
        base: its mean of the base policy.
        adapted: of the adapted one.
        gain: by which the adapted policy is better, with its interval.
        margin: of a loss that does not count.
    """

    name: str
    base: float
    adapted: float
    gain: Interval
    margin: float

    @property
    def share_to_tell(self) -> float:
        """How many times as many would tell of four of five policies that are as good, that they are."""
        if self.verdict != "undecided" or not self.margin:
            return 1.0
        return float((POWER * (self.gain.value - self.gain.low) / self.margin) ** 2)

    @property
    def verdict(self) -> Verdict:
        """What the interval shows."""
        if self.gain.low > 0.0:
            return "better"
        if self.gain.low >= -self.margin:
            return "not worse"
        return "worse" if self.gain.high < 0.0 else "undecided"


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison.

    Attributes:
        name: for people.
        where: on what both were compared.
        measures: of it.
    """

    name: str
    where: str
    measures: tuple[Measure, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its measures; better if one is, and none is worse."""
        found = [measure.verdict for measure in self.measures]
        order: tuple[Verdict, ...] = ("worse", "undecided", "better", "not worse")
        return next(verdict for verdict in order if verdict in found)

    @property
    def passed(self) -> bool:
        """Whether it keeps no policy back."""
        return self.verdict in ("better", "not worse")


def compare_episodes(base: Sequence[Episode], adapted: Sequence[Episode]) -> tuple[Measure, ...]:
    """Measures of the same episodes under two policies."""
    returns = np.array([[e.episode_return for e in each] for each in (base, adapted)])
    size = float(np.sqrt(np.mean(returns[0] ** 2)))
    return (
        _shares(SUCCESS, *([e.success for e in each] for each in (base, adapted))),
        _shares(
            "not ended early", *([e.ended_by == TIME_LIMIT for e in each] for each in (base, adapted))
        ),
        Measure(
            "return",
            float(returns[0].mean()),
            float(returns[1].mean()),
            bootstrap_interval((returns[1] - returns[0]).tolist()),
            RETURN_MARGIN * size,
        ),
    )


def _shares(name: str, base: Sequence[bool], adapted: Sequence[bool]) -> Measure:
    one, other = np.array(base, dtype=np.float64), np.array(adapted, dtype=np.float64)
    gain = paired_interval((other - one).tolist())
    return Measure(name, float(one.mean()), float(other.mean()), gain, SHARE_MARGIN)


def compare_actions(base: Sequence[Acted], adapted: Sequence[Acted]) -> tuple[Measure, ...]:
    """Measures of what two policies do on the same logs; less of each is better."""
    jumps = [_blocks([each.jump for each in acted]) for acted in (base, adapted)]
    margin = max(SMALLEST_JUMP, JUMP_MARGIN * float(jumps[0].mean()))
    saturated = [_blocks([each.saturated for each in acted]) for acted in (base, adapted)]
    limits = [_blocks([each.at_limit for each in acted]) for acted in (base, adapted)]
    return (
        _less("jump of the actions", jumps, margin),
        _less("actions at an end of their range", saturated, SHARE_MARGIN),
        _less("commands at a limit", limits, SHARE_MARGIN),
    )


def _blocks(series: Sequence[FloatArray]) -> FloatArray:
    """Means over blocks of steps of each log."""
    parts = [np.array_split(each, max(1, round(len(each) / BLOCK))) for each in series]
    return np.array([block.mean() for blocks in parts for block in blocks])


def _less(name: str, both: Sequence[FloatArray], margin: float) -> Measure:
    base, adapted = both
    gain = bootstrap_interval((base - adapted).tolist())
    return Measure(name, float(base.mean()), float(adapted.mean()), gain, margin)
