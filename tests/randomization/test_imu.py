"""A wrongly mounted inertial sensor, by what MuJoCo's own sensors then read."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest

from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import constant
from simreal.randomization.world import World
from simreal.state import FloatArray

GRAVITY = 9.81
MODEL = """
<mujoco model="head">
  <compiler angle="radian"/>
  <option timestep="0.002" gravity="0 0 -9.81"/>
  <worldbody>
    <body name="head">
      <joint name="turn" axis="0 0 1"/>
      <geom type="box" size="0.1 0.05 0.05" mass="1"/>
      <site name="imu"/>
      <site name="tilted" quat="0.8 0 0.6 0"/>
      <site name="lamp" pos="0.1 0 0"/>
    </body>
  </worldbody>
  <actuator><motor name="turn" joint="turn"/></actuator>
  <sensor>
    <accelerometer name="imu accelerometer" site="imu"/>
    <gyro name="imu gyro" site="imu"/>
    <framequat name="imu orientation" objtype="site" objname="imu"/>
    <accelerometer name="tilted accelerometer" site="tilted"/>
    <framepos name="lamp position" objtype="site" objname="lamp"/>
    <framequat name="head orientation" objtype="body" objname="head"/>
    <jointpos name="turn" joint="turn"/>
  </sensor>
</mujoco>"""


def sensed(world: World, name: str, speed: float = 0.0) -> FloatArray:
    """(count, dimension) of a sensor of the model, while the head turns."""
    physics = world.physics
    everyone = np.arange(physics.count)
    # No robot of ours reads an inertial sensor yet, so that nothing public shows one.
    readings = physics._batch.bind("sensordata")
    zeros = np.zeros((physics.count, 1))
    physics.reset(everyone, Start(zeros, zeros + speed), zeros)
    physics._batch.forward(everyone)
    sensor = physics.model.sensor(name)
    first = int(sensor.adr[0])
    found: FloatArray = readings[:, first : first + int(sensor.dim[0])].copy()
    return found


def rotation(vector: Any) -> FloatArray:
    """The matrix of a rotation vector."""
    angle = float(np.linalg.norm(vector))
    quaternion, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, np.asarray(vector) / max(angle, 1e-12), angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_it_reads_gravity_rotated_by_the_angle(make_trial: Callable[..., Any], axis: str) -> None:
    angles = np.array([0.0, 0.1, -0.5])
    trial = make_trial(MODEL, 3)
    trial.give((f"imu_mounting_error[imu.{axis}]", None, angles))
    reading = sensed(trial.world, "imu accelerometer")
    side = 1 if axis == "x" else 0
    sign = 1.0 if axis == "x" else -1.0
    np.testing.assert_allclose(reading[:, side], sign * GRAVITY * np.sin(angles), atol=1e-9)
    np.testing.assert_allclose(reading[:, 2], GRAVITY * np.cos(angles), atol=1e-9)
    # Of the other sensor and of the world nothing has changed.
    tilted = sensed(trial.world, "tilted accelerometer")
    np.testing.assert_allclose(tilted, [[-0.96 * GRAVITY, 0.0, 0.28 * GRAVITY]] * 3, atol=1e-9)
    head = sensed(trial.world, "head orientation")
    np.testing.assert_allclose(head, [[1.0, 0.0, 0.0, 0.0]] * 3)


def test_gyro_and_orientation_follow_the_same_rotation(make_trial: Callable[..., Any]) -> None:
    error = np.array([0.1, -0.2, 0.05])
    trial = make_trial(MODEL, 1)
    trial.give(*((f"imu_mounting_error[imu.{axis}]", None, error[i]) for i, axis in enumerate("xyz")))
    turned = rotation(error)
    np.testing.assert_allclose(sensed(trial.world, "imu gyro", 3.0)[0], turned.T @ [0, 0, 3], atol=1e-9)
    expected = np.zeros(4)
    mujoco.mju_mat2Quat(expected, turned.reshape(-1))
    np.testing.assert_allclose(sensed(trial.world, "imu orientation")[0], expected, atol=1e-9)


def test_the_rotation_is_about_the_axes_of_the_site(make_trial: Callable[..., Any]) -> None:
    trial = make_trial(MODEL, 1)
    trial.give(("imu_mounting_error[tilted.x]", None, 0.3))
    mounted = rotation([0.0, 2 * np.arctan2(0.6, 0.8), 0.0])
    expected = (mounted @ rotation([0.3, 0.0, 0.0])).T @ [0.0, 0.0, GRAVITY]
    np.testing.assert_allclose(sensed(trial.world, "tilted accelerometer")[0], expected, atol=1e-9)


def test_entries_compose(make_trial: Callable[..., Any]) -> None:
    trial = make_trial(MODEL, 2)
    trial.give(
        ("imu_mounting_error[imu.*]", None, 0.7),
        ("imu_mounting_error[imu.*]", None, [0.1, 0.0]),
        ("imu_mounting_error[imu.x]", "add", [0.2, 0.05]),
        ("imu_mounting_error[imu.z]", "scale", [0.5, 0.5]),
    )
    reading = sensed(trial.world, "imu accelerometer")
    for row, vector in enumerate(([0.3, 0.1, 0.05], [0.05, 0.0, 0.0])):
        np.testing.assert_allclose(reading[row], rotation(vector).T @ [0, 0, GRAVITY], atol=1e-9)


def test_a_new_draw_replaces_the_last(make_trial: Callable[..., Any]) -> None:
    trial = make_trial(MODEL, 2)
    randomizer = trial.give(("imu_mounting_error[imu.x]", None, [0.3, 0.2]))
    randomizer.apply(np.array([1]), np.array([[0.0]]))
    reading = sensed(trial.world, "imu accelerometer")
    np.testing.assert_allclose(reading[:, 1], [GRAVITY * np.sin(0.3), 0.0], atol=1e-9)


def test_a_simulation_that_goes_on_elsewhere_takes_its_sensor_along(
    make_trial: Callable[..., Any],
) -> None:
    trial = make_trial(MODEL, 2)
    trial.give(("imu_mounting_error[imu.x]", None, [0.3, 0.2]))
    other = build_world(trial.robot, 3, {}, {}, threads=1)
    other.take(np.array([0, 2]), trial.world, np.array([1, 0]))
    reading = sensed(other, "imu accelerometer")
    np.testing.assert_allclose(reading[:, 1], GRAVITY * np.sin([0.2, 0.0, 0.3]), atol=1e-9)


def test_only_sites_with_inertial_sensors_have_one(make_trial: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"'lamp.x' matches nothing"):
        make_trial(MODEL, 1).give(("imu_mounting_error[lamp.x]", None, 0.1))
    columns = make_trial(MODEL, 1).give(("imu_mounting_error", None, 0.1)).columns
    assert columns == [f"0[{site}.{axis}]" for site in ("imu", "tilted") for axis in "xyz"]


def test_a_robot_without_an_imu_has_none_to_mount_wrongly(make_world: Callable[..., World]) -> None:
    entry = constant("imu_mounting_error", "*", 0.1)
    with pytest.raises(UserError, match="qube has nothing that imu_mounting_error acts on"):
        Randomizer({"imu_mounting_error": entry}, make_world(1))
