"""Where a robot's description and its model say different things of the same joint or actuator."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Actuator, Joint, RobotDescription, Tool
from simreal.kinematics import Chain
from simreal.physics.drives import Drive, on_joint, read_drives, slides

Subject = Literal["range", "unit", "drive", "place"]

SAME_PLACE = 1e-5
"""m, by which a tool's chain and its site may differ: digits that were rounded."""
COMMAND_UNITS = {
    ("effort", False): "N·m",
    ("effort", True): "N",
    ("position", False): "rad",
    ("position", True): "m",
    ("voltage", False): "V",
    ("voltage", True): "V",
}
"""Unit of each kind of command, to a joint that turns and to one that slides."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One thing that both say.

    Attributes:
        subject: what it is about.
        kind: of the part, ``joint``, ``actuator`` or ``tool``.
        name: of the part.
        what: what each of them says.
        mend: what makes them agree.
    """

    subject: Subject
    kind: Literal["joint", "actuator", "tool"]
    name: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.what}; {self.mend}"


def contradictions(model: mujoco.MjModel, robot: RobotDescription) -> Iterator[Contradiction]:
    """All of them; joints, actuators and sites that the model lacks are passed over."""
    for joint in robot.joints:
        index = _found(model, mujoco.mjtObj.mjOBJ_JOINT, joint.name)
        if index >= 0:
            yield from _of_joint(model, index, joint)
    drives = {drive.index: drive for drive in read_drives(model)[0]}
    for actuator in robot.actuators:
        index = _found(model, mujoco.mjtObj.mjOBJ_ACTUATOR, actuator.name)
        if index >= 0:
            yield from _of_actuator(model, index, actuator)
            yield from _of_gains(actuator, drives.get(index))
    for tool in robot.tools:
        index = _found(model, mujoco.mjtObj.mjOBJ_SITE, tool.name)
        if index >= 0:
            yield from _of_tool(model, index, tool, robot)


def _found(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    return int(mujoco.mj_name2id(model, kind, name))


def _of_joint(model: mujoco.MjModel, index: int, joint: Joint) -> Iterator[Contradiction]:
    sliding = slides(model, index)
    if (joint.unit == "m") != sliding:
        moves, unit = ("slides", "m") if sliding else ("turns", "rad")
        what = f"unit {joint.unit} for a joint that {moves}"
        yield Contradiction("unit", "joint", joint.name, what, f"unit: {unit} in robot.yaml")
    if model.jnt_limited[index] and joint.lower is not None and joint.upper is not None:
        limits = (joint.lower, joint.upper)
        yield from _of_range("joint", joint.name, limits, model.jnt_range[index])


def _of_actuator(model: mujoco.MjModel, index: int, actuator: Actuator) -> Iterator[Contradiction]:
    if on_joint(model, index):
        joint = int(model.actuator_trnid[index, 0])
        driven = model.joint(joint).name
        if driven != actuator.joint:
            what = f"drives joint {actuator.joint!r} in robot.yaml, joint {driven!r} in the model"
            mend = "name the joint that the machine's motor drives in both"
            yield Contradiction("drive", "actuator", actuator.name, what, mend)
        else:
            yield from _of_unit(actuator, slides(model, joint))
    if model.actuator_ctrllimited[index]:
        limits = (actuator.lower, actuator.upper)
        yield from _of_range("actuator", actuator.name, limits, model.actuator_ctrlrange[index])


def _of_unit(actuator: Actuator, slides: bool) -> Iterator[Contradiction]:
    unit = COMMAND_UNITS[actuator.command, slides]
    if actuator.unit != unit:
        moves = "slides" if slides else "turns"
        what = f"command {actuator.command} in {actuator.unit} to a joint that {moves}"
        yield Contradiction("unit", "actuator", actuator.name, what, f"unit: {unit} in robot.yaml")


def _of_gains(actuator: Actuator, drive: Drive | None) -> Iterator[Contradiction]:
    """Gains that the description gives, against those of a model's servo."""
    if drive is None or drive.command != "position" or actuator.command != "position":
        return
    for name, given, compiled in (
        ("stiffness", actuator.stiffness, drive.stiffness),
        ("damping", actuator.damping, drive.damping),
    ):
        if given is not None and not np.isclose(given, compiled, rtol=1e-4, atol=1e-9):
            what = f"{name} {given:g} in robot.yaml, {compiled:g} in the model"
            mend = "give both the gains that the machine's servo is set to"
            yield Contradiction("drive", "actuator", actuator.name, what, mend)


def _of_tool(
    model: mujoco.MjModel, site: int, tool: Tool, robot: RobotDescription
) -> Iterator[Contradiction]:
    """Where a tool's chain puts it, against the model's site, with every joint off its zero."""
    data = mujoco.MjData(model)
    position = np.linspace(0.2, 0.5, len(robot.joints))
    for name, value in zip(robot.joint_names, position, strict=True):
        joint = _found(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if joint < 0:
            return
        data.qpos[model.jnt_qposadr[joint]] = value
    mujoco.mj_kinematics(model, data)
    apart = float(np.linalg.norm(Chain(tool, robot)(position) - data.site_xpos[site]))
    if apart > SAME_PLACE:
        what = f"its chain in robot.yaml leads {1e3 * apart:.2g} mm beside the model's site"
        mend = "give the chain the model's own frames and axes; an axis that is absent is z"
        yield Contradiction("place", "tool", tool.name, what, mend)


def _of_range(
    kind: Literal["joint", "actuator"],
    name: str,
    described: tuple[float, float],
    compiled: NDArray[np.float64],
) -> Iterator[Contradiction]:
    if np.allclose(described, compiled, rtol=1e-6, atol=1e-9):
        return
    what = (
        f"{described[0]:g} to {described[1]:g} in robot.yaml, "
        f"{compiled[0]:g} to {compiled[1]:g} in the model"
    )
    yield Contradiction("range", kind, name, what, "make both the machine's own range")
