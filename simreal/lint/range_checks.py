"""Faults of a randomization that follow from its ranges: names, bounds, units, delays, dead entries."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from simreal.column_names import parameter_of
from simreal.errors import UserError
from simreal.latencies import OF_ACTIONS
from simreal.lint.dependency_checks import parameters_of
from simreal.lint.finding import Finding, Severity, refused
from simreal.lint.subject import Subject
from simreal.randomization.build import build_world
from simreal.randomization.parameters import GROUPS, PARAMETERS, operate
from simreal.randomization.randomizer import (
    DrawnPart,
    NothingToActOnError,
    OutOfBoundsError,
    Randomizer,
)
from simreal.randomization.schedules import build_schedule
from simreal.randomization.specification import Member, ParameterConfig, Specification, members
from simreal.randomization.world import World

LARGEST_ANGLE = 0.5 * math.pi
"""rad, that an angle is changed by; a larger one is more likely in degrees. Others as below."""
LARGEST = {
    "floor_slope": 0.8,
    "encoder_noise": 0.2,
    "encoder_bias": 0.2,
    "imu_mounting_error": 1.0,
    "backlash": 0.5,
    "push_velocity": 5.0,
    "wind": 60.0,
}
"""Largest value that is likely meant, in the parameter's unit."""
FAR = 2.0
"""Factor by which a range must miss the model's own value for that to be no accident."""
MANIFOLD = 20.0
"""Times the model's own value, which no machine of the same build has."""
AS_A_FACTOR = ("bodies", "joints", "contacts", "surroundings", "actuators", "sensors")
"""Groups of parameters whose sizes compare as factors."""


def check_names_and_bounds(
    subject: Subject, world: World
) -> tuple[dict[str, ParameterConfig], dict[str, float], list[Finding]]:
    """What the randomizer refuses: all of it, and not only the first.

    Returns:
        The entries and the pins that it takes, and the rest as findings.
    """
    good: dict[str, ParameterConfig] = {}
    pins: dict[str, float] = {}
    found: list[Finding] = []
    for name, entry in sorted(subject.entries.items(), key=_is_no_time):
        try:
            Randomizer({**good, name: entry}, world)
            good[name] = entry
        except UserError as error:
            found.append(_refused_entry(subject, name, entry, error))
    for name, value in subject.experiment.pins.items():
        try:
            Randomizer(good, world, pins | {name: value})
            pins[name] = value
        except UserError as error:
            if parameter_of(name) not in subject.entries.keys() - good.keys():
                where = subject.document.where(("pins", name))
                found.append(refused(_kind(error), where, str(error), "pin it within the bounds"))
    return {name: good[name] for name in subject.entries if name in good}, pins, found


def _is_no_time(item: tuple[str, ParameterConfig]) -> bool:
    """Times of changes come first: what changes within an episode is refused without one."""
    return "change_time_s" not in parameters_of(*item)


def _kind(error: UserError) -> str:
    """Whether the randomizer refuses a range or a name."""
    return "bounds" if isinstance(error, OutOfBoundsError) else "name"


def _refused_entry(subject: Subject, name: str, entry: ParameterConfig, error: UserError) -> Finding:
    if isinstance(error, OutOfBoundsError):
        part: tuple[str, ...] = ("distribution", error.end)
        mend = "keep the range within the bounds"
        angle = [member for member in members(name, entry) if _is_angle(member)]
        if angle:
            mend += _in_radians(angle[0])
    else:
        part = ("parameters",) if entry.is_joint else ("target",)
        mend = "docs/randomization.md says what each parameter acts on"
        if isinstance(error, NothingToActOnError) and error.parameter == "friction":
            mend = (
                "no geom here touches anything: see contype and conaffinity; "
                "joint_frictionloss, if friction within the joints is meant"
            )
    return refused(_kind(error), subject.entry(name, *part), str(error), mend)


def check_ranges(subject: Subject, world: World, entries: Specification) -> Iterator[Finding]:
    """What is odd about entries that the randomizer takes.

    Args:
        subject: what is linted.
        world: its robot.
        entries: of the randomization, without faults.
    """
    parts = Randomizer(entries, world).parts
    for part in parts:
        yield from _units(subject, world, part)
        yield from _holds_default(subject, part)
        yield from _below_a_step(subject, world, part)
        if not part.config.is_joint:  # an identification has seen the machine
            yield from _misses_default(subject, part)
            yield from _many_times_default(subject, part)
    yield from _crossing_ends(subject, world, parts)


