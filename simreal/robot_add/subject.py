"""What an audit looks at: a model that compiles, and what is known of its drives beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Joint
from simreal.lint.angle_checks import misread_joints
from simreal.lint.model_file import ModelFile
from simreal.physics.drives import Drive, Foreign, read_drives
from simreal.robot_add.urdf import JointLimits


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under audit.

    Attributes:
        file: says where what stands.
        model: compiled.
        qpos: (nq,) its default posture.
        posture: where that comes from, for people; empty if somebody has decided on it.
        drives: actuators that a policy can command.
        foreign: the others.
        urdf: joint name to what a URDF says of its drive; empty for an MJCF.
        massless: links of a URDF that have shapes and no inertia.
        mimics: joints of a URDF that follow another one.
        misread: joints whose range is surely in another unit: what follows from it is not told.
    """

    file: ModelFile
    model: mujoco.MjModel
    qpos: NDArray[np.float64]
    posture: str
    drives: list[Drive]
    foreign: list[Foreign]
    urdf: Mapping[str, JointLimits] = field(default_factory=dict)
    massless: tuple[str, ...] = ()
    mimics: tuple[str, ...] = ()
    misread: frozenset[int] = frozenset()

    def where(self, kind: str, index: int) -> str:
        """``file:line`` of a body, joint, geom or actuator of the model."""
        return self.file.where(self.element(kind, index))

    def element(self, kind: str, index: int) -> Any:
        """The element of the specification, such as of kind ``joint``."""
        elements = {
            "body": self.file.spec.bodies,
            "joint": self.file.spec.joints,
            "geom": self.file.spec.geoms,
            "actuator": self.file.spec.actuators,
        }[kind]
        return next(each for each in elements if each.id == index)

    def label(self, kind: str, index: int) -> str:
        """A name for people, such as ``joint hip``, or ``geom 3 of body hip`` without one."""
        named = {
            "body": self.model.body,
            "joint": self.model.joint,
            "geom": self.model.geom,
            "actuator": self.model.actuator,
        }[kind](index)
        if named.name:
            return f"{kind} {named.name}"
        owner = {"joint": self.model.jnt_bodyid, "geom": self.model.geom_bodyid}.get(kind)
        body = "" if owner is None else self.model.body(int(owner[index])).name
        return f"{kind} {index} of body {body}" if body else f"{kind} {index}"


def make_subject(
    file: ModelFile,
    model: mujoco.MjModel,
    qpos: NDArray[np.float64],
    posture: str = "",
    urdf: Mapping[str, JointLimits] | None = None,
    massless: tuple[str, ...] = (),
    mimics: tuple[str, ...] = (),
    described: Sequence[Joint] = (),
) -> Subject:
    """Look at a model with its actuators sorted."""
    drives, foreign = read_drives(model)
    misread = frozenset(int(joint.id) for joint in misread_joints(file, described))
    return Subject(file, model, qpos, posture, drives, foreign, urdf or {}, massless, mimics, misread)
