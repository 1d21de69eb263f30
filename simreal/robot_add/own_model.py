"""Turns a model of anybody's into one of simreal's: self-contained, and without what tasks bring."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.physics.lowest_point import lowest_point, touching_geoms
from simreal.robot_add.assets import move_assets
from simreal.robot_add.commands import settle_commands
from simreal.robot_add.imu import Imu, settle_imu
from simreal.robot_add.naming import name_parts
from simreal.robot_add.overlaps import overlapping_bodies
from simreal.robot_add.posture import (
    GROUND,
    default_posture,
    free_bodies,
    loose_bodies,
    placed,
    simple_joints,
)
from simreal.robot_add.servos import add_servos
from simreal.robot_add.urdf import JointLimits

MODEL = "model.xml"


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model in a folder of its own.

    Attributes:
        model: as compiled from that folder.
        default_position: joint name to where it waits, rad or m.
        imu: of a robot on a free base.
        estimated: whether its servos were added, with gains that are a guess.
        notes: what was changed and decided, for people.
    """

    model: mujoco.MjModel
    default_position: dict[str, float]
    imu: Imu | None
    estimated: bool
    notes: list[str]


def write_own_model(
    spec: mujoco.MjSpec,
    folder: Path,
    name: str,
    urdf: Mapping[str, JointLimits],
    mimics: tuple[str, ...],
) -> OwnModel:
    """Write a model with its meshes into a folder.

    Args:
        spec: of a model that compiles; is changed.
        folder: an existing one.
        name: of the robot.
        urdf: joint name to its drive's limits, where a URDF says them.
        mimics: joints that follow another one.

    Raises:
        UserError: MuJoCo does not take what came out.
    """
    move_assets(spec, folder)
    notes = _named(spec)
    model = spec.compile()
    estimated = model.nu == 0
    if estimated:
        notes += add_servos(spec, model, urdf, mimics)
        model = spec.compile()
    notes += settle_commands(spec, model)
    posture, bases = default_posture(model), free_bodies(model)
    notes.append(f"default posture: {posture.source}")
    notes += _stand(spec, model, bases[0], posture.qpos) if bases else ["fixed base"]
    notes += _exclude_overlaps(spec, model, posture.qpos)
    notes += _leave_the_scene(spec, loose_bodies(model))
    imu = settle_imu(spec, _body(spec, bases[0])) if bases else None
    notes += [imu.note] if imu else []
    defaults = _defaults(model, posture.qpos)
    spec.modelname = name
    return OwnModel(_written(spec, folder), defaults, imu, estimated, notes)


def _named(spec: mujoco.MjSpec) -> list[str]:
    named = list(name_parts(spec))
    return [f"named: {', '.join(named)}"] if named else []


def _body(spec: mujoco.MjSpec, index: int) -> mujoco.MjsBody:
    return next(body for body in spec.bodies if body.id == index)


def _defaults(model: mujoco.MjModel, qpos: NDArray[np.float64]) -> dict[str, float]:
    """Within their ranges: a keyframe is rounded as people round."""
    defaults = {}
    for joint in simple_joints(model):
        value = float(qpos[model.jnt_qposadr[joint]])
        if model.jnt_limited[joint]:
            value = float(np.clip(value, *model.jnt_range[joint]))
        defaults[model.joint(joint).name] = value
    return defaults


def _stand(
    spec: mujoco.MjSpec, model: mujoco.MjModel, base: int, qpos: NDArray[np.float64]
) -> Iterator[str]:
    """Put a free base where the posture has it, just on the ground: in the model, and in the posture."""
    place = model.jnt_qposadr[model.body_jntadr[base]]
    lowest = lowest_point(model, placed(model, qpos), touching_geoms(model))
    if np.isfinite(lowest):
        qpos[place + 2] -= lowest
        yield f"free base, at {qpos[place + 2]:.4g} m: there it touches the ground"
    element = _body(spec, base)
    element.pos, element.quat = qpos[place : place + 3], qpos[place + 3 : place + 7]
    element.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT


def _exclude_overlaps(
    spec: mujoco.MjSpec, model: mujoco.MjModel, qpos: NDArray[np.float64]
) -> Iterator[str]:
    for (first, second), _ in overlapping_bodies(model, qpos):
        names = model.body(first).name, model.body(second).name
        spec.add_exclude(bodyname1=names[0], bodyname2=names[1])
        yield f"no contact between {names[0]} and {names[1]}, which overlap in the default posture"


def _leave_the_scene(spec: mujoco.MjSpec, loose: list[int]) -> Iterator[str]:
    """Take out what tasks bring: ground, objects, and keyframes, which fit no scene with more in it."""
    for body in [each for each in spec.bodies if each.id in loose]:
        yield f"body {body.name} is left out: it hangs on nothing and carries no joint"
        spec.delete(body)
    ground = [geom for geom in spec.worldbody.geoms if geom.type in GROUND]
    for geom in ground:
        spec.delete(geom)
    for key in list(spec.keys):
        spec.delete(key)
    if ground:
        yield "its ground is left out: tasks bring their own"


def _written(spec: mujoco.MjSpec, folder: Path) -> mujoco.MjModel:
    try:
        spec.compile()
        (folder / MODEL).write_text(spec.to_xml(), encoding="utf-8")
        return mujoco.MjModel.from_xml_path(str(folder / MODEL))
    except ValueError as error:
        raise UserError(f"the model as rewritten is refused by MuJoCo: {error}") from None