def _is_angle(member: Member | DrawnPart) -> bool:
    turns = not isinstance(member, DrawnPart) or "rad" in member.units
    return member.parameter.unit == "rad" and turns and member.operation != "scale"


def _in_radians(member: Member | DrawnPart) -> str:
    low, high = math.radians(member.low), math.radians(member.high)
    return f"; {member.low:g} to {member.high:g} degrees are {low:.3g} to {high:.3g} rad"


def _units(subject: Subject, world: World, part: DrawnPart) -> Iterator[Finding]:
    """Degrees for radians, and other values that nobody means."""
    parameter = part.parameter
    where = subject.entry(part.entry, "distribution")
    size = max(abs(part.low), abs(part.high))
    default = np.abs(parameter.default(world))
    limit = LARGEST.get(parameter.name, LARGEST_ANGLE if _is_angle(part) else math.inf)
    if part.operation == "scale" or (part.operation == "absolute" and not np.isfinite(default).all()):
        return
    if part.operation == "absolute":
        limit += float(default.max(initial=0.0))
    if parameter.name == "joint_kick_velocity":
        limits = [joint.velocity_limit or math.inf for joint in subject.robot.description.joints]
        limit = max(limits[i] for i in part.elements)
    if size <= limit:
        return
    what = f"{parameter.name} of {size:g} {part.unit}"
    if _is_angle(part):
        severity: Severity = "error" if size > 2.0 * math.pi + limit else "warning"
        mend = f"give radians{_in_radians(part)}"
        yield Finding(severity, "unit", where, f"{what}: are these degrees?", mend)
    else:
        what += f": more than {limit:g} is seldom meant"
        yield Finding("warning", "unit", where, what, f"give {part.unit}")


def _holds_default(subject: Subject, part: DrawnPart) -> Iterator[Finding]:
    """Ranges of one value, which is the one that the model has."""
    if part.low != part.high:
        return
    if np.array_equal(operate(part.operation, part.default, np.full(1, part.low)), part.default):
        what = f"{part.operation} {part.low:g} leaves {part.parameter.name} as it is"
        mend = "give it a range, or take the entry out"
        yield Finding("warning", "no-effect", subject.entry(part.entry, "distribution"), what, mend)


def _misses_default(subject: Subject, part: DrawnPart) -> Iterator[Finding]:
    """Ranges far from what the model has: values for factors, factors for values, other units."""
    parameter, low, high = part.parameter, part.low, part.high
    far = (FAR * part.nominal < low) | (part.nominal > FAR * high)
    if not (_compares(part) and far.all()):
        return
    scales, listed = part.operation == "scale", _own(part)
    model_has = f"a factor of 1 on the model's own {listed}" if scales else f"the model's own {listed}"
    what = f"{parameter.name}: {part.operation} {low:g} to {high:g} is far from {model_has}"
    mend = f"operation: {'absolute' if scales else 'scale'}, if that is meant; else correct the model"
    yield Finding("warning", "excludes-model", subject.entry(part.entry, "distribution"), what, mend)


def _many_times_default(subject: Subject, part: DrawnPart) -> Iterator[Finding]:
    """Ranges that hold what the model has, and reach far beyond it: a slip of the decimal point."""
    near, far = FAR * part.nominal >= part.low, part.high > MANIFOLD * part.nominal
    if not (_compares(part) and (near & far).all()):
        return
    times = part.high / float(part.nominal.max())
    what = f"{part.parameter.name}: up to {times:.3g} times the model's own {_own(part)}"
    mend = f"at most {MANIFOLD:g} times, or correct the model"
    yield Finding("warning", "excludes-model", subject.entry(part.entry, "distribution"), what, mend)


def _compares(part: DrawnPart) -> bool:
    """Whether a range is one of sizes, which stand to the model's own as factors."""
    sizes = [each for group in AS_A_FACTOR for each in GROUPS[group]]
    own, known = part.default, part.parameter in sizes and part.parameter.lower is not None
    return (
        part.operation != "add"
        and known
        and part.low >= 0.0
        and bool((np.isfinite(own) & (own > 0.0)).all())
    )


def _own(part: DrawnPart) -> str:
    """The model's own values, each once."""
    return ", ".join(dict.fromkeys(f"{value:g}" for value in part.default)) + f" {part.unit}"


