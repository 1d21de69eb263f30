"""Draws each episode's parameters and writes them into the simulations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simreal.contract import TrainedRange
from simreal.episode_random import EpisodeRandom, stream_keys
from simreal.errors import UserError, nearest
from simreal.physics.interface import NotFollowedError
from simreal.randomization.distributions import LogUniform, TruncatedNormal, Uniform
from simreal.randomization.parameters import Operation, Parameter, Write, matching, operate
from simreal.randomization.schedule_interface import Drawn, Space
from simreal.randomization.schedules import FixedConfig, ScheduleConfig, build_schedule
from simreal.randomization.specification import (
    Member,
    ParameterConfig,
    Specification,
    finite,
    members,
)
from simreal.randomization.world import World
from simreal.state import FloatArray, Ids


class OutOfBoundsError(UserError):
    """A range, or a pin, that makes of a parameter what cannot be.

    Attributes:
        end: of the range, that goes too far.
    """

    def __init__(self, message: str, end: Literal["low", "high"]) -> None:
        """Take what is said of it."""
        super().__init__(message)
        self.end: Literal["low", "high"] = end


class NothingToActOnError(UserError):
    """A parameter that acts on nothing of a robot.

    Attributes:
        parameter: name of it.
    """

    def __init__(self, message: str, parameter: str) -> None:
        """Take what is said of it."""
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """One parameter of an entry, resolved against a world: what it draws, and what comes of it.

    Attributes:
        entry: the key in the configuration.
        config: what stands there.
        parameter: which.
        parts: names of the parts, none for the robot as a whole.
        operation: on the compiled values.
        low: smallest value that is drawn, pins aside.
        high: largest one.
        elements: (parts,) their places among the parameter's elements.
        columns: their places in every draw.
        units: (parts,) of what the parameter becomes; one, if it is of the robot as a whole.
        default: (parts,) compiled values.
        smallest: (parts,) what they may become, entries before this one on the same parameter included.
        largest: (parts,) likewise.
        write: applies drawn values.
    """

    entry: str
    config: ParameterConfig
    parameter: Parameter
    parts: tuple[str, ...]
    operation: Operation
    low: float
    high: float
    elements: NDArray[np.int64]
    columns: slice
    units: tuple[str, ...]
    default: FloatArray
    smallest: FloatArray
    largest: FloatArray
    write: Write

    @property
    def drawn_units(self) -> tuple[str, ...]:
        """(parts,) of the drawn numbers; a factor has none."""
        return ("1",) * len(self.units) if self.operation == "scale" else self.units

    @property
    def unit(self) -> str:
        """Of what the parameter becomes, for people: each once where some joints turn and some slide."""
        return " or ".join(dict.fromkeys(self.units))

    @property
    def nominal(self) -> FloatArray:
        """(parts,) numbers that mean "as in the model", whether or not they can be drawn."""
        if self.operation == "absolute":
            return self.default
        return np.full(len(self.default), 1.0 if self.operation == "scale" else 0.0)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one distribution draws."""

    name: str
    config: ParameterConfig
    columns: slice


