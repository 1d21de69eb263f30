"""Where things stand in a model's arrays, and how many physics steps a control step has."""

from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.physics.model import named_id
from simreal.robots import Robot
from simreal.state import Ids


class FreeJoints(NamedTuple):
    """Bodies on free joints, and (bodies, 7) and (bodies, 6) their places in qpos and qvel."""

    bodies: NDArray[np.int64]
    position: NDArray[np.int64]
    velocity: NDArray[np.int64]


def free_joints(model: mujoco.MjModel) -> FreeJoints:
    """The free joints of a model, in its order."""
    joints = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    return FreeJoints(
        model.jnt_bodyid[joints].astype(np.int64),
        model.jnt_qposadr[joints][:, None] + np.arange(7),
        model.jnt_dofadr[joints][:, None] + np.arange(6),
    )


class Layout:
    """Where a robot's joints and actuators and the bodies on free joints stand in a model's arrays.

    Attributes:
        positions: (joints,) of the contract's joints in qpos, and `position_columns` the same as a
            slice where that is possible.
        position_columns: see there.
        velocities: (joints,) of them in qvel.
        velocity_columns: likewise.
        actuators: (actuators,) ids of the contract's actuators.
        free: the free joints of the model.
    """

    def __init__(self, model: mujoco.MjModel, robot: Robot) -> None:
        """Look them up.

        Raises:
            UserError: the model lacks a joint or an actuator of the contract.
        """
        self.positions, self.velocities = joint_addresses(model, robot)
        self.position_columns, self.velocity_columns = columns(self.positions), columns(self.velocities)
        self.actuators = actuator_ids(model, robot)
        self.free = free_joints(model)

    def write(
        self, start: Start, ids: Ids, position: NDArray[np.float64], velocity: NDArray[np.float64]
    ) -> None:
        """Put a start of some simulations into (count, nq) and (count, nv); the rest stays as it is."""
        if start.free_position is not None:
            position[ids[:, None, None], self.free.position] = start.free_position
        if start.free_velocity is not None:
            velocity[ids[:, None, None], self.free.velocity] = start.free_velocity
        position[np.ix_(ids, self.positions)] = start.joint_position
        velocity[np.ix_(ids, self.velocities)] = start.joint_velocity


def whole_substeps(timestep: float, control_rate: float, robot: str) -> int:
    """Physics steps of `timestep` s in a control step.

    Raises:
        UserError: they are no whole number.
    """
    ratio = 1.0 / (control_rate * timestep)
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        fitting = 1.0 / (timestep * max(1, round(ratio)))
        raise UserError(
            f"control_rate {control_rate:g} Hz: the control period is {ratio:g} timesteps of "
            f"{timestep * 1e3:g} ms of robot {robot}, not a whole number; nearest: {fitting:g} Hz"
        )
    return round(ratio)


def joint_addresses(model: mujoco.MjModel, robot: Robot) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the contract's joints in qpos and in qvel."""
    kind = mujoco.mjtObj.mjOBJ_JOINT
    ids = [named_id(model, kind, name, robot) for name in robot.description.joint_names]
    return model.jnt_qposadr[ids].astype(np.int64), model.jnt_dofadr[ids].astype(np.int64)


def actuator_ids(model: mujoco.MjModel, robot: Robot) -> NDArray[np.int64]:
    """Ids of the contract's actuators."""
    kind = mujoco.mjtObj.mjOBJ_ACTUATOR
    return np.array([named_id(model, kind, name, robot) for name in robot.description.actuator_names])


def columns(indices: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """A slice where the indices are consecutive: it gives a view where they would give a copy."""
    first = int(indices[0])
    consecutive = np.array_equal(indices, np.arange(first, first + len(indices)))
    return slice(first, first + len(indices)) if consecutive else indices


def sensor_columns(model: mujoco.MjModel, sensor: int) -> slice:
    """Where a sensor's values stand in the sensor data."""
    first = int(model.sensor_adr[sensor])
    return slice(first, first + int(model.sensor_dim[sensor]))


def mesh_vertices(model: mujoco.MjModel, geom: int) -> NDArray[np.float64]:
    """(n, 3) m of the mesh of a geom, in the geom's frame."""
    mesh = int(model.geom_dataid[geom])
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices: NDArray[np.float64] = model.mesh_vert[first : first + count].astype(np.float64)
    return vertices


def compiled_field(model: mujoco.MjModel, field: str) -> Any:
    """A field's value in the model itself; those of the options begin with ``opt.``."""
    of_options = field.startswith("opt.")
    return getattr(model.opt if of_options else model, field.removeprefix("opt."))
