"""Faults of a `robot.yaml` that only its own numbers tell: counts for angles, degrees for radians."""

import math
from collections.abc import Iterator

from simreal.config import Document, read_document
from simreal.contract import Joint
from simreal.lint.finding import Finding
from simreal.robots import Robot
from simreal.robots.loader import DESCRIPTION

COARSEST = 0.1
"""rad or m per count; beyond it, counts per turn are more likely than such an encoder."""
FAR = 0.5
"""Share of a joint's range by which its bound may lie outside of that, and rad that it may anyway."""
FAST = 3.0
"""Bound of a joint's speed over its limit, above which it is no margin any more."""


def check_robot_file(robot: Robot) -> Iterator[Finding]:
    """All of them, each on its line of `robot.yaml`."""
    path = robot.model_path.parent / DESCRIPTION
    document = read_document(path) if path.is_file() else Document("{}", str(path))
    yield from _encoders(robot, document)
    for joint in robot.description.joints:
        yield from _position(robot, document, joint)
        yield from _velocity(robot, document, joint)
    yield from _stalls(robot, document)


def _encoders(robot: Robot, document: Document) -> Iterator[Finding]:
    counts = robot.config.sensing.encoder_resolution
    if counts > COARSEST:
        what = (
            f"sensing.encoder_resolution {counts:g}: rad or m per count, not counts per turn; "
            "all that is measured would be rounded to that"
        )
        mend = f"{2 * math.pi / counts:.3g} for {counts:g} counts a turn"
        where = document.where(("sensing", "encoder_resolution"))
        yield Finding("error", "unit", where, what, mend)


def _position(robot: Robot, document: Document, joint: Joint) -> Iterator[Finding]:
    """Bounds that no joint ever comes to."""
    bounds = robot.config.safety.joint_position.get(joint.name)
    if bounds is None or joint.lower is None or joint.upper is None:
        return
    allowed = max(FAR * (joint.upper - joint.lower), FAR if joint.unit == "rad" else 0.0)
    if max(joint.lower - bounds[0], bounds[1] - joint.upper) > allowed:
        what = (
            f"safety.joint_position of {joint.name}: {bounds[0]:g} to {bounds[1]:g} {joint.unit}, but "
            f"it moves from {joint.lower:g} to {joint.upper:g}: it protects nothing"
        )
        where = document.where(("safety", "joint_position", joint.name))
        yield Finding("error", "unit", where, what, f"{joint.unit}, a little beyond the joint's range")


def _velocity(robot: Robot, document: Document, joint: Joint) -> Iterator[Finding]:
    bound, limit = robot.config.safety.joint_velocity.get(joint.name), joint.velocity_limit
    if bound is not None and limit is not None and bound > FAST * limit:
        what = (
            f"safety.joint_velocity of {joint.name}: {bound:g} {joint.unit}/s, more than {FAST:g} times "
            f"its velocity_limit of {limit:g}"
        )
        where = document.where(("safety", "joint_velocity", joint.name))
        yield Finding("warning", "unit", where, what, f"{joint.unit}/s, a little above that limit")


def _stalls(robot: Robot, document: Document) -> Iterator[Finding]:
    """Distances to its target that a servo cannot have."""
    for actuator in robot.description.actuators:
        stall, travel = robot.config.safety.stall.get(actuator.name), actuator.upper - actuator.lower
        if actuator.command == "position" and stall is not None and stall > travel:
            what = (
                f"safety.stall of {actuator.name}: {stall:g} {actuator.unit} from the target, more than "
                f"its {travel:g} of travel: it never comes to that"
            )
            where = document.where(("safety", "stall", actuator.name))
            yield Finding("warning", "unit", where, what, f"{actuator.unit}, less than its travel")
