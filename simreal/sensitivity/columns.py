"""The randomized columns that vary, and the values at which a sweep holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simreal.column_names import parameter_of
from simreal.contract import TrainedRange
from simreal.errors import UserError, nearest
from simreal.experiment import BaseExperiment
from simreal.make_environment import make_environment
from simreal.randomization.distributions import Choice, Uniform
from simreal.randomization.parameters import matching
from simreal.randomization.specification import ParameterConfig

REACHES = (1.0, 0.75, 0.5, 0.25)
"""Shares of the way beyond a range that are tried where the whole is not physical."""


@dataclass(frozen=True, slots=True)
class Column:
    """A randomized column and the values at which it is held.

    Attributes:
        name: such as ``mass[arm]``.
        unit: of the values.
        operation: absolute, scale or add.
        index: in a draw.
        low: lower end of what the policy was trained on.
        high: upper end.
        nominal: the value nearest to the model as it is written.
        values: points of the sweep, ascending.
    """

    name: str
    unit: str
    operation: str
    index: int
    low: float
    high: float
    nominal: float
    values: tuple[float, ...]

    @property
    def leaves_range(self) -> bool:
        """Whether a sweep goes where the policy was not trained."""
        return self.values[0] < self.low or self.values[-1] > self.high


def find_columns(
    experiment: BaseExperiment, patterns: Sequence[str] = (), points: int = 7, beyond: float = 0.0
) -> list[Column]:
    """The columns that vary, and where to hold them.

    Args:
        experiment: what they are randomized in. A schedule counts with the ranges where it stands.
        patterns: shell-style, of columns or their entries; all if absent.
        points: values for each; a choice has its own.
        beyond: share of a range's width to go on at both ends, or of its logarithm where that is
            uniform; as far as is physical, in quarters.

    Raises:
        UserError: a pattern that no column matches, or nothing varies.
    """
    experiment = experiment.from_start()
    randomizer = make_environment(experiment, 1, threads=1).randomizer
    ranges, space = randomizer.trained_ranges(), randomizer.space
    chosen = _chosen(patterns, [each.name for each in ranges if each.low < each.high])
    return [
        Column(
            name=each.name,
            unit=each.unit,
            operation=each.operation,
            index=index,
            low=each.low,
            high=each.high,
            nominal=float(space.nominal[index]),
            values=_values(experiment, each, bool(space.logarithmic[index]), points, beyond),
        )
        for index, each in enumerate(ranges)
        if each.name in chosen
    ]


def _chosen(patterns: Sequence[str], names: list[str]) -> set[str]:
    if not names:
        raise UserError("nothing varies here: every parameter is held, or none is randomized")
    chosen = set() if patterns else set(names)
    for pattern in patterns:
        entries = [parameter_of(name) for name in names]
        matched = {names[i] for i in (*matching(pattern, names), *matching(pattern, entries))}
        matched |= {pattern} & set(names)  # the brackets of a full name are no pattern
        if not matched:
            raise UserError(f"--columns {pattern}: no column that varies: {nearest(pattern, names)}")
        chosen |= matched
    return chosen


def _values(
    experiment: BaseExperiment, given: TrainedRange, logarithmic: bool, points: int, beyond: float
) -> tuple[float, ...]:
    _, config = _entry(experiment, given.name)
    if config is not None and isinstance(config.distribution, Choice):
        return thinned(sorted(set(config.distribution.values)), points)
    low = _end(experiment, given.name, given.low, given.high, beyond, logarithmic)
    high = _end(experiment, given.name, given.high, given.low, beyond, logarithmic)
    return tuple((np.geomspace if logarithmic else np.linspace)(low, high, points).tolist())


def _entry(experiment: BaseExperiment, column: str) -> tuple[str, ParameterConfig | None]:
    """The entry that draws a column, by its name; none if it draws several quantities together."""
    named = column if column in experiment.randomization else parameter_of(column)
    config = experiment.randomization.get(named)
    return named, None if config is None or config.is_joint else config


def thinned(values: Sequence[float], number: int) -> tuple[float, ...]:
    """At most so many of the values, both ends among them."""
    places = np.linspace(0, len(values) - 1, min(number, len(values))).round().astype(int)
    return tuple(values[place] for place in places)


def _end(
    experiment: BaseExperiment, name: str, end: float, other: float, beyond: float, logarithmic: bool
) -> float:
    """The end of a range, moved away from the other one as far as is physical."""
    for share in REACHES if beyond > 0 else ():
        way = share * beyond
        value = end * (end / other) ** way if logarithmic else end + (end - other) * way
        if _is_physical(experiment, name, value):
            return float(value)
    return end


def _is_physical(experiment: BaseExperiment, name: str, value: float) -> bool:
    try:
        make_environment(experiment, 1, pins={name: value}, threads=1)
    except UserError:
        return False
    return True


def widened(experiment: BaseExperiment, columns: Sequence[Column]) -> BaseExperiment:
    """The experiment with room for all values of the columns, such as memory for a longer latency.

    For given draws: what it would draw by itself is another distribution.
    """
    randomization, pins = dict(experiment.randomization), dict(experiment.pins)
    for column in columns:
        name, config = _entry(experiment, column.name)
        if not column.leaves_range:
            continue
        if config is None:
            pins[column.name] = column.values[-1]  # no range of its own: at least the longest latency
            continue
        low, high = randomization[name].distribution.support
        low, high = min(low, column.values[0]), max(high, column.values[-1])
        wide = Uniform(type="uniform", low=low, high=high)
        randomization[name] = config.model_copy(update={"distribution": wide})
    return experiment.model_copy(update={"randomization": randomization, "pins": pins})
