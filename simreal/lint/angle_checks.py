"""Angles in the other unit: degrees that are read as radians, and the reverse."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Joint
from simreal.lint.finding import Finding, Severity
from simreal.lint.model_file import ModelFile, kind_of

Angles = NDArray[np.float64]
FULL_TURN = 2.0 * math.pi
MOST_TURNS = 4.0
"""Of a joint with two ends. Beyond, multiples of 5 are degrees: robots were built with them."""


def check_angles(file: ModelFile, described: Sequence[Joint]) -> Iterator[Finding]:
    """All of them; with the joints of a description, ranges are surer."""
    for doubt in _doubts(file, described):
        severity: Severity = "error" if doubt.certain else "warning"
        what = f"joint {doubt.joint.name}: range {_listed(np.array(doubt.joint.range))} {doubt.what}"
        yield Finding(severity, "unit", file.where(doubt.joint), what, doubt.mend)
    yield from _orientations(file)
    yield from _servo_angles(file)


def misread_joints(file: ModelFile, described: Sequence[Joint]) -> list[Any]:
    """Joints whose range is surely in another unit than it is read in: nothing that follows is true."""
    return [doubt.joint for doubt in _doubts(file, described) if doubt.certain]


@dataclass(slots=True)
class _Doubt:
    """A joint whose range may be in the other unit.

    Attributes:
        joint: of the specification.
        what: is odd.
        mend: if it is so.
        certain: whether something else in the model says so, too.
    """

    joint: Any
    what: str
    mend: str
    certain: bool


def _doubts(file: ModelFile, described: Sequence[Joint]) -> list[_Doubt]:
    """One setting of the compiler is for all joints: where one of them is certain, those like it are."""
    meant = {joint.name: (joint.lower, joint.upper) for joint in described}
    servos = _commands_of_servos(file)
    found = []
    for joint in file.spec.joints:
        if joint.type not in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_BALL):
            continue
        if joint.range[0] < joint.range[1] and joint.limited != mujoco.mjtLimited.mjLIMITED_FALSE:
            doubt = _doubt(file, joint, meant.get(joint.name, (None, None)), servos.get(joint.name))
            found += [] if doubt is None else [doubt]
    certain = {doubt.joint.compiler.degree for doubt in found if doubt.certain}
    for doubt in found:
        doubt.certain |= doubt.joint.compiler.degree in certain and None in meant.get(
            doubt.joint.name, (None, None)
        )
    return found


def _doubt(
    file: ModelFile, joint: Any, meant: tuple[float | None, float | None], commands: Angles | None
) -> _Doubt | None:
    """What there is to doubt of a range, by itself and by what else knows of the joint."""
    written, degree = np.array(joint.range), bool(joint.compiler.degree)
    if commands is not None and not degree and _are_same(np.degrees(written), commands):
        what = f"is that of its servo's commands, {_listed(commands)} rad, taken for degrees"
        return _Doubt(joint, what, f'range="{_listed(commands)}", if these are radians', certain=True)
    odd = _other_unit(written, degree)
    if odd is None:
        return None
    if None not in meant:
        other = written if degree else np.radians(written)
        certain = _are_same(np.array(meant, dtype=float), other)
    elif degree:
        certain = (
            (commands is not None and _are_same(commands, written))
            or _are_shares_of_pi(written)
            or _is_used_beyond(file, joint)
        )
    else:
        certain = _are_degrees(written)
    return _Doubt(joint, odd, _compiler_mend(file, degree), certain)


def _commands_of_servos(file: ModelFile) -> dict[str, Angles]:
    """Joint to the range of its position servo's commands, which are radians in every model."""
    return {
        each.target: np.array(each.ctrlrange)
        for each in file.spec.actuators
        if _is_servo(each) and 0.0 < np.abs(each.ctrlrange).max() <= FULL_TURN + 0.01
    }


def _is_servo(actuator: Any) -> bool:
    is_one = actuator.gainprm[0] > 0 and actuator.biasprm[1] == -actuator.gainprm[0]
    return bool(is_one and actuator.gear[0] == 1.0)


def _are_same(first: Angles, second: Angles) -> bool:
    return bool(np.allclose(first, second, rtol=1e-2, atol=1e-4))


def _are_shares_of_pi(angles: Angles) -> bool:
    """Whether bounds are multiples of π/12, one of them of π/4: nobody measures such degrees."""
    largest = float(np.abs(angles).max())
    quarters = abs(largest - math.pi / 4.0 * round(4.0 * largest / math.pi)) < 2e-3
    return largest > 0.5 and quarters and all(_is_pi_over_12(float(angle)) for angle in angles)


