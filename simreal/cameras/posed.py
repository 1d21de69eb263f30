"""Simulations that stand where a camera looks at them, which may be where they were a while ago."""

import copy
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.physics.native_batch import Batch
from simreal.state import Ids

LOOKS = ("body_", "geom_", "cam_", "light_", "mat_", "jnt_", "qpos0")
"""How the names of model fields begin on which an image may depend."""


class Posed:
    """A batch of the same model whose kinematics alone are computed.

    Attributes:
        model: the compiled model.
        count: number of simulations.
    """

    def __init__(self, physics: MujocoPhysics, threads: int = 0) -> None:
        """Make as many simulations as the physics has.

        Args:
            physics: whose fields and marks are shown.
            threads: 0 for every processor.
        """
        self._physics = physics
        self.count, self.model = physics.count, copy.copy(physics.model)
        flags = mujoco.mjtDisableBit
        self.model.opt.disableflags |= flags.mjDSBL_CONTACT | flags.mjDSBL_SENSOR
        self._batch = Batch(self.model, self.count, threads)
        self._batch.reset()
        self._qpos, self._marks = self._batch.bind("qpos"), self._batch.bind("mocap_pos")
        for name in ("geom_xpos", "geom_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir"):
            self._batch.bind(name)

    def pose(self, ids: Ids, qpos: NDArray[np.float64]) -> None:
        """Stand at (len(ids), nq) configurations, with the model fields that the physics has now."""
        for name in self._physics.expanded_fields:
            if name.startswith(LOOKS):
                self._batch.expand(name)[ids] = self._physics.field(name)[ids]
        self._qpos[ids] = qpos
        self._marks[ids] = self._physics.mark_position[ids]
        self._batch.forward(ids, mujoco.mjtStage.mjSTAGE_POS)

    def copy_simulation(self, simulation: int, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Write a simulation's fields and state into a model and data, such as a renderer's."""
        self._batch.get_model(simulation, model)
        self._batch.get_data(simulation, data)

    def place(self, name: str) -> NDArray[np.float64]:
        """(count, ...) live values of a field of the data, such as `geom_xpos`."""
        return self._batch.bind(name)

    def field(self, name: str, ids: Ids) -> NDArray[Any]:
        """(len(ids), ...) values of a model field in some simulations."""
        if name in self._physics.expanded_fields:
            return self._batch.expand(name)[ids]
        values = np.asarray(getattr(self.model, name))
        return np.broadcast_to(values, (len(ids), *values.shape))