def _below_a_step(subject: Subject, world: World, part: DrawnPart) -> Iterator[Finding]:
    """Latencies that round to one physics step, or to none, whatever is drawn."""
    step = 1e3 * world.physics.timestep
    if "latency" in part.parameter.name and 0.0 < part.high < 0.5 * step:
        what = (
            f"{part.parameter.name} of at most {part.high:g} ms: less than half a physics step of "
            f"{step:g} ms"
        )
        mend = f"give ms, not s: {part.high:g} s are {1e3 * part.high:g} ms"
        yield Finding("warning", "unit", subject.entry(part.entry, "distribution"), what, mend)


def _crossing_ends(subject: Subject, world: World, parts: Sequence[DrawnPart]) -> Iterator[Finding]:
    """End stops that may be drawn on the wrong side of each other."""
    stops = PARAMETERS["joint_range"]
    drawn = [each for each in parts if each.parameter is stops]
    if not drawn:
        return
    smallest, largest = stops.default(world), stops.default(world)
    drawn_by: dict[int, str] = {}
    for part in drawn:
        smallest[part.elements], largest[part.elements] = part.smallest, part.largest
        drawn_by |= dict.fromkeys(part.elements.tolist(), part.entry)
    names = stops.elements(world)
    for lower in range(0, len(names), 2):
        if largest[lower] >= smallest[lower + 1]:
            entry = drawn_by.get(lower + 1, drawn_by.get(lower, ""))
            joint = names[lower].rpartition(".")[0]
            what = (
                f"joint_range of {joint}: its lower end may come to {largest[lower]:g}, its upper end "
                f"to {smallest[lower + 1]:g}"
            )
            where = subject.entry(entry, "distribution")
            yield Finding("error", "bounds", where, what, "narrow the ranges, so that they never cross")


def check_history(
    subject: Subject, entries: Specification, pins: Mapping[str, float]
) -> Iterator[Finding]:
    """Delays that cannot be simulated, or that a history does not hold."""
    delays = {name: entry for name, entry in entries.items() if _delays(name, entry)}
    for name, entry in delays.items():
        try:
            _build(subject, {name: entry}, {})
        except UserError as error:
            yield _too_long(subject, name, str(error))
            return
    try:
        world = _build(subject, delays, {})
    except UserError as error:
        yield _too_long(subject, list(delays)[-1], f"together with the other delays: {error}")
        return
    try:
        _build(subject, delays, pins)
    except UserError as error:
        pinned = [pin for pin in pins if parameter_of(pin) in delays]
        where = subject.document.where(("pins", *pinned[:1]))
        yield refused("history", where, str(error), "pin it below that")
        return
    yield from _beyond_history(subject, world, entries)


def _delays(name: str, entry: ParameterConfig) -> bool:
    """Whether an entry makes commands or measurements late."""
    return any(each.parameter.unit in ("ms", "Hz") for each in members(name, entry))


def _build(subject: Subject, entries: Specification, pins: Mapping[str, float]) -> World:
    return build_world(subject.robot, 1, entries, pins, threads=1, scene=subject.scene)


def _too_long(subject: Subject, name: str, message: str) -> Finding:
    where = subject.entry(name, "distribution")
    return refused("history", where, message, "shorten it; latencies are in ms")


def _beyond_history(subject: Subject, world: World, entries: Specification) -> Iterator[Finding]:
    """The delay that is reached from the model's own one, against what the engine keeps."""
    reached, last = 0.0, ""
    for part in Randomizer(entries, world).parts:
        if part.parameter.name in OF_ACTIONS:
            # By this entry alone: others on the same parameter are added.
            ends = [
                operate(part.operation, part.default, np.full(1, end)) for end in (part.low, part.high)
            ]
            reached, last = reached + float(np.max(ends)), part.entry
    history = world.physics.model.actuator_history[:, 0]
    held = 1e3 * float(min(history, default=0)) * world.physics.timestep
    if reached > held * (1.0 + 1e-9):
        what = (
            f"an action is late by up to {reached:g} ms, the model's own delay included: "
            f"the history holds {held:g} ms"
        )
        samples = math.ceil(1e-3 * reached / world.physics.timestep - 1e-9) + 1
        mend = f'nsample="{samples}" in the actuator, or operation: absolute'
        yield Finding("error", "history", subject.entry(last, "distribution"), what, mend)


def check_schedule(subject: Subject, world: World, entries: Specification) -> Iterator[Finding]:
    """Whether the schedule fits the entries."""
    if len(entries) < len(subject.entries):
        return  # it may mean one of those that are faulty
    try:
        build_schedule(subject.experiment.schedule, Randomizer(entries, world).space)
    except UserError as error:
        where = subject.document.where(("schedule",))
        yield refused("schedule", where, str(error), "docs/randomization.md describes schedules")