def _is_used_beyond(file: ModelFile, joint: Any) -> bool:
    """Whether a keyframe, whose angles are radians in every model, stands far out of what is read."""
    model = file.compiled
    if model is None or joint.type != mujoco.mjtJoint.mjJNT_HINGE:
        return False
    place = model.jnt_qposadr[joint.id]
    low, high = joint.range
    reach = 2.0 * np.abs(model.jnt_range[joint.id]).max()
    return any(abs(value) > reach and low <= value <= high for value in model.key_qpos[:, place])


def _other_unit(angles: Angles, degree: bool) -> str | None:
    """What is odd about the bounds of a joint, if anything is."""
    largest = float(np.abs(angles).max())
    if degree and largest <= FULL_TURN + 0.01:
        low, high = np.radians(angles)
        return f"is read as degrees, which is {low:.3g} to {high:.3g} rad"
    if not degree and (largest > 2.0 * FULL_TURN or (largest > FULL_TURN and _are_round(angles))):
        return f"is read as radians, which is {largest / FULL_TURN:.3g} turns"
    return None


def _are_degrees(angles: Angles) -> bool:
    """Whether bounds, read as radians, are round degrees and more turns than a joint makes."""
    return bool(np.abs(angles).max() > MOST_TURNS * FULL_TURN and _are_round(angles))


def _are_round(angles: Angles) -> bool:
    return bool(np.all(np.abs(angles / 5.0 - np.rint(angles / 5.0)) < 1e-9))


def _compiler_mend(file: ModelFile, degree: bool) -> str:
    if file.is_urdf:
        return "write radians: a URDF has no other unit"
    if degree:
        return '<compiler angle="radian"/>, if these are radians'
    return 'write radians, or take <compiler angle="radian"/> out'


def _orientations(file: ModelFile) -> Iterator[Finding]:
    """Angles by which elements are turned, and reference angles of joints."""
    spec = file.spec
    for element in (*spec.bodies, *spec.geoms, *spec.sites, *spec.cameras):
        for angle in _written_angles(element.alt):
            yield from _odd_angle(file, element, angle)
    for joint in spec.joints:
        if joint.type == mujoco.mjtJoint.mjJNT_HINGE:
            for angle in (joint.ref, joint.springref):
                yield from _odd_angle(file, joint, float(angle))


def _written_angles(orientation: Any) -> list[float]:
    match orientation.type:
        case mujoco.mjtOrientation.mjORIENTATION_EULER:
            return [float(angle) for angle in orientation.euler]
        case mujoco.mjtOrientation.mjORIENTATION_AXISANGLE:
            return [float(orientation.axisangle[3])]
    return []


def _odd_angle(file: ModelFile, element: Any, angle: float) -> Iterator[Finding]:
    degree, twelfths = file.spec.compiler.degree, 12.0 * angle / math.pi
    label = f"{kind_of(element)} {element.name}".strip()
    if degree and round(twelfths) and abs(angle) < FULL_TURN + 0.01 and _is_pi_over_12(angle):
        what = f"{label}: {angle:g} is a share of π, but read as degrees"
    elif not degree and abs(angle) > FULL_TURN + 0.01:
        what = f"{label}: {angle:g} is read as radians, which is {abs(angle) / FULL_TURN:.3g} turns"
    else:
        return
    yield Finding("warning", "unit", file.where(element), what, _compiler_mend(file, degree))


def _is_pi_over_12(angle: float) -> bool:
    """Whether an angle is a multiple of π/12, written with two decimals or more."""
    step = math.pi / 12.0
    return abs(angle - step * round(angle / step)) < 2e-3


def _servo_angles(file: ModelFile) -> Iterator[Finding]:
    """Position servos: no compiler setting turns their commands from degrees into radians."""
    hinges = {each.name for each in file.spec.joints if each.type == mujoco.mjtJoint.mjJNT_HINGE}
    for actuator in file.spec.actuators:
        limits = np.array(actuator.ctrlrange)
        if _is_servo(actuator) and actuator.target in hinges:
            what = _other_unit(limits, degree=False)
            if what is not None:
                given = f"actuator {actuator.name}: ctrlrange {limits[0]:g} {limits[1]:g} {what}"
                mend = "a servo's commands are radians always: write radians"
                yield Finding("warning", "unit", file.where(actuator), given, mend)


def _listed(values: Angles) -> str:
    return " ".join(f"{value:g}" for value in values)
