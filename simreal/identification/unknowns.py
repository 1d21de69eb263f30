"""What is to be identified: parameters of the randomization, with bounds and a start."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from simreal import latencies
from simreal.column_names import parameter_of, split_column
from simreal.errors import UserError, nearest
from simreal.identification.joint_size import JointSize, Scale, joint_of
from simreal.identification.recording import Recording, Scope
from simreal.randomization.parameters import PARAMETERS, Operation, Parameter, matching
from simreal.randomization.specification import ParameterConfig, constant
from simreal.randomization.world import World
from simreal.state import FloatArray


@dataclass(frozen=True, slots=True)
class Unknown:
    """One number to be found.

    Attributes:
        name: a parameter's, or ``parameter[pattern]``: all parts that match have this one value.
        columns: names of the parts' values, as the randomizer has them.
        operation: on the compiled values.
        unit: of the number, the same for all columns; 1 of a factor.
        start: where the search begins: as in the model, if its bounds allow.
        low: lower bound.
        high: upper bound.
        step: by which it changes noticeably; errors and steps are measured in it.
        varies: from one group of logs, or log, to another; None where one value is that of all.
        part: group, or name of the log, whose value it is; None where it is that of all.
        ends: whether there is no robot below the lower bound, and above the upper one.
    """

    name: str
    columns: tuple[str, ...]
    operation: Operation
    unit: str
    start: float
    low: float
    high: float
    step: float
    varies: Scope | None = None
    part: str | None = None
    ends: tuple[bool, bool] = (False, False)

    @property
    def wider(self) -> tuple[float, float]:
        """Bounds that leave it about twice the room."""
        low, high = self.low, self.high
        if self.operation == "scale":
            low, high = 0.5 * low, 2.0 * high
        else:
            low, high = low - (high - low), high + (high - low)
            least = PARAMETERS[parameter_of(self.name)].lower
            low = low if least is None else max(low, least)
        return self.low if self.ends[0] else low, self.high if self.ends[1] else high

    @property
    def label(self) -> str:
        """Its name, and its group or log."""
        return self.name if self.part is None else f"{self.name} of {self.part}"


@dataclass(frozen=True, slots=True)
class _Reach:
    """Default bounds of a parameter: factors of the compiled value, or values.

    Attributes:
        scale: lowest and highest factor; none if only values make sense.
        absolute: lowest and highest value, for parts whose compiled value is zero, or in any case.
        step: of an absolute value.
        grows: with what of the part's joint absolute values grow, whose numbers here are those of a
            joint that turns, driven by 10 N·m.
    """

    scale: tuple[float, float] | None
    absolute: tuple[float, float] | None = None
    step: float = 0.0
    grows: Scale = "one"


WIDE, NARROW = (0.1, 10.0), (0.5, 2.0)
REACH: dict[str, _Reach] = {
    "mass": _Reach((0.3, 3.0)),
    "centre_of_mass": _Reach(None, (-0.05, 0.05), 0.002),
    "inertia_stretch": _Reach((0.3, 3.0)),
    "inertia_shear": _Reach(None, (-0.5, 0.5), 0.02),
    "link_length": _Reach((0.7, 1.4)),
    "payload_mass": _Reach(None, (0.0, 5.0), 0.05),
    "joint_damping": _Reach((0.0, 10.0), (0.0, 2.0), 0.01, "stiffness"),
    "joint_frictionloss": _Reach((0.0, 10.0), (0.0, 2.0), 0.01, "torque"),
    "joint_armature": _Reach(WIDE, (0.0, 0.1), 0.001, "inertia"),
    "joint_stiffness": _Reach((0.0, 10.0), (0.0, 5.0), 0.01, "stiffness"),
    "spring_reference": _Reach(None, (-1.5, 1.5), 0.05, "travel"),
    "motor_strength": _Reach(NARROW),
    "torque_constant": _Reach(NARROW),
    "motor_resistance": _Reach(NARROW),
    "torque_offset": _Reach(None, (-0.5, 0.5), 0.005, "torque"),
    "kp": _Reach((0.2, 5.0)),
    "kd": _Reach((0.1, 10.0), (0.0, 10.0), 0.02, "stiffness"),
    "backlash": _Reach(None, (0.0, 0.1), 0.005, "travel"),
    "stribeck_friction": _Reach(None, (1.0, 5.0), 0.1),
    "stribeck_speed": _Reach(None, (0.005, 2.0), 0.05, "travel"),
    "load_friction": _Reach(None, (0.0, 0.5), 0.02),
    "dead_zone": _Reach(None, (0.0, 0.6), 0.05),
    "action_latency_ms": _Reach(None, (0.0, 40.0), 1.0),
    "sensor_latency_ms": _Reach(None, (0.0, 40.0), 1.0),
    "joint_latency_ms": _Reach(None, (0.0, 40.0), 1.0),
    "encoder_bias": _Reach(None, (-0.2, 0.2), 0.005, "travel"),
    "encoder_scale_error": _Reach((0.8, 1.25)),
    "velocity_filter": _Reach((0.2, 5.0)),
    "floor_slope": _Reach(None, (-0.1, 0.1), 0.005),
    "air_density": _Reach(None, (0.0, 20.0), 0.5),
    "air_viscosity": _Reach(None, (0.0, 0.05), 1e-3),
    "supply_voltage": _Reach(NARROW),
    "gravity": _Reach(None, (-2.0, 2.0), 0.05),
}
"""What can be identified, and within which bounds unless others are given."""

NOTICEABLE = 0.05
"""Share of a compiled value by which a factor on it changes noticeably."""
BEYOND_REACH, BEYOND_BOUNDS = 100.0, 1000.0
"""Times the default bounds, beyond which a value is no robot's: as a rule, and whatever bounds it was
sought within."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter as a command line has it: ``NAME[PATTERN]@SCOPE=LOW:HIGH``, all but the name optional.

    Attributes:
        name: of the parameter.
        pattern: of its parts; each part has a value of its own if absent.
        bounds: as given.
        varies: what has a value of its own, each group of logs or each log; None if all have one.
    """

    name: str
    pattern: str | None
    bounds: tuple[float, float] | None
    varies: Scope | None = None

    def __str__(self) -> str:
        """As a command line has it."""
        pattern = "" if self.pattern is None else f"[{self.pattern}]"
        scope = "" if self.varies is None else f"@{self.varies}"
        bounds = "" if self.bounds is None else f"={self.bounds[0]:g}:{self.bounds[1]:g}"
        return f"{self.name}{pattern}{scope}{bounds}"


def read_asked(text: str) -> Asked:
    """Read ``mass[arm]=0.5:2`` or ``spring_reference[arm]@group``.

    Raises:
        UserError: a parameter that cannot be identified, or bounds that are none.
    """
    label, _, given = text.partition("=")
    label, at, scope = label.partition("@")
    if at and scope not in get_args(Scope):
        raise UserError(
            f"{text}: a value may differ by @group, that is excitation and day, or by @log; got @{scope}"
        )
    name, _, pattern = label.partition("[")
    if name not in PARAMETERS:
        raise UserError(f"no parameter {name!r}: {nearest(name, REACH, len(REACH))}")
    if name not in REACH:
        raise UserError(
            f"{name}: no motion of the joints tells it; {', '.join(REACH)} can be identified"
        )
    if at and name in latencies.ALL:
        raise UserError(f"{text}: a latency is one for all logs")
    bounds = _bounds(text, given) if given else None
    varies: Scope | None = None if not at else "log" if scope == "log" else "group"
    return Asked(name, pattern.removesuffix("]") or None, bounds, varies)


def _bounds(text: str, given: str) -> tuple[float, float]:
    low, _, high = given.partition(":")
    try:
        bounds = float(low), float(high)
    except ValueError:
        raise UserError(f"{text}: expected bounds as LOW:HIGH, got {given!r}") from None
    if not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
        raise UserError(f"{text}: LOW must be below HIGH, both numbers")
    return bounds


def resolve(asked: Sequence[Asked], world: World) -> list[Unknown]:
    """What is to be found on a robot.

    Raises:
        UserError: a pattern that matches no part, or two that match the same one.
    """
    found = [unknown for each in asked for unknown in _of(each, world)]
    owner: dict[str, str] = {}
    for unknown in found:
        for column in unknown.columns:
            if column in owner:
                raise UserError(f"{unknown.name}: {column} is also {owner[column]}")
            owner[column] = unknown.name
    return found


def each_part(unknowns: Sequence[Unknown], recordings: Sequence[Recording]) -> list[Unknown]:
    """The same, but one for each group of logs, or log, of what varies.

    Args:
        unknowns: of all logs.
        recordings: that are fitted to, each with something to fit to.

    Raises:
        UserError: something varies, and there is but one group or log.
    """
    result = []
    for unknown in unknowns:
        if unknown.varies is None:
            result.append(unknown)
        else:
            parts = distinct_parts(unknown.name, unknown.varies, recordings)
            result += [replace(unknown, part=part) for part in parts]
    return result


def distinct_parts(name: str, scope: Scope, recordings: Sequence[Recording]) -> list[str]:
    """Groups of logs, or logs, over which an unknown differs.

    Raises:
        UserError: there is but one.
    """
    distinct = list(dict.fromkeys(each.part(scope) for each in recordings))
    if len(distinct) < 2:
        one = "is one log" if scope == "log" else "are of one group"
        raise UserError(
            f"{name}@{scope}: all that is fitted to {one} ({', '.join(distinct)}); "
            "at least two tell how it differs"
        )
    return distinct


def _of(asked: Asked, world: World) -> list[Unknown]:
    parameter = PARAMETERS[asked.name]
    names = parameter.elements(world)
    defaults = parameter.default(world)
    if not names:
        if not parameter.of_whole:
            raise UserError(f"robot {world.robot.name} has nothing that {parameter.name} acts on")
        return [_unknown(parameter, asked, parameter.name, (), defaults, world)]
    if asked.pattern is None:
        labels = [f"{parameter.name}[{name}]" for name in names]
        return [
            _unknown(parameter, asked, label, (names[index],), defaults[[index]], world)
            for index, label in enumerate(labels)
        ]
    matched = matching(asked.pattern, names)
    if not matched:
        raise UserError(
            f"{asked.name}[{asked.pattern}] matches nothing: {nearest(asked.pattern, names)}"
        )
    parts = tuple(names[index] for index in matched)
    label = f"{parameter.name}[{asked.pattern}]"
    return [_unknown(parameter, asked, label, parts, defaults[matched], world)]


def _unknown(
    parameter: Parameter,
    asked: Asked,
    name: str,
    parts: tuple[str, ...],
    default: FloatArray,
    world: World,
) -> Unknown:
    """One number of some parts; of none, of the robot as a whole."""
    reach = REACH[parameter.name]
    columns = tuple(f"{parameter.name}[{part}]" for part in parts) or (parameter.name,)
    if reach.scale is not None and (default != 0.0).all() and np.isfinite(default).all():
        low, high = asked.bounds or reach.scale
        nominal = float(np.abs(default).min())
        ends = _physical_ends(parameter, name, (low, high), nominal, " times nominal")
        start = float(np.clip(1.0, low, high))
        step = NOTICEABLE * start
        return Unknown(name, columns, "scale", "1", start, low, high, step, asked.varies, ends=ends)
    if reach.absolute is None:
        raise UserError(
            f"{name}: is zero in the model, and has no factor to be found: give the model one"
        )
    unit = _unit(parameter, name, columns, world)
    size = max(_size(column, world) for column in columns)
    low, high = asked.bounds or (reach.absolute[0] * size, reach.absolute[1] * size)
    ends = _physical_ends(parameter, name, (low, high), 1.0, f" {unit}".removesuffix(" 1"))
    start = float(np.clip(default.mean(), low, high))
    step = reach.step * size
    return Unknown(name, columns, "absolute", unit, start, low, high, step, asked.varies, ends=ends)


def _physical_ends(
    parameter: Parameter, name: str, bounds: tuple[float, float], size: float, unit: str
) -> tuple[bool, bool]:
    """Whether bounds, in units of a size, are those of all robots.

    Raises:
        UserError: they go beyond.
    """
    lowest = -math.inf if parameter.lower is None else parameter.lower / size
    highest = math.inf if parameter.upper is None else parameter.upper / size
    low, high = max(bounds[0], lowest), min(bounds[1], highest)
    if (low, high) != bounds:
        reach = f"at least {lowest:.3g}{unit}" if low > bounds[0] else f"at most {highest:.3g}{unit}"
        raise UserError(
            f"{name}={bounds[0]:g}:{bounds[1]:g}: {parameter.name} is {reach}; "
            f"nearest: {name}={low:.3g}:{high:.3g}"
        )
    return low == lowest, high == highest


def _unit(parameter: Parameter, name: str, columns: Sequence[str], world: World) -> str:
    units = {unit_of(column, world) for column in columns}
    if len(units) > 1:
        raise UserError(
            f"{name}: of parts that turn and parts that slide, which have no value in common: "
            f"name them apart, as {columns[0]}"
        )
    return units.pop()


def unit_of(column: str, world: World) -> str:
    """Unit of an absolute value of a column: of a joint that slides another than of one that turns."""
    name, part = split_column(column)
    return PARAMETERS[name].unit_of(part, world.robot)


def noticeable(column: str, default: float, world: World) -> float:
    """By how much a parameter changes noticeably, in its unit; 0 if nothing is known of that.

    Args:
        column: name of the parameter and, where it has several, of the part.
        default: its compiled value.
        world: of the robot.
    """
    reach = REACH.get(parameter_of(column))
    if reach is None or (reach.scale is not None and default != 0.0):
        return NOTICEABLE * abs(default)
    return reach.step * _size(column, world)


def believable(
    column: str,
    operation: Operation,
    default: float,
    world: World,
    bounds: tuple[float, float],
) -> tuple[float, float]:
    """Lowest and highest number that may be meant of a parameter: far beyond its default bounds.

    Args:
        column: name of the parameter and, where it has several, of the part.
        operation: by which the number acts on the compiled value.
        default: that compiled value.
        world: of the robot.
        bounds: which the number was sought within; further away more is believed, within reason.
    """
    usual = _far_beyond(BEYOND_REACH, column, operation, default, world)
    widest = _far_beyond(BEYOND_BOUNDS, column, operation, default, world)
    return min(usual[0], max(bounds[0], widest[0])), max(usual[1], min(bounds[1], widest[1]))


def _far_beyond(
    times: float, column: str, operation: Operation, default: float, world: World
) -> tuple[float, float]:
    """So many times the default bounds; down to nothing, where there may be none of a parameter."""
    name = parameter_of(column)
    reach = REACH.get(name, _Reach(WIDE))
    lowest, highest = reach.scale or WIDE
    if operation == "scale":
        smallest = PARAMETERS[name].lower
        return 0.0 if smallest is None or smallest <= 0.0 else lowest / times, highest * times
    size = highest * abs(default) if math.isfinite(default) else 0.0
    if reach.absolute is not None:
        size = max(size, *(abs(end) * _size(column, world) for end in reach.absolute))
    largest = times * size if size > 0.0 else math.inf  # nothing is known of it
    return -largest, largest


def _size(column: str, world: World) -> float:
    """By what absolute bounds of a column grow or shrink with its joint."""
    name, part = split_column(column)
    grows = REACH[name].grows
    return 1.0 if grows == "one" else JointSize(world, joint_of(world.robot, part)).of(grows)


def specification(unknowns: Sequence[Unknown]) -> dict[str, ParameterConfig]:
    """Entries of a randomization that draw each unknown within its bounds."""
    entries: dict[str, ParameterConfig] = {}
    for unknown in unknowns:
        for column in unknown.columns:
            parameter, _, part = column.partition("[")
            content: dict[str, Any] = {
                "parameter": parameter,
                "target": part.removesuffix("]") or "*",
                "operation": unknown.operation,
                "distribution": {"type": "uniform", "low": unknown.low, "high": unknown.high},
            }
            entries[column] = ParameterConfig.model_validate(content)
    return entries


def held_entries(values: Mapping[str, float]) -> dict[str, ParameterConfig]:
    """Entries that hold parameters, ``NAME`` or ``NAME[PATTERN]``, at absolute values.

    Raises:
        UserError: a name that is no parameter.
    """
    entries = {}
    for name, value in values.items():
        parameter, _, target = name.partition("[")
        if parameter not in PARAMETERS:
            raise UserError(f"no parameter {parameter!r}: {nearest(parameter, PARAMETERS)}")
        entry = constant(parameter, target.removesuffix("]") or "*", value)
        entries[f"held {name}"] = entry.model_copy(update={"operation": "absolute"})
    return entries


def starts(unknowns: Sequence[Unknown], given: Mapping[str, float] | None = None) -> FloatArray:
    """(unknowns,) where the search begins: values given by name count more than the model's."""
    known = given or {}
    return np.array(
        [np.clip(known.get(each.name, each.start), each.low, each.high) for each in unknowns]
    )
