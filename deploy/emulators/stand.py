"""A stand that holds an emulated robot in the air: springs and dampers on its trunk."""

import numpy as np

from simreal.physics.interface import Physics
from simreal.rotations import into_body

LIFT = 0.3
"""m above where it began."""
FREQUENCY = 30.0
"""rad/s, of the springs with the robot's mass; damped critically."""


class Stand:
    """Holds every free body of one simulation where it began, `LIFT` higher and upright."""

    def __init__(self, physics: Physics) -> None:
        self._physics, model = physics, physics.model
        self._bodies = [model.body(name).id for name in physics.free_bodies]
        self._place = physics.free_position[0, :, :3] + (0.0, 0.0, LIFT)
        self._mass = model.body_subtreemass[self._bodies][:, None]
        # Of the trunk with everything on it, about as large as the trunk with its limbs drawn in.
        self._inertia = 3.0 * model.body_inertia[self._bodies].max(axis=1)[:, None]
        self._gravity = model.opt.gravity

    def hold(self) -> None:
        """Set the forces for the next physics step."""
        pose, speed = self._physics.free_position[0], self._physics.free_velocity[0]
        pull = FREQUENCY**2 * (self._place - pose[:, :3]) - 2.0 * FREQUENCY * speed[:, :3]
        force = self._mass * (np.clip(pull, -20.0, 20.0) - self._gravity)
        to_world = pose[:, 3:] * (1.0, -1.0, -1.0, -1.0)
        tilt = 2.0 * pose[:, 4:] * np.sign(pose[:, 3:4])
        spin = into_body(to_world, speed[:, 3:])
        torque = -self._inertia * (FREQUENCY**2 * tilt + 2.0 * FREQUENCY * spin)
        self._physics.body_force[0, self._bodies] = np.concatenate((force, torque), axis=1)
