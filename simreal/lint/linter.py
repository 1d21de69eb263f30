"""All checks of an experiment, each by itself: one that has nothing to look at is left out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simreal.column_names import parameter_of
from simreal.config import Document
from simreal.errors import UserError
from simreal.experiment import is_suite_task, is_visual, read_experiment
from simreal.lint.contact_checks import check_contacts
from simreal.lint.dependency_checks import (
    NEEDS,
    all_needed,
    check_dependencies,
    parameters_of,
)
from simreal.lint.experiment_checks import check_experiment
from simreal.lint.finding import Finding, refused, sorted_findings
from simreal.lint.model_checks import check_model
from simreal.lint.model_file import read_model
from simreal.lint.motion_checks import check_motion
from simreal.lint.range_checks import (
    check_history,
    check_names_and_bounds,
    check_ranges,
    check_schedule,
)
from simreal.lint.robot_checks import check_robot_file
from simreal.lint.subject import (
    Subject,
    read_experiment_parts,
    read_suite_experiment,
    unreadable_robot,
)
from simreal.randomization.build import build_world
from simreal.randomization.specification import ParameterConfig, Specification, members
from simreal.robots import Robot, load_robot


def lint_experiment(name: str, overrides: Sequence[str] = ()) -> list[Finding]:
    """Lint a shipped experiment by name, or a YAML file by path.

    Args:
        name: such as ``qube_swingup`` or ``my/experiment.yaml``.
        overrides: ``key=value`` assignments.

    Returns:
        What was found, errors first.

    Raises:
        UserError: there is no such file, or it is no YAML.
    """
    document = read_experiment(name)
    return lint(document, document.override(overrides))


def lint(
    document: Document, data: Mapping[str, Any] | None = None, robot: Robot | None = None
) -> list[Finding]:
    """Lint an experiment and the model of its robot.

    Args:
        document: which says where what stands.
        data: its content with overrides, if there are any.
        robot: in place of the installed one that the experiment names.

    Returns:
        What was found, errors first.
    """
    data = document.data if data is None else data
    if is_suite_task(data.get("task")):
        return sorted_findings(read_suite_experiment(document, data))
    experiment, found = read_experiment_parts(document, data)
    if robot is None and "robot" not in data:
        return sorted_findings(found)
    try:
        robot = robot or load_robot(str(data["robot"]))
    except UserError as error:
        return sorted_findings(unreadable_robot(document, str(error), found))
    model, unusable = read_model(robot.model_path)
    if model is None:
        return sorted_findings(found + unusable)
    of_model = [
        *check_robot_file(robot),
        *_guarded(str(model.path), lambda: check_model(model, robot.description)),
    ]
    if not {each.check for each in of_model} & {"inertia", "value"}:  # which tell better what is wrong
        of_model += unusable
    if experiment is None:
        return sorted_findings(found + of_model)
    subject = Subject(document, experiment, robot, model)
    of_model += _guarded(document.source, lambda: check_experiment(subject))
    faulty = any(each.severity == "error" for each in of_model)
    return sorted_findings(found + of_model + _randomization(subject, faulty))


def _guarded(where: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a check finds; that it could not be made is a finding, too."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except UserError as error:
        found.append(refused("unchecked", where, str(error), ""))
    return found


def _randomization(subject: Subject, faulty: bool) -> list[Finding]:
    """Checks of the randomization; in motion only if all else is sound.

    Args:
        subject: what is linted.
        faulty: whether there are errors outside of the randomization.
    """
    try:
        world = build_world(subject.robot, 1, {}, {}, threads=1, scene=subject.scene)
    except UserError as error:
        if faulty:
            return []  # they are the reason
        return [refused("model", str(subject.model.path), str(error), "docs/development.md: robots")]
    entries, pins, found = check_names_and_bounds(subject, world)
    where = subject.document.where(("randomization",))
    for check in (
        lambda: check_schedule(subject, world, entries),
        lambda: check_ranges(subject, world, entries),
        lambda: check_dependencies(subject, world, entries),
        lambda: check_contacts(subject, world, entries),
        lambda: check_history(subject, entries, pins),
    ):
        found += _guarded(where, check)
    if faulty or any(finding.check in ("history", "schedule", "unchecked") for finding in found):
        return found
    sound = _sound(subject, entries, found)
    return found + _guarded(where, lambda: check_motion(subject, sound, _pins_of(sound, pins)))


def _sound(subject: Subject, entries: Specification, found: list[Finding]) -> dict[str, ParameterConfig]:
    """Entries that can be told to act or not: no faulty ones, and none that act only with those."""
    faulty = {each.where for each in found if each.severity == "error" or each.check == "no-effect"}
    parts = ((), ("distribution",), ("target",))
    bad = {
        name
        for name in subject.entries
        if name not in entries or faulty & {subject.entry(name, *part) for part in parts}
    }
    idle = all_needed({each for name in bad for each in parameters_of(name, subject.entries[name])})
    return {
        name: entry
        for name, entry in entries.items()
        if name not in bad
        and not is_visual(name, entry)  # acts on images, which nothing here looks at
        and not idle & _in_company(parameters_of(name, entry))
        and not (entry.within_episode and "change_time_s" in idle)
    }


def _in_company(parameters: set[str]) -> set[str]:
    """Those that need others or are needed, of which a fault in one leaves no verdict on another."""
    needed = {each for needs in NEEDS.values() for each in needs}
    return parameters & (NEEDS.keys() | needed)


def _pins_of(entries: Specification, pins: Mapping[str, float]) -> dict[str, float]:
    """Those that hold something of some entries."""
    names = {
        member.parameter.name if entry.is_joint else name
        for name, entry in entries.items()
        for member in members(name, entry)
    }
    return {pin: value for pin, value in pins.items() if parameter_of(pin) in names}