class Randomizer:
    """Draws and applies the parameters of a specification.

    Attributes:
        columns: names of the drawn values, in the order of every draw: ``mass[arm]`` for a part,
            ``action_latency_ms`` for the robot as a whole.
        parts: what the columns mean, in their order.
        space: the columns and how far each may go.
        schedule: decides what is drawn in it.
    """

    def __init__(
        self,
        specification: Specification,
        world: World,
        pins: Mapping[str, float] | None = None,
        schedule: ScheduleConfig | None = None,
    ) -> None:
        """Resolve names against the world, and check every range against what is physical.

        Args:
            specification: the `randomization` section of a configuration.
            world: what is acted on.
            pins: column names, or entry names for all of an entry's columns, with fixed values.
            schedule: how the ranges move in training; not at all if absent.

        Raises:
            OutOfBoundsError: a range, or a pin, that leaves physical bounds.
            NothingToActOnError: a parameter of parts that the robot has not.
            UserError: a pattern that matches nothing, or a pin of a name that is not drawn.
        """
        self._world = world
        self.columns: list[str] = []
        self.parts: list[DrawnPart] = []
        self._entries = [self._entry(name, config) for name, config in specification.items()]
        # A stream of its own: a column keeps its draws whatever else is randomized.
        self._streams = stream_keys([f"randomization/{name}" for name in self.columns])
        self._pinned = self._resolve_pins(pins or {})
        self.space = self._make_space()
        self.parts = self._within_bounds()
        self.schedule = build_schedule(schedule or FixedConfig(), self.space)
        self._refuse_changes_without_a_time()
        fields = {field for part in self.parts for field in part.parameter.fields}
        self._defaults = [(world.array(field), world.default(field)) for field in sorted(fields)]

    def _entry(self, name: str, config: ParameterConfig) -> _Entry:
        first = len(self.columns)
        self.parts += [self._part(name, config, member) for member in members(name, config)]
        return _Entry(name, config, slice(first, len(self.columns)))

    def _part(self, entry: str, config: ParameterConfig, member: Member) -> DrawnPart:
        parameter, joint = member.parameter, config.is_joint
        names = parameter.elements(self._world)
        matched = self._matched(entry, member, names)
        if joint and len(matched) != 1:
            raise UserError(
                f"randomization.{entry}: {parameter.name} has several parts, name one: "
                f"{parameter.name}[{names[matched[0]]}]"
            )
        label = parameter.name if joint else entry
        columns = [f"{label}[{names[i]}]" for i in matched] if names else [label]
        for column in columns:
            if column in self.columns:
                raise UserError(f"randomization.{entry}: {column} is drawn by another entry already")
        first = len(self.columns)
        self.columns += columns
        elements = np.array(matched)
        parts = tuple(names[i] for i in matched) if names else ()
        default = parameter.default(self._world)[elements]
        return DrawnPart(
            entry,
            config,
            parameter,
            parts,
            member.operation,
            member.low,
            member.high,
            elements,
            slice(first, len(self.columns)),
            tuple(parameter.unit_of(each, self._world.robot) for each in parts or ("",)),
            default,
            default,
            default,
            parameter.writer(self._world, elements, member.operation),
        )

    def _matched(self, entry: str, member: Member, names: list[str]) -> list[int]:
        """Indices of the elements that are meant."""
        parameter, where = member.parameter, f"randomization.{entry}"
        if not names:
            if not parameter.of_whole:
                robot = self._world.robot.name
                raise NothingToActOnError(
                    f"{where}: robot {robot} has nothing that {parameter.name} acts on", parameter.name
                )
            if member.target != "*":
                raise UserError(
                    f"{where}: {parameter.name} is of the robot as a whole, "
                    f"there is no {member.target!r} to choose"
                )
            return [0]
        matched = matching(member.target, names)
        if not matched:
            hint = nearest(member.target, names)
            what = f"target {member.target!r} matches nothing that {parameter.name} acts on"
            raise UserError(f"{where}: {what}: {hint}")
        return matched

    def _resolve_pins(self, pins: Mapping[str, float]) -> dict[int, float]:
        """Column index to fixed value; a column's own pin counts more than its entry's."""
        of_entries: dict[int, float] = {}
        of_columns: dict[int, float] = {}
        by_entry = {entry.name: entry for entry in self._entries if not entry.config.is_joint}
        for name, value in pins.items():
            finite(f"pin {name}", value)
            if name in self.columns:
                of_columns[self.columns.index(name)] = value
            elif name in by_entry:
                columns = range(*by_entry[name].columns.indices(len(self.columns)))
                of_entries |= dict.fromkeys(columns, value)
            else:
                hint = nearest(name, [*by_entry, *self.columns])
                raise UserError(f"pin {name!r}: not a randomized parameter here: {hint}")
        return of_entries | of_columns

    def _make_space(self) -> Space:
        number = len(self.columns)
        low, high, nominal = np.zeros(number), np.zeros(number), np.zeros(number)
        logarithmic, held = np.zeros(number, dtype=bool), np.ones(number, dtype=bool)
        for entry in self._entries:
            held[entry.columns] = not isinstance(
                entry.config.distribution, Uniform | LogUniform | TruncatedNormal
            )
            logarithmic[entry.columns] = isinstance(entry.config.distribution, LogUniform)
        for part in self.parts:
            low[part.columns], high[part.columns] = part.low, part.high
            nominal[part.columns] = part.nominal
        for column, value in self._pinned.items():
            low[column] = high[column] = value
        return Space(
            tuple(self.columns),
            low,
            high,
            np.clip(nominal, low, high),
            logarithmic,
            held,
            self._quantile,
        )

    def _refuse_changes_without_a_time(self) -> None:
        timed = any(part.parameter.name == "change_time_s" for part in self.parts)
        for entry in self._entries:
            if entry.config.within_episode and not timed:
                raise UserError(
                    f"randomization.{entry.name}: within_episode: never without a change_time_s"
                )

    def _quantile(self, uniform: FloatArray) -> FloatArray:
        """(n, columns) values of the configured distributions, and pins."""
        values = np.empty_like(uniform)
        for entry in self._entries:
            values[:, entry.columns] = entry.config.distribution.quantile(uniform[:, entry.columns])
        for column, value in self._pinned.items():
            values[:, column] = value
        return values

    def _within_bounds(self) -> list[DrawnPart]:
        """Follow the smallest and largest values through all entries of each parameter."""
        reached: dict[str, FloatArray] = {}
        parts = []
        for part in self.parts:
            default = part.parameter.default(self._world)
            ends = reached.setdefault(part.parameter.name, np.stack((default, default)))
            low, high = self.space.low[part.columns], self.space.high[part.columns]
            corners = [
                operate(part.operation, end, value)
                for end in ends[:, part.elements]
                for value in (low, high)
            ]
            smallest, largest = np.min(corners, axis=0), np.max(corners, axis=0)
            ends[:, part.elements] = smallest, largest
            _refuse_unphysical(part, low, high, float(smallest.min()), float(largest.max()))
            parts.append(replace(part, smallest=smallest, largest=largest))
        return parts

    def draw(self, random: EpisodeRandom) -> Drawn:
        """Draw (episodes, columns) values: a function of the episodes' seeds and of the schedule."""
        return self.schedule.draw(random.uniform_of_each(self._streams), random.uniform("schedule", 2))

    @property
    def changes_within_episodes(self) -> bool:
        """Whether `redraw` draws anything."""
        return any(entry.config.within_episode for entry in self._entries)

    def redraw(
        self, random: EpisodeRandom, values: FloatArray, numbers: NDArray[np.int64]
    ) -> FloatArray:
        """Draw anew what changes within an episode, from the configured distributions.

        Args:
            random: of n episodes.
            values: (n, columns) that they began with.
            numbers: (n,) of the changes in their episodes, from 1.

        Returns:
            (n, columns) values from now on.
        """
        fresh = self._quantile(random.uniform_of_each(self._streams, numbers))
        result = values.copy()
        for entry in self._entries:
            if entry.config.within_episode:
                result[:, entry.columns] = fresh[:, entry.columns]
        return result

    def apply(self, ids: Ids, values: FloatArray) -> None:
        """Write (len(ids), columns) values into simulations, over the compiled defaults."""
        self._restore(ids)
        for part in self.parts:
            part.write(ids, values[:, part.columns])
        if self.parts:
            self._world.commit(ids)

    def _restore(self, ids: Ids) -> None:
        for array, default in self._defaults:
            array[ids] = default

    def not_followed(self) -> list[DrawnPart]:
        """What the engine of the world would refuse, each part tried alone at both ends of its range."""
        one = np.zeros(1, dtype=np.int64)
        refused = [part for part in self.parts if self._is_refused(part, one)]
        self._restore(one)
        return refused

    def _is_refused(self, part: DrawnPart, one: Ids) -> bool:
        for ends in (self.space.low, self.space.high):
            self._restore(one)
            part.write(one, ends[None, part.columns])
            try:
                # What follows from inertias and actuators may need other parts, and each engine does it.
                self._world.physics.commit(one)
            except NotFollowedError:
                return True
        return False

    def named(self, values: FloatArray) -> dict[str, float]:
        """One episode's values by column name."""
        return dict(zip(self.columns, map(float, values), strict=True))

    def trained_ranges(self) -> tuple[TrainedRange, ...]:
        """The ranges that are drawn from now, as the contract records them."""
        lows, highs = self.schedule.ranges()
        return tuple(
            TrainedRange(
                name=name,
                unit=unit,
                operation=part.operation,
                low=float(low),
                high=float(high),
            )
            for part in self.parts
            for name, unit, low, high in zip(
                self.columns[part.columns],
                part.drawn_units,
                lows[part.columns],
                highs[part.columns],
                strict=True,
            )
        )


def _refuse_unphysical(
    part: DrawnPart, low: FloatArray, high: FloatArray, smallest: float, greatest: float
) -> None:
    parameter = part.parameter
    given = f"{low.min():g}" if low.min() == high.max() else f"{low.min():g} to {high.max():g}"
    leads = f"randomization.{part.entry}: {part.operation} {given} makes {parameter.name}"
    if math.isnan(smallest) or math.isnan(greatest):
        raise UserError(f"{leads} no number: its compiled value is infinite; say operation: absolute")
    if parameter.lower is not None and smallest < parameter.lower:
        told = f"{leads} {smallest:g} {part.unit}, below {parameter.lower:g}"
        raise OutOfBoundsError(told, "low")
    if parameter.upper is not None and greatest > parameter.upper:
        told = f"{leads} {greatest:g} {part.unit}, above {parameter.upper:g}"
        raise OutOfBoundsError(told, "high")
