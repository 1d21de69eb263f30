"""Entries that do nothing because another one is missing, or an episode is too short for them."""

from collections.abc import Iterator

from simreal.errors import UserError
from simreal.lint.finding import Finding
from simreal.lint.subject import Subject
from simreal.randomization.specification import Member, ParameterConfig, Specification, members
from simreal.randomization.world import World

NEEDS = {
    "push_velocity": ("push_interval_s",),
    "push_impulse": ("push_interval_s",),
    "push_duration_s": ("push_impulse",),
    "joint_kick_velocity": ("push_interval_s",),
    "push_interval_s": ("push_velocity", "push_impulse", "joint_kick_velocity"),
    "torque_pulse": ("pulse_interval_s",),
    "pulse_duration_s": ("torque_pulse",),
    "pulse_interval_s": ("torque_pulse",),
    "failed_motor_strength": ("motor_failure_time_s",),
    "change_interval_s": ("change_time_s",),
    "stribeck_speed": ("stribeck_friction",),
    "wind": ("air_density", "air_viscosity"),
}
"""Parameters that do nothing unless one of some others acts."""
EARLIEST = {
    "push_interval_s": 0.5,
    "pulse_interval_s": 0.5,
    "motor_failure_time_s": 1.0,
    "change_time_s": 1.0,
}
"""First time at which the event may come, as a share of the value."""


def parameters_of(name: str, entry: ParameterConfig) -> set[str]:
    """What an entry draws; nothing if a posterior's file names what does not exist."""
    try:
        return {member.parameter.name for member in members(name, entry)}
    except UserError:
        return set()


def all_needed(parameters: set[str]) -> set[str]:
    """What some parameters need, and what that needs, themselves included."""
    found = set(parameters)
    while more := {need for each in found for need in NEEDS.get(each, ())} - found:
        found |= more
    return found


def check_dependencies(subject: Subject, world: World, entries: Specification) -> Iterator[Finding]:
    """All of them.

    Args:
        subject: what is linted.
        world: its robot.
        entries: of the randomization, without faults.
    """
    named = {each for name, entry in subject.entries.items() for each in parameters_of(name, entry)}
    for name, entry in entries.items():
        for member in members(name, entry):
            late = list(_never(subject, name, member))
            yield from late or _lacks(subject, world, name, member, named)


def _never(subject: Subject, name: str, member: Member) -> Iterator[Finding]:
    """Events that come after the episode's end."""
    share, length = EARLIEST.get(member.parameter.name, 0.0), subject.experiment.episode_length
    if member.operation == "absolute" and share * member.low >= length:
        what = (
            f"{member.parameter.name} of {member.low:g} s and more: an episode ends after {length:g} s, "
            "it never comes to that"
        )
        where = subject.entry(name, "distribution")
        yield Finding("error", "no-effect", where, what, "shorten it, or lengthen the episode")


def _lacks(
    subject: Subject, world: World, name: str, member: Member, named: set[str]
) -> Iterator[Finding]:
    """Parameters that wait for another one, which nobody sets."""
    parameter = member.parameter.name
    needed, mend = " or ".join(NEEDS.get(parameter, ())), "randomize it, too"
    lacking = bool(needed) and not named & set(NEEDS[parameter])
    if parameter == "change_time_s":
        needed, mend = "an entry to draw anew", "within_episode: true on what is to change"
        lacking = not any(entry.within_episode for entry in subject.entries.values())
    if lacking and not (parameter == "wind" and _blows(world)):
        what = f"{parameter} does nothing without {needed}"
        yield Finding("error", "no-effect", subject.entry(name), what, mend)


def _blows(world: World) -> bool:
    """Whether the model itself has a medium, for a wind to carry."""
    options = world.physics.model.opt
    return bool(options.density > 0 or options.viscosity > 0)
