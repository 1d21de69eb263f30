"""What servos have to hold: torques of gravity at the joints."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.joint_inertia import joint_inertia
from simreal.robot_add.posture import free_bodies, placed, simple_joints

POSTURES = 64
"""So many random ones are tried for the largest torque."""
MARGIN = 2.0
"""Estimated motors are so many times as strong as gravity asks of them."""
QUICKNESS = 50.0
"""rad/s² or m/s² to which they bring what they move, where gravity asks nothing."""


def estimated_effort(model: mujoco.MjModel) -> NDArray[np.float64]:
    """(joints,) N·m or N of drives of which nobody says how strong they are."""
    inertia = joint_inertia(model, model.qpos0)
    return np.maximum(
        MARGIN * holding_effort(model), QUICKNESS * np.where(np.isinf(inertia), 0.0, inertia)
    )


def holding_effort(model: mujoco.MjModel) -> NDArray[np.float64]:
    """(joints,) N·m or N: the largest that gravity asks of each joint over random postures.

    A robot on its own feet also bears its weight: a quarter of it, at the distance from the joint to the
    farthest geom beyond it, comes on top.
    """
    random, data = np.random.default_rng(0), mujoco.MjData(model)
    largest = np.zeros(model.njnt)
    for _ in range(POSTURES):
        data.qpos[:] = model.qpos0
        for joint in simple_joints(model):
            low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-np.pi, np.pi)
            data.qpos[model.jnt_qposadr[joint]] = random.uniform(low, high)
        mujoco.mj_forward(model, data)
        for joint in simple_joints(model):
            torque = abs(float(data.qfrc_bias[model.jnt_dofadr[joint]]))
            largest[joint] = max(largest[joint], torque)
    return largest + _weight_effort(model)


def _weight_effort(model: mujoco.MjModel) -> NDArray[np.float64]:
    extra = np.zeros(model.njnt)
    if not free_bodies(model):
        return extra
    data = placed(model, model.qpos0)
    weight = float(model.body_mass.sum()) * float(np.linalg.norm(model.opt.gravity))
    for joint in simple_joints(model):
        turns = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        extra[joint] = 0.25 * weight * (_reach(model, data, joint) if turns else 1.0)
    return extra


def _reach(model: mujoco.MjModel, data: mujoco.MjData, joint: int) -> float:
    """M from a joint to the farthest geom of what it moves."""
    moved = [geom for geom in range(model.ngeom) if _is_below(model, geom, int(model.jnt_bodyid[joint]))]
    away = data.geom_xpos[moved] - data.xanchor[joint]
    return float(np.linalg.norm(away, axis=1).max(initial=0.0))


def _is_below(model: mujoco.MjModel, geom: int, body: int) -> bool:
    above = int(model.geom_bodyid[geom])
    while above > body:  # a parent's index is below its child's
        above = int(model.body_parentid[above])
    return above == body
