"""Whether a model at rest shakes from step to step, as it does where a step is too long for it."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.drives import Drive, turns_or_slides

DURATION = 1.0
"""s for which it is held."""
MOST_STEPS = 2_000
NUDGE = 1e-3
"""rad/s or m/s of every joint at the start: what is unstable grows out of it, from rest it may not."""
ALTERNATING = 0.9
"""Share of the steps of the second half after which a speed goes back the way it came."""
FASTEST = 1e4
"""rad/s or m/s, at which there is nothing more to see, and MuJoCo does not complain yet."""
SMALLEST_JUMP = 0.05
"""rad/s or m/s from step to step: less is not seen."""


def chattering_joints(
    model: mujoco.MjModel, qpos: NDArray[np.float64], drives: list[Drive]
) -> dict[int, float]:
    """Hold a posture, and look at the speeds of hinges and slides.

    Args:
        model: of a robot, without a scene or with one.
        qpos: (nq,) the posture.
        drives: which hold it; what no drive commands gets 0.

    Returns:
        Joints that chatter to the median jump of their speed from step to step, rad/s or m/s.
    """
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos, NUDGE
    for drive in drives:
        wanted = qpos[model.jnt_qposadr[drive.joint]] if drive.command == "position" else 0.0
        data.ctrl[drive.index] = (wanted - drive.offset) / drive.scale
    joints = [joint for joint in range(model.njnt) if turns_or_slides(model, joint)]
    places = model.jnt_dofadr[joints]
    steps = min(MOST_STEPS, max(10, round(DURATION / model.opt.timestep)))
    seen = [data.qvel[places]]
    while len(seen) <= steps and np.abs(seen[-1]).max(initial=0.0) < FASTEST:
        mujoco.mj_step(model, data)
        seen.append(data.qvel[places])
    jumps = np.diff(seen[len(seen) // 2 :], axis=0)
    if len(jumps) < 2:
        return {}
    alternating = np.mean(jumps[1:] * jumps[:-1] < 0.0, axis=0)
    size = np.median(np.abs(jumps), axis=0)
    return {
        joint: float(size[index])
        for index, joint in enumerate(joints)
        if alternating[index] > ALTERNATING and size[index] > SMALLEST_JUMP
    }
