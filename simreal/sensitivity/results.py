"""What an analysis of sensitivity finds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simreal.evaluate import Summary, interval_json, summary_json
from simreal.sensitivity.columns import Column
from simreal.state import FloatArray
from simreal.statistics import Interval

WORST_COLUMNS = 4
"""Columns that are varied in pairs."""


def worst_pairs(columns: int) -> int:
    """How many pairs are varied where so many columns are."""
    return math.comb(min(WORST_COLUMNS, columns), 2)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A column held at each of its values, the others drawn as ever.

    Attributes:
        column: which.
        curve: each value with what the episodes come to.
        success: (points, episodes), of the same episodes at each point.
        drop: of success, from the best point to the worst. Points are chosen and judged by different
            episodes: a column without effect comes to 0, but for noise of either sign.
        return_drop: the same of the return.
    """

    column: Column
    curve: list[tuple[float, Summary]]
    success: FloatArray
    drop: Interval
    return_drop: Interval

    def success_at(self, values: Sequence[float]) -> FloatArray:
        """(values, episodes) success at some of the points."""
        return self.success[[self.column.values.index(value) for value in values]]

    @property
    def ranked(self) -> list[tuple[float, Summary]]:
        """The curve from its worst point to its best; equal success is ranked by return."""
        return sorted(self.curve, key=lambda at: (at[1].success.value, at[1].mean_return.value))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns held at once.

    Attributes:
        first: one of them.
        second: the other.
        first_values: (rows,) of the first.
        second_values: (columns,) of the second.
        success: (rows, columns) share.
        predicted: (rows, columns) share if the two acted independently: the product of the shares
            under each alone, over the share under neither.
        gap: predicted less found in the worst cell; chosen and judged by different episodes.
    """

    first: Column
    second: Column
    first_values: tuple[float, ...]
    second_values: tuple[float, ...]
    success: FloatArray
    predicted: FloatArray
    gap: Interval

    @property
    def worst(self) -> tuple[int, int]:
        """Row and column of the cell that stays farthest below the prediction."""
        row, column = np.unravel_index((self.predicted - self.success).argmax(), self.success.shape)
        return int(row), int(column)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whether a failed episode succeeds with something changed: shares of the failures.

    Attributes:
        failures: among the base episodes.
        examined: as many were replayed.
        repeated: of these failed again when nothing was changed: all, where the policy is exact.
            The shares are of them.
        columns: succeeds with this column at its nominal value.
        beyond_chance: the same, less chance: a failure on a knife's edge goes away with any change.
        none_alone: no column alone does it.
        several: more than one column does it alone.
        together: succeeds with all these columns nominal.
        chance: succeeds with the same draw, but another start and noise.
    """

    failures: int
    examined: int
    repeated: int
    columns: dict[str, Interval]
    beyond_chance: dict[str, Interval]
    none_alone: Interval
    several: Interval
    together: Interval
    chance: Interval


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a policy depends on.

    Attributes:
        candidate: the policy's name.
        seed: of the evaluation.
        episodes: at each point of a sweep.
        base: all columns drawn.
        sweeps: worst first.
        pairs: of the worst columns, the greatest gap first.
        attribution: of the failures in the base episodes.
    """

    candidate: str
    seed: int
    episodes: int
    base: Summary
    sweeps: list[Sweep]
    pairs: list[Pair]
    attribution: Attribution

    @property
    def has_all_columns(self) -> bool:
        """Whether every column has been varied alone."""
        return len(self.sweeps) == len(self.attribution.columns)

    @property
    def is_complete(self) -> bool:
        """Whether the worst pairs have been varied, too."""
        return self.has_all_columns and len(self.pairs) == worst_pairs(len(self.sweeps))


def as_json(result: Sensitivity) -> dict[str, Any]:
    """A result for programs, without nan."""
    return {
        "candidate": result.candidate,
        "seed": result.seed,
        "complete": result.is_complete,
        "base": summary_json(result.base),
        "columns": [_sweep_json(sweep) for sweep in result.sweeps],
        "pairs": [_pair_json(pair) for pair in result.pairs],
        "failures": _attribution_json(result.attribution),
    }


def _sweep_json(sweep: Sweep) -> dict[str, Any]:
    column = sweep.column
    return {
        "name": column.name,
        "unit": column.unit,
        "operation": column.operation,
        "trained": [column.low, column.high],
        "nominal": column.nominal,
        "drop_of_success": interval_json(sweep.drop),
        "drop_of_return": interval_json(sweep.return_drop),
        "points": [{"value": value, **summary_json(summary)} for value, summary in sweep.curve],
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "columns": [pair.first.name, pair.second.name],
        "values": [pair.first_values, pair.second_values],
        "success": pair.success.tolist(),
        "predicted": pair.predicted.tolist(),
        "gap": interval_json(pair.gap),
    }


def _attribution_json(attribution: Attribution) -> dict[str, Any]:
    return {
        "number": attribution.failures,
        "examined": attribution.examined,
        "failed_again_unchanged": attribution.repeated,
        "explained_by": {name: interval_json(each) for name, each in attribution.columns.items()},
        "explained_beyond_chance": {
            name: interval_json(each) for name, each in attribution.beyond_chance.items()
        },
        "by_none_alone": interval_json(attribution.none_alone),
        "by_several_alone": interval_json(attribution.several),
        "by_all_nominal": interval_json(attribution.together),
        "by_another_start_and_noise": interval_json(attribution.chance),
    }
