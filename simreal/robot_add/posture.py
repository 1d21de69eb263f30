"""The posture in which a robot waits for its first command: a keyframe, or its joints' zero."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.layout import free_joints
from simreal.physics.lowest_point import lowest_point, touching_geoms

NAMES = ("home", "stand", "default", "neutral", "ready", "rest")
"""Of keyframes, those that are looked for first."""
GROUND = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)
"""Kinds of geoms that others stand on."""


@dataclass(frozen=True, slots=True)
class Posture:
    """Where all joints stand.

    Attributes:
        qpos: (nq,) of the model.
        source: where it comes from, for people.
    """

    qpos: NDArray[np.float64]
    source: str


def default_posture(model: mujoco.MjModel) -> Posture:
    """The keyframe that most looks like it, else zero, or mid-range where zero is out of range."""
    if model.nkey:
        key = _chosen_key(model)
        return Posture(model.key_qpos[key].copy(), f"keyframe {model.key(key).name or key}")
    qpos, moved = model.qpos0.copy(), []
    for joint in simple_joints(model):
        low, high = model.jnt_range[joint]
        place = model.jnt_qposadr[joint]
        if model.jnt_limited[joint] and not low <= qpos[place] <= high:
            qpos[place] = 0.5 * (low + high)
            moved.append(model.joint(joint).name)
    _follow(model, qpos)
    source = "zero of every joint" + (
        f", the middle of its range for {', '.join(moved)}" if moved else ""
    )
    return Posture(qpos, source)


def _follow(model: mujoco.MjModel, qpos: NDArray[np.float64]) -> None:
    """Let joints that an equality ties to another one stand where it has them."""
    for equality in np.flatnonzero(model.eq_type == mujoco.mjtEq.mjEQ_JOINT):
        follower, leader = model.eq_obj1id[equality], model.eq_obj2id[equality]
        if not model.eq_active0[equality] or leader < 0:
            continue
        there, here = model.jnt_qposadr[leader], model.jnt_qposadr[follower]
        off = qpos[there] - model.qpos0[there]
        qpos[here] = model.qpos0[here] + np.polyval(model.eq_data[equality, 4::-1], off)


def _chosen_key(model: mujoco.MjModel) -> int:
    names = [model.key(index).name.lower() for index in range(model.nkey)]
    for wanted in NAMES:
        for index, name in enumerate(names):
            if wanted in name:
                return index
    return 0


def simple_joints(model: mujoco.MjModel) -> list[int]:
    """Hinges and slides."""
    kinds = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    return [joint for joint in range(model.njnt) if int(model.jnt_type[joint]) in kinds]


def free_bodies(model: mujoco.MjModel) -> list[int]:
    """Bodies that hang on nothing and carry joints: the bases of robots."""
    carriers = _carriers(model)
    return [body for body in _free(model) if body in carriers]


def loose_bodies(model: mujoco.MjModel) -> list[int]:
    """Bodies that carry no joint and hang on nothing, or are mocap: objects and marks of a scene."""
    marks = np.flatnonzero(model.body_mocapid >= 0).tolist()
    return sorted({*_free(model), *marks} - _carriers(model))


def _carriers(model: mujoco.MjModel) -> set[int]:
    return {int(model.body_rootid[model.jnt_bodyid[joint]]) for joint in simple_joints(model)}


def _free(model: mujoco.MjModel) -> list[int]:
    return [int(body) for body in free_joints(model).bodies]


def placed(model: mujoco.MjModel, qpos: NDArray[np.float64]) -> mujoco.MjData:
    """The model at rest in a posture, all computed that follows from it."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    return data


def depth_in_floor(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """M that the robot reaches below the ground; the ground is the model's own plane, or z = 0."""
    planes = np.flatnonzero((model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_bodyid == 0))
    ground = float(data.geom_xpos[planes, 2].max()) if planes.size else 0.0
    return ground - lowest_point(model, data, touching_geoms(model))
