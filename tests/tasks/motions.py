"""The motion of a simulated arm, as a task's rewards see it."""

import numpy as np

from simreal.env import BatchEnv
from simreal.tasks.task import Motion


def motion(env: BatchEnv) -> Motion:
    """Of all simulations of an SO-101 now, without actions."""
    physics = env.physics
    nothing = np.zeros((env.count, 6))
    return Motion(physics.joint_position, physics.joint_velocity, nothing, nothing, env.command, physics)
