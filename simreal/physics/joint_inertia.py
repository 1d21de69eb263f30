"""The inertia that a torque meets at a joint."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.drives import turns_or_slides


def joint_inertia(model: mujoco.MjModel, qpos: NDArray[np.float64]) -> NDArray[np.float64]:
    """(joints,) kg·m² or kg that a torque meets at each joint while all others are free to give way.

    The inverse of the diagonal of the inverse of the joint-space inertia: the least that a servo can
    meet, and so what decides whether it is stable.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    inverse = np.zeros((model.nv, model.nv))
    mujoco.mj_solveM(model, data, inverse, np.eye(model.nv))
    inertia = np.full(model.njnt, np.inf)
    for joint in range(model.njnt):
        if turns_or_slides(model, joint):
            dof = model.jnt_dofadr[joint]
            inertia[joint] = 1.0 / max(inverse[dof, dof], mujoco.mjMINVAL)
    return inertia
