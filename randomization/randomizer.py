"""Draws each episode's parameters and writes them into the simulations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from simreal.config import Config
from simreal.contract import TrainedRange
from simreal.episode_random import EpisodeRandom, stream_keys
from simreal.errors import UserError, nearest
from simreal.randomization.distributions import Distribution
from simreal.randomization.parameters import (
    PARAMETERS,
    Operation,
    Parameter,
    Write,
    matching,
    operate,
)
from simreal.randomization.world import World

Values = NDArray[np.float64]
Ids = NDArray[np.integer]


class ParameterConfig(Config):
    """One randomized quantity of an experiment. The key in the configuration names it."""

    parameter: str | None = None
    """A name of `simreal list`; the key itself if absent."""
    target: str = "*"
    """Shell-style pattern of the bodies, joints or actuators meant; each gets a draw of its own."""
    operation: Operation | None = None
    """Absolute, scale or add, always on the compiled default; the parameter's own if absent."""
    distribution: Distribution

    @model_validator(mode="after")
    def _parameter_exists(self) -> "ParameterConfig":
        if self.parameter is not None and self.parameter not in PARAMETERS:
            raise ValueError(f"no parameter {self.parameter!r}: {nearest(self.parameter, PARAMETERS)}")
        return self


def resolve(name: str, config: ParameterConfig) -> Parameter:
    """The parameter that a configuration entry means."""
    parameter = config.parameter or name
    if parameter not in PARAMETERS:
        raise UserError(
            f"randomization.{name}: no parameter {parameter!r}: {nearest(parameter, PARAMETERS)}"
        )
    return PARAMETERS[parameter]


def longest_latency(
    specification: Mapping[str, ParameterConfig], pins: Mapping[str, float], parameter: str
) -> float:
    """Upper bound, in s, of a latency under a specification and pins, from a default of none."""
    longest = np.zeros(1)
    for name, config in specification.items():
        if resolve(name, config).name == parameter:
            value = _finite(name, pins[name]) if name in pins else config.distribution.support[1]
            operation = config.operation or PARAMETERS[parameter].operation
            longest = operate(operation, longest, np.full(1, value))
    return 1e-3 * float(longest[0])


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise UserError(f"{name}={value}: not a finite number")
    return value


@dataclass(frozen=True, slots=True)
class _Entry:
    """One configured parameter, resolved against a world."""

    name: str
    parameter: Parameter
    operation: Operation
    config: ParameterConfig
    elements: NDArray[np.int64]
    columns: slice
    write: Write


