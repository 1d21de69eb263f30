"""The model of the SO-101 against the published numbers of the arm and its servos, by its motion.

The constants are those of robots/so101/README.md, not read from the model.
"""

import math
from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.robots import load_robot

PAN, LIFT, ELBOW, WRIST_FLEX, WRIST_ROLL, GRIPPER = range(6)
TORQUE_CONSTANT, RESISTANCE = 1.21164, 2.67617
SUPPLY = 7.4
DUTY_PER_ERROR = 0.166 * 16  # 1/rad, at lerobot's P coefficient
STIFFNESS = DUTY_PER_ERROR * SUPPLY * TORQUE_CONSTANT / RESISTANCE
STALL = 0.97 * SUPPLY * TORQUE_CONSTANT / RESISTANCE
DRAG = TORQUE_CONSTANT**2 / RESISTANCE + 0.0590852
COULOMB = 0.0523930
ARMATURE = 0.0284034

FIXED_TIP = np.array([-0.0081, -0.0004, -0.101])  # in the gripper's frame
MOVING_TIP = np.array([-0.012, -0.078, 0.0192])  # in the moving jaw's

Edit = Callable[[mujoco.MjSpec], None]


def so101(*edits: Edit) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec.from_file(str(load_robot("so101").model_path))
    for edit in edits:
        edit(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def without_gravity(spec: mujoco.MjSpec) -> None:
    spec.option.gravity[:] = 0.0


def without_coulomb(spec: mujoco.MjSpec) -> None:
    for joint in spec.joints:
        joint.frictionloss = 0.0


def run(model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> NDArray[np.float64]:
    """Positions and velocities after each step, (2, steps, dofs) of the arm."""
    states = []
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        states.append((data.qpos[:6].copy(), data.qvel[:6].copy()))
    return np.array(states).swapaxes(0, 1)


def place(data: mujoco.MjData, body: str, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """A point of a body in the world."""
    return np.asarray(data.body(body).xpos + data.body(body).xmat.reshape(3, 3) @ point)


def test_the_servo_is_as_stiff_and_as_strong_as_measured() -> None:
    assert pytest.approx(8.90, abs=0.005) == STIFFNESS
    assert pytest.approx(3.25, abs=0.005) == STALL
    assert pytest.approx(0.608, abs=0.001) == DRAG


def test_its_links_weigh_632_grams() -> None:
    model, _ = so101()
    assert model.body_mass.sum() == pytest.approx(0.632, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("shoulder", (0.0388, 0.0, 0.0624)),
        ("upper_arm", (0.0692, -0.0183, 0.1166)),
        ("lower_arm", (0.0972, -0.0183, 0.2292)),
        ("wrist", (0.2321, -0.0183, 0.2344)),
        ("gripper", (0.2932, -0.0002, 0.2344)),
    ],
)
def test_its_joints_are_where_the_published_kinematics_put_them(
    body: str, expected: tuple[float, float, float]
) -> None:
    _, data = so101()
    np.testing.assert_allclose(data.body(body).xpos, expected, atol=6e-5)


def test_with_all_joints_in_the_middle_the_gripper_points_forward() -> None:
    _, data = so101()
    np.testing.assert_allclose(data.site("gripper_frame").xpos, (0.3914, 0.0, 0.2265), atol=6e-5)
    np.testing.assert_allclose(data.site("gripper_frame").xmat[[0, 3, 6]], (1.0, 0.0, 0.0), atol=1e-6)


def test_the_grasp_site_lies_between_the_jaws_on_their_axis_of_pointing() -> None:
    model, data = so101()
    data.qpos[GRIPPER] = 0.2
    mujoco.mj_forward(model, data)
    middle = 0.5 * (place(data, "gripper", FIXED_TIP) + place(data, "moving_jaw", MOVING_TIP))
    apart = data.site("grasp").xpos - middle
    pointing = data.site("grasp").xmat[[0, 3, 6]]
    assert -0.02 < apart @ pointing < 0.0
    assert np.linalg.norm(apart - (apart @ pointing) * pointing) < 0.002


@pytest.mark.parametrize(
    ("joint", "axis", "sign"), [(PAN, 1, -1), (LIFT, 2, -1), (ELBOW, 2, -1), (WRIST_FLEX, 2, -1)]
)
def test_positive_angles_turn_right_and_down(joint: int, axis: int, sign: int) -> None:
    model, data = so101()
    before = data.site("gripper_frame").xpos.copy()
    data.qpos[joint] = 0.1
    mujoco.mj_forward(model, data)
    assert sign * (data.site("gripper_frame").xpos - before)[axis] > 0.01


@pytest.mark.parametrize(("angle", "apart"), [(-0.1745, 0.004), (0.0, 0.016), (1.7453, 0.133)])
def test_a_positive_angle_of_the_gripper_opens_it(angle: float, apart: float) -> None:
    model, data = so101()
    data.qpos[GRIPPER] = angle
    mujoco.mj_forward(model, data)
    gap = place(data, "moving_jaw", MOVING_TIP) - place(data, "gripper", FIXED_TIP)
    assert np.linalg.norm(gap) == pytest.approx(apart, abs=1.1e-3)
    # The pads keep clear of each other over the whole range.
    pads = [model.geom(name).id for name in ("fixed_jaw", "moving_jaw")]
    distance = mujoco.mj_geomDistance(model, data, *pads, 1.0, None)
    assert 0.0 < distance < apart


def test_at_zero_gravity_pulls_with_the_derived_torques() -> None:
    _, data = so101()
    np.testing.assert_allclose(data.qfrc_bias[:4], (0.0, -0.539, -0.453, -0.117), atol=6e-4)


def test_the_worst_torque_of_gravity_is_within_what_the_servo_has() -> None:
    model, data = so101()
    random = np.random.default_rng(0)
    worst = 0.0
    for angles in random.uniform(*model.jnt_range.T, (2000, 6)):
        data.qpos[:] = angles
        mujoco.mj_forward(model, data)
        worst = max(worst, np.abs(data.qfrc_bias[:4]).max())
    assert 0.82 < worst < 0.87  # 0.863 at the far end
    assert worst < STALL / 3


@settings(max_examples=20)
@given(st.lists(st.floats(-0.8, 0.8), min_size=6, max_size=6))
def test_it_sags_by_the_torque_over_the_stiffness(angles: list[float]) -> None:
    model, data = so101()
    data.qpos[:] = np.clip(angles, *model.jnt_range.T)
    data.ctrl[:] = data.qpos
    run(model, data, 3.0)
    mujoco.mj_forward(model, data)
    servo = STIFFNESS * (data.ctrl - data.qpos)
    # What friction may hold stands between the two.
    assert np.abs(servo - data.qfrc_bias).max() <= COULOMB * 1.02
    assert np.abs(data.qvel).max() < 2e-3


def test_held_level_the_shoulder_sags_by_three_degrees() -> None:
    model, data = so101()
    run(model, data, 3.0)
    assert 0.045 < data.qpos[LIFT] < 0.075
    assert data.site("gripper_frame").xpos[2] < 0.2265 - 0.02


def test_a_small_step_is_that_of_a_damped_spring() -> None:
    model, data = so101(without_gravity, without_coulomb)
    model.opt.timestep = 1e-3
    step = 0.1
    data.ctrl[WRIST_ROLL] = step
    angle = run(model, data, 0.5)[0][:, WRIST_ROLL]
    inertia = ARMATURE + 5e-5  # the gripper's own hardly counts
    frequency = math.sqrt(STIFFNESS / inertia)
    ratio = DRAG / (2.0 * math.sqrt(STIFFNESS * inertia))
    time = 1e-3 * np.arange(1, len(angle) + 1)
    damped = frequency * math.sqrt(1.0 - ratio**2)
    swing = np.cos(damped * time) + ratio * frequency / damped * np.sin(damped * time)
    expected = step * (1.0 - np.exp(-ratio * frequency * time) * swing)
    np.testing.assert_allclose(angle, expected, atol=0.02 * step)
    assert angle.max() == pytest.approx(1.09 * step, abs=0.01 * step)  # it overshoots


def test_far_from_its_target_it_runs_up_to_the_no_load_speed() -> None:
    def endless(spec: mujoco.MjSpec) -> None:
        spec.joint("wrist_roll").limited = mujoco.mjtLimited.mjLIMITED_FALSE
        spec.actuator("wrist_roll").ctrllimited = mujoco.mjtLimited.mjLIMITED_FALSE

    model, data = so101(without_gravity, endless)
    model.opt.timestep = 1e-3
    data.ctrl[WRIST_ROLL] = 100.0
    speed = run(model, data, 1.0)[1][:, WRIST_ROLL]
    assert speed[-1] == pytest.approx((STALL - COULOMB) / DRAG, rel=2e-3)
    assert speed[-1] == pytest.approx(5.45, rel=0.05)  # the catalogue's
    reached = np.argmax(speed > speed[-1] * (1.0 - math.exp(-1.0))) * 1e-3
    assert reached == pytest.approx(0.047, abs=0.002)


def test_no_joint_is_faster_than_described() -> None:
    for joint in load_robot("so101").description.joints:
        assert joint.velocity_limit == pytest.approx((STALL - COULOMB) / DRAG, rel=1e-3)


def test_an_error_below_its_friction_does_not_move_a_joint() -> None:
    moved = []
    for error in (0.8, 3.0):
        model, data = so101(without_gravity)
        data.ctrl[PAN] = error * COULOMB / STIFFNESS
        moved.append(run(model, data, 1.0)[0][-1, PAN])
    assert abs(moved[0]) < 1.5e-3  # a soft constraint creeps, less than a count of the encoder
    assert moved[1] > 10 * abs(moved[0])


def test_without_power_it_falls_and_comes_to_rest_at_a_stop() -> None:
    model, data = so101()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    run(model, data, 10.0)
    mujoco.mj_forward(model, data)
    assert data.qpos[LIFT] > 1.6
    assert data.site("gripper_frame").xpos[2] < 0.1
    assert np.abs(data.qvel).max() < 5e-3
    assert (data.qpos < model.jnt_range[:, 1] + 0.06).all()


def test_the_timestep_is_fine_enough() -> None:
    """The same motion at a tenth of it."""
    ends = []
    for timestep in (0.005, 0.0005):
        model, data = so101()
        model.opt.timestep = timestep
        data.ctrl[:] = 0.5, -0.6, 0.4, 0.5, -0.7, 0.9
        positions = run(model, data, 0.6)[0]
        ends.append(positions[:: round(0.02 / timestep)][:30])
    assert np.abs(ends[0] - ends[1]).max() < 0.03


def a_cube(friction: float, mass: float = 0.04, half: float = 0.015) -> Edit:
    """A cube in the air, where the jaws of the level arm can close on it."""

    def add(spec: mujoco.MjSpec) -> None:
        for name in ("fixed_jaw", "moving_jaw"):
            spec.geom(name).friction = (friction, 0.005, 0.0005)
        body = spec.worldbody.add_body(name="cube", pos=(0.383, 0.0, 0.242))
        body.add_freejoint()
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[half] * 3, mass=mass, contype=0, conaffinity=1
        )

    return add


@pytest.mark.parametrize(("friction", "holds"), [(0.8, True), (0.003, False)])
def test_the_jaws_hold_a_cube_by_friction(friction: float, holds: bool) -> None:
    # Rolled over, so that the jaws close sideways.
    model, data = so101(a_cube(friction))
    data.qpos[:6] = 0.0, 0.0, 0.0, 0.0, math.pi / 2 - 0.0487, 0.5
    mujoco.mj_forward(model, data)
    data.qpos[6:9] = data.site("grasp").xpos
    data.ctrl[:] = data.qpos[:6]
    data.ctrl[GRIPPER] = -0.17
    data.qvel[:] = 0.0
    model.opt.gravity[2] = 0.0
    run(model, data, 0.5)  # until they have closed
    model.opt.gravity[2] = -9.81
    run(model, data, 3.0)
    apart = np.linalg.norm(data.qpos[6:9] - data.site("grasp").xpos)
    assert (apart < 0.015) == holds


def test_it_does_not_fall_through_a_table() -> None:
    def table(spec: mujoco.MjSpec) -> None:
        plane = mujoco.mjtGeom.mjGEOM_PLANE
        spec.worldbody.add_geom(name="table", type=plane, size=(1, 1, 0.1), contype=2, conaffinity=1)

    model, data = so101(table)
    data.ctrl[LIFT] = 1.5
    run(model, data, 3.0)
    assert data.ncon > 0
    assert min(data.geom(name).xpos[2] for name in ("gripper", "fixed_jaw", "wrist")) > 0.0
    assert max(-contact.dist for contact in data.contact) < 0.003


def test_the_encoder_has_4096_counts_a_turn() -> None:
    resolution = load_robot("so101").config.sensing.encoder_resolution
    assert resolution * 4096 == pytest.approx(2.0 * math.pi, rel=1e-7)


def test_the_supervisor_leaves_the_whole_travel_and_its_sag() -> None:
    robot = load_robot("so101")
    for joint in robot.description.joints:
        low, high = robot.config.safety.joint_position[joint.name]
        assert joint.lower is not None and joint.upper is not None
        assert low < joint.lower and joint.upper < high
