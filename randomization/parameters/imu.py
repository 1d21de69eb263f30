"""Parameters of inertial sensors."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Write,
    operate,
)
from simreal.randomization.world import World
from simreal.state import FloatArray, Ids

AXES = ("x", "y", "z")
ON_SITES = (
    mujoco.mjtSensor.mjSENS_GYRO,
    mujoco.mjtSensor.mjSENS_ACCELEROMETER,
    mujoco.mjtSensor.mjSENS_VELOCIMETER,
    mujoco.mjtSensor.mjSENS_MAGNETOMETER,
)
"""Sensors that measure in the axes of the site that carries them."""


@dataclass(frozen=True, kw_only=True)
class ImuMounting(Parameter):
    """Rotation of the sites that carry inertial sensors: a vector along its axis, in the site's axes.

    The vector's length is the angle. The vectors of several entries add up, as small rotations do.
    """

    def elements(self, world: World) -> list[str]:
        model = world.physics.model
        names = [model.site(site).name or f"site{site}" for site in _imu_sites(model)]
        return [f"{name}.{axis}" for name in names for axis in AXES]

    def default(self, world: World) -> FloatArray:
        return np.zeros(max(1, 3 * len(_imu_sites(world.physics.model))))

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        sites = _imu_sites(world.physics.model)
        mounted = world.default("site_quat")[sites]
        quaternions = world.array("site_quat")

        def write(ids: Ids, values: FloatArray) -> None:
            nominal = _rotations(np.tile(mounted, (len(ids), 1)))
            present = _rotations(quaternions[np.ix_(ids, sites)].reshape(-1, 4))
            error = (nominal.inv() * present).as_rotvec().reshape(len(ids), -1)
            error[:, elements] = operate(operation, error[:, elements], values)
            turned = nominal * Rotation.from_rotvec(error.reshape(-1, 3))
            w_first = turned.as_quat()[:, [3, 0, 1, 2]]
            quaternions[np.ix_(ids, sites)] = w_first.reshape(len(ids), -1, 4)

        return write


def _imu_sites(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Sites with a sensor that is sensitive to how they are turned."""
    frame = model.sensor_type == mujoco.mjtSensor.mjSENS_FRAMEQUAT
    of_site = frame & (model.sensor_objtype == mujoco.mjtObj.mjOBJ_SITE)
    found = model.sensor_objid[of_site | np.isin(model.sensor_type, ON_SITES)]
    return np.unique(found).astype(np.int64)


def _rotations(quaternions: FloatArray) -> Rotation:
    """From (n, 4) quaternions of MuJoCo, w first."""
    return Rotation.from_quat(quaternions[:, [1, 2, 3, 0]])


def _error(name: str, unit: str, description: str) -> ArrayParameter:
    """One number for each axis of the IMU."""
    return ArrayParameter(
        name=f"imu_{name}",
        unit=unit,
        description=description,
        operation="absolute",
        fields=(f"sensing.{name}",),
        part="robot",
        axes=AXES,
        lower=None if name.endswith("bias") else 0.0,
    )


IMU: tuple[Parameter, ...] = (
    ImuMounting(
        name="imu_mounting_error",
        unit="rad",
        description="rotation of the site of inertial sensors, about its axes",
        operation="absolute",
        fields=("site_quat",),
        lower=None,
    ),
    ArrayParameter(
        name="imu_latency_ms",
        unit="ms",
        description="delay of the IMU's readings, on top of that of all",
        operation="absolute",
        fields=("sensing.imu_latency",),
        part="robot",
        unit_in_field=1e3,
    ),
    _error("orientation_bias", "rad", "constant error of the orientation, about the IMU's axes"),
    _error("orientation_noise", "rad", "standard deviation of white noise of the orientation"),
    _error("gyro_bias", "rad/s", "constant error of the angular velocity"),
    _error("gyro_noise", "rad/s", "standard deviation of white noise of the angular velocity"),
    _error("gyro_drift", "rad/s^1.5", "random walk of the angular velocity's zero, after one second"),
    _error("accelerometer_bias", "m/s²", "constant error of the linear acceleration"),
    _error("accelerometer_noise", "m/s²", "standard deviation of white noise of the acceleration"),
)