class Randomizer:
    """Draws and applies the parameters of a specification.

    Attributes:
        columns: names of the drawn values, in the order of every draw: ``mass[arm]`` for a part,
            ``action_latency_ms`` for the robot as a whole.
    """

    def __init__(
        self,
        specification: Mapping[str, ParameterConfig],
        world: World,
        pins: Mapping[str, float] | None = None,
    ) -> None:
        """Resolve names against the world, and check every range against what is physical.

        Args:
            specification: the `randomization` section of a configuration.
            world: what is acted on.
            pins: column names, or entry names for all of an entry's columns, with fixed values.

        Raises:
            UserError: a pattern that matches nothing, a range that leaves physical bounds, or a pin
                of a name that is not drawn.
        """
        self._world = world
        self.columns: list[str] = []
        self._entries = [self._entry(name, config) for name, config in specification.items()]
        # A stream of its own: a column keeps its draws whatever else is randomized.
        self._streams = stream_keys([f"randomization/{name}" for name in self.columns])
        self._pinned = self._resolve_pins(pins or {})
        self._check_bounds()
        fields = {field for entry in self._entries for field in entry.parameter.fields}
        self._defaults = [(world.array(field), world.default(field)) for field in sorted(fields)]

    def _entry(self, name: str, config: ParameterConfig) -> _Entry:
        parameter = resolve(name, config)
        parts = parameter.elements(self._world)
        if not parts and config.target != "*":
            raise UserError(
                f"randomization.{name}: {parameter.name} is of the robot as a whole, "
                f"there is no {config.target!r} to choose"
            )
        matched = matching(config.target, parts) if parts else [0]
        if not matched:
            raise UserError(
                f"randomization.{name}: target {config.target!r} matches nothing: "
                f"{nearest(config.target, parts)}"
            )
        first = len(self.columns)
        self.columns += [f"{name}[{parts[i]}]" for i in matched] if parts else [name]
        elements = np.array(matched)
        operation = config.operation or parameter.operation
        return _Entry(
            name,
            parameter,
            operation,
            config,
            elements,
            slice(first, len(self.columns)),
            parameter.writer(self._world, elements, operation),
        )

    def _resolve_pins(self, pins: Mapping[str, float]) -> dict[int, float]:
        """Column index to fixed value."""
        pinned: dict[int, float] = {}
        by_entry = {entry.name: entry for entry in self._entries}
        for name, value in pins.items():
            _finite(f"pin {name}", value)
            if name in by_entry:
                columns = range(*by_entry[name].columns.indices(len(self.columns)))
                pinned |= dict.fromkeys(columns, value)
            elif name in self.columns:
                pinned[self.columns.index(name)] = value
            else:
                hint = nearest(name, [*by_entry, *self.columns])
                raise UserError(f"pin {name!r}: not a randomized parameter here: {hint}")
        return pinned

    def _check_bounds(self) -> None:
        """Follow the smallest and largest values through all entries of each parameter."""
        reached: dict[str, Values] = {}
        for entry in self._entries:
            parameter = entry.parameter
            default = parameter.default(self._world)
            ends = reached.setdefault(parameter.name, np.stack((default, default)))
            low, high = self._ends(entry)
            corners = [
                operate(entry.operation, end, value)
                for end in ends[:, entry.elements]
                for value in (low, high)
            ]
            smallest = np.min(corners, axis=0)
            ends[:, entry.elements] = smallest, np.max(corners, axis=0)
            if parameter.lower is not None and (smallest < parameter.lower).any():
                given = (
                    f"{low.min():g}" if low.min() == high.max() else f"{low.min():g} to {high.max():g}"
                )
                raise UserError(
                    f"randomization.{entry.name}: {entry.operation} {given} makes {parameter.name} "
                    f"{smallest.min():g} {parameter.unit}, below {parameter.lower:g}"
                )

    def _ends(self, entry: _Entry) -> tuple[Values, Values]:
        """Smallest and largest value of each of an entry's columns, pins included."""
        columns = range(entry.columns.start, entry.columns.stop)
        low, high = entry.config.distribution.support
        return (
            np.array([self._pinned.get(column, low) for column in columns]),
            np.array([self._pinned.get(column, high) for column in columns]),
        )

    def draw(self, random: EpisodeRandom) -> Values:
        """Draw (episodes, columns) values: a pure function of the episodes' seeds."""
        values = random.uniform_of_each(self._streams)
        for entry in self._entries:
            values[:, entry.columns] = entry.config.distribution.quantile(values[:, entry.columns])
        for column, value in self._pinned.items():
            values[:, column] = value
        return values

    def apply(self, ids: Ids, values: Values) -> None:
        """Write (len(ids), columns) values into simulations, over the compiled defaults."""
        for array, default in self._defaults:
            array[ids] = default
        for entry in self._entries:
            entry.write(ids, values[:, entry.columns])
        if self._entries:
            self._world.commit(ids)

    def named(self, values: Values) -> dict[str, float]:
        """One episode's values by column name."""
        return dict(zip(self.columns, map(float, values), strict=True))

    def trained_ranges(self) -> tuple[TrainedRange, ...]:
        """The ranges, as the contract records them."""
        ranges = []
        for entry in self._entries:
            for name, low, high in zip(self.columns[entry.columns], *self._ends(entry), strict=True):
                ranges.append(
                    TrainedRange(
                        name=name,
                        unit="1" if entry.operation == "scale" else entry.parameter.unit,
                        operation=entry.operation,
                        low=float(low),
                        high=float(high),
                    )
                )
        return tuple(ranges)


def fixed(values: Mapping[str, float]) -> dict[str, Any]:
    """A specification in which named parameters are constant, such as an emulated robot's.

    Args:
        values: parameter name, or ``name[part]``, to value.

    Raises:
        UserError: a name that is no parameter.
    """
    specification = {}
    for name, value in values.items():
        parameter, _, target = name.partition("[")
        if parameter not in PARAMETERS:
            raise UserError(f"no parameter {parameter!r}: {nearest(parameter, PARAMETERS)}")
        specification[name.replace("[", " of ").rstrip("]")] = parse_entry(
            parameter, target.rstrip("]") or "*", _finite(name, value)
        )
    return specification


def parse_entry(parameter: str, target: str, value: float) -> ParameterConfig:
    """A configuration entry that holds a parameter at a value."""
    return ParameterConfig.model_validate(
        {
            "parameter": parameter,
            "target": target,
            "distribution": {"type": "constant", "value": value},
        }
    )
