"""The closed forms of the arm's kinematics against its model."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.robots import load_robot
from simreal.tasks import so101_kinematics as kinematics

MODEL = mujoco.MjModel.from_xml_path(str(load_robot("so101").model_path))
DATA = mujoco.MjData(MODEL)
postures = st.tuples(*(st.floats(low, high) for low, high in MODEL.jnt_range))


def posed(posture: NDArray[np.float64]) -> mujoco.MjData:
    DATA.qpos[:] = posture
    mujoco.mj_kinematics(MODEL, DATA)
    return DATA


@given(postures)
def test_its_sites_are_where_the_model_has_them(posture: tuple[float, ...]) -> None:
    joints = np.array([posture])
    data = posed(joints[0])
    frame = kinematics.site_position(joints, kinematics.GRIPPER_FRAME)
    grasp = kinematics.site_position(joints, kinematics.GRASP)
    np.testing.assert_allclose(frame[0], data.site("gripper_frame").xpos, atol=1e-7)
    np.testing.assert_allclose(grasp[0], data.site("grasp").xpos, atol=1e-7)


@given(postures)
def test_its_lower_axis_is_the_lower_of_elbow_and_wrist(posture: tuple[float, ...]) -> None:
    joints = np.array([posture])
    data = posed(joints[0])
    lower = min(data.body(name).xpos[2] for name in ("lower_arm", "wrist"))
    assert kinematics.lowest_axis(joints)[0] == pytest.approx(lower, abs=1e-7)


@given(postures)
def test_pitch_and_roll_are_angles_of_the_gripper(posture: tuple[float, ...]) -> None:
    joints = np.array([posture])
    axes = posed(joints[0]).site("gripper_frame").xmat.reshape(3, 3)
    pitch, roll = kinematics.pitch(joints)[0], kinematics.roll(joints)[0]
    azimuth = -posture[kinematics.PAN]
    outwards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    left = np.array([-outwards[1], outwards[0], 0.0])
    pointing = np.cos(pitch) * outwards - np.sin(pitch) * np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(axes[:, 0], pointing, atol=1e-7)
    # Jaws open along the gripper's x axis; with no roll, it lies in the arm's plane.
    opening = posed(joints[0]).body("gripper").xmat.reshape(3, 3)[:, 0]
    assert opening @ left == pytest.approx(np.sin(roll), abs=1e-7)


@given(
    st.floats(0.15, 0.25),
    st.floats(-0.8, 0.8),
    st.floats(0.01, 0.05),
    st.floats(-0.7, 0.7),
    st.floats(0, 1),
)
def test_the_inverse_puts_the_jaws_there_pointing_down(
    reach: float, azimuth: float, height: float, yaw: float, opening: float
) -> None:
    place = np.array([[0.0388 + reach * np.cos(azimuth), reach * np.sin(azimuth), height]])
    joints = kinematics.pointing_down(place, np.array([yaw]), np.array([opening]))
    data = posed(joints[0])
    np.testing.assert_allclose(data.site("grasp").xpos, place[0], atol=3e-4)
    np.testing.assert_allclose(data.site("grasp").xmat[[0, 3, 6]], (0.0, 0.0, -1.0), atol=1e-6)
    direction = data.body("gripper").xmat.reshape(3, 3)[:, 0]
    np.testing.assert_allclose(direction, (np.cos(yaw), np.sin(yaw), 0.0), atol=1e-6)
    assert joints[0, kinematics.GRIPPER] == opening
    assert data.body("lower_arm").xpos[2] > data.body("wrist").xpos[2] - 0.1  # elbow up


def test_out_of_reach_it_stretches() -> None:
    joints = kinematics.pointing_down(np.array([[0.6, 0.0, 0.1]]), np.zeros(1), np.zeros(1))
    data = posed(joints[0])
    upper = data.body("lower_arm").xpos - data.body("upper_arm").xpos
    fore = data.body("wrist").xpos - data.body("lower_arm").xpos
    assert np.isfinite(joints).all()
    np.testing.assert_allclose(np.cross(upper, fore), 0.0, atol=1e-6)
