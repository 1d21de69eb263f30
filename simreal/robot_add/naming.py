"""Names: of robots, and for parts of a model that have none."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import mujoco

from simreal.errors import UserError
from simreal.robots import robot_folders
from simreal.robots.loader import own_folder

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def refuse_name(name: str, replace: bool) -> None:
    """Raise a `UserError` for a name that is none, or somebody's.

    Args:
        name: of the robot.
        replace: whether it may be that of a robot where new ones are written.
    """
    if not NAME.fullmatch(name):
        proposal = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
        hint = f", such as {proposal!r}" if NAME.fullmatch(proposal) else ""
        raise UserError(
            f"name {name!r}: lower-case letters, digits and underscores, beginning with a letter{hint}"
        )
    known = robot_folders().get(name)
    if known is None:
        return
    mine = known.path == own_folder().absolute() / name
    if not (mine and replace):
        hint = f", or --replace it: {known.path} goes" if mine else ""
        raise UserError(f"there is a robot {name!r} already, in {known.path}: choose another name{hint}")


def name_parts(spec: mujoco.MjSpec) -> Iterator[str]:
    """Give a name to each body, joint and actuator without one.

    Yields:
        What was named, for people.
    """
    yield from _name(spec.bodies[1:], "body", lambda body: f"{body.parent.name or 'body'}_child")
    yield from _name(spec.joints, "joint", lambda joint: f"{joint.parent.name}_joint")
    yield from _name(spec.actuators, "actuator", lambda actuator: actuator.target or "actuator")


def _name(elements: Iterable[Any], kind: str, propose: Any) -> Iterator[str]:
    elements = list(elements)
    taken = {element.name for element in elements}
    for element in elements:
        if element.name:
            continue
        element.name = free_name(propose(element), taken)
        taken.add(element.name)
        yield f"{kind} {element.name}"


def free_name(stem: str, taken: Collection[str]) -> str:
    """The stem, or with the first number behind it that nobody has."""
    name, again = stem, 1
    while name in taken:
        again += 1
        name = f"{stem}_{again}"
    return name
