"""Whether a command means to the model what robot.yaml, and with it the contract, says that it means."""

from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from simreal.contract import Actuator, RobotDescription
from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile
from simreal.physics.contradictions import COMMAND_UNITS
from simreal.physics.drives import Drive, command_range, read_drives

SAME = 1e-6
"""Relative difference up to which two numbers are one that was rounded."""


def check_commands(file: ModelFile, robot: RobotDescription) -> Iterator[Finding]:
    """Actuators whose command is another one, or in another unit, than robot.yaml says."""
    model = file.compiled
    if model is None:
        return
    drives, foreign = read_drives(model)
    known = {drive.index: drive for drive in drives}
    reasons = {each.index: each.reason for each in foreign}
    described = {actuator.name: actuator for actuator in robot.actuators}
    for element in file.spec.actuators:
        actuator = described.get(element.name)
        if actuator is None:
            continue
        if element.id in known:
            yield from _linear(file, model, element, actuator, known[element.id])
        elif actuator.command != "voltage":
            what = f"{actuator.name} takes no {actuator.command}: {reasons[element.id]}"
            mend = "drive the joint by <motor> or <position>, with gear 1"
            yield Finding("warning", "drive", file.where(element), what, mend)


def _linear(
    file: ModelFile, model: mujoco.MjModel, element: Any, actuator: Actuator, drive: Drive
) -> Iterator[Finding]:
    """An actuator whose torque is linear in command, position and velocity."""
    where, servo = file.where(element), drive.command == "position"
    if servo != (actuator.command == "position"):
        here = "a position servo" if servo else "no position servo"
        what = f"{actuator.name} takes a {actuator.command} in robot.yaml, but is {here} in the model"
        mend = "<position kp=...>" if actuator.command == "position" else "<motor>, or command: position"
        yield Finding("error", "drive", where, what, mend)
    elif actuator.command == "voltage":
        yield from _without_back_emf(where, actuator, drive)
    elif actuator.unit == _unit(model, actuator, drive):  # else a contradiction, which is told already
        yield from _in_other_unit(where, model, actuator, drive)


def _unit(model: mujoco.MjModel, actuator: Actuator, drive: Drive) -> str:
    slides = bool(model.jnt_type[drive.joint] == mujoco.mjtJoint.mjJNT_SLIDE)
    return COMMAND_UNITS[actuator.command, slides]


def _without_back_emf(where: str, actuator: Actuator, drive: Drive) -> Iterator[Finding]:
    if drive.damping == 0.0:
        what = f"{actuator.name} takes a voltage, but its torque does not fall with speed: no back-EMF"
        mend = (
            'gainprm="kt/R" biastype="affine" biasprm="0 0 -kt*km/R" in a <general>, or an effort in N·m'
        )
        yield Finding("warning", "drive", where, what, mend)


def _in_other_unit(
    where: str, model: mujoco.MjModel, actuator: Actuator, drive: Drive
) -> Iterator[Finding]:
    """Gear, gain and bias together must leave a command what it is; an effort may change its sign."""
    unit, servo = actuator.unit, drive.command == "position"
    scale = drive.scale if servo else abs(drive.scale)
    if np.isclose(scale, 1.0, rtol=SAME, atol=0.0) and abs(drive.offset) <= SAME:
        return
    offset = f" and {drive.offset:g} {unit} more" if abs(drive.offset) > SAME else ""
    makes = "means a position of" if servo else "makes"
    what = f"{actuator.name}: a command of 1 {unit} {makes} {scale:g} {unit}{offset}"
    if servo:
        mend = 'gear="1", and a gain that equals the stiffness of the bias'
    else:
        mend = 'gear="1" and gain 1: put the gear into ctrlrange, and the range into robot.yaml'
    reached = command_range(model, drive)
    if reached is not None:
        mend += f": {reached[0]:g} to {reached[1]:g} {unit}"
    yield Finding("error", "drive", where, what, mend)
