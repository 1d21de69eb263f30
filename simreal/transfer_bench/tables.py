"""What many seeds come to: interquartile means with bootstrap intervals, and shares of the gap.

Interquartile means as in rliable (Agarwal et al., NeurIPS 2021). Its bootstrap needs a version of `arch`
that does not go with today's pandas, so that seeds are drawn here: with replacement, for each arm and
target on its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simreal.errors import missing_extra
from simreal.state import FloatArray
from simreal.statistics import Interval
from simreal.transfer_bench.results import Result

RESAMPLES = 2000
WORST, BEST = "none", "oracle"
"""Arms between which the gap lies."""
MEASURES = ("mean_return", "success")


@dataclass(frozen=True, slots=True)
class Line:
    """One arm on one target.

    Attributes:
        robot: its name.
        target: which.
        arm: which.
        seeds: how many.
        measures: of `MEASURES`, interquartile means over the seeds.
        gap: of each, the share of the gap from no randomization to the oracle that is closed; nan
            where either is not there, or there is no gap.
        robot_seconds: mean.
        violations: mean.
        ended_early: mean share of the episodes.
    """

    robot: str
    target: str
    arm: str
    seeds: int
    measures: dict[str, Interval]
    gap: dict[str, Interval]
    robot_seconds: float
    violations: float
    ended_early: float


def interquartile_mean(values: FloatArray) -> float:
    """Mean of the middle half of (seeds,) numbers."""
    try:
        from rliable.metrics import aggregate_iqm
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "adapt") from None
    return float(aggregate_iqm(values[:, None]))


def lines(results: Sequence[Result]) -> list[Line]:
    """A line for each arm on each target."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for each in results:
        groups.setdefault((each.robot, each.target, each.arm), []).append(each)
    drawn = {key: _resampled(key, found) for key, found in groups.items()}
    return [
        Line(
            *key,
            seeds=len(found),
            measures={name: _interval(drawn[key][name]) for name in MEASURES},
            gap={name: _gap(drawn, key, name) for name in MEASURES},
            robot_seconds=float(np.mean([each.robot_seconds for each in found])),
            violations=float(np.mean([each.violations for each in found])),
            ended_early=float(np.mean([each.ended_early for each in found])),
        )
        for key, found in groups.items()
    ]


def _resampled(key: tuple[str, str, str], found: Sequence[Result]) -> dict[str, FloatArray]:
    """Interquartile mean of the seeds, and then of each resample of them, by measure.

    What a single seed would be on another draw, nobody knows: its resamples are nan.
    """
    random = np.random.default_rng(list(" ".join(key).encode()))
    rows = random.integers(0, len(found), (RESAMPLES, len(found)))
    result = {}
    for name in MEASURES:
        values = np.array([getattr(each, name) for each in found], dtype=np.float64)
        again = values if len(values) > 1 else np.full(1, np.nan)
        means = [interquartile_mean(values), *(interquartile_mean(again[row]) for row in rows)]
        result[name] = np.array(means)
    return result


def _interval(drawn: FloatArray) -> Interval:
    """Of a value and its resamples, those left out that are none."""
    known = drawn[1:][np.isfinite(drawn[1:])]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return Interval(float(drawn[0]), float(low), float(high))


def _gap(
    drawn: Mapping[tuple[str, str, str], dict[str, FloatArray]], key: tuple[str, str, str], name: str
) -> Interval:
    worst, best = (drawn.get((*key[:2], arm)) for arm in (WORST, BEST))
    if worst is None or best is None:
        return Interval(float("nan"), float("nan"), float("nan"))
    width = best[name] - worst[name]
    if width[0] <= 0.0:  # an oracle that is no better has shown no gap
        return Interval(float("nan"), float("nan"), float("nan"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (drawn[key][name] - worst[name]) / np.where(width > 0.0, width, np.nan)
    return _interval(share)


def mean_gap(found: Sequence[Line], arm: str, name: str) -> float:
    """Mean over robots and targets of the share of the gap that an arm closes; nan without any."""
    shares = [each.gap[name].value for each in found if each.arm == arm]
    known = [share for share in shares if np.isfinite(share)]
    return float(np.mean(known)) if known else float("nan")
