"""The model of the Go2 against the published numbers of the machine, by its motion.

The constants are those of the tables in robots/go2/README.md, not read from the model.
"""

import math
from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.physics.model import compile_model
from simreal.robots import load_robot

GRAVITY = 9.81
MASS = 15.019
THIGH = CALF = 0.213
FOOT = 0.022
LEGS = ("FL", "FR", "RL", "RR")
PARTS = ("hip", "thigh", "calf")
OTHER_SIDE = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
SIDEWAYS = np.tile([-1.0, 1.0, 1.0], 4)
"""A mirror in the plane of x and z turns hip angles round, and leaves those about y."""

Edit = Callable[[mujoco.MjSpec], None]
FloatArray = NDArray[np.float64]


def go2(*edits: Edit, floor: bool = True) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The robot in its default posture, its front feet on the floor."""
    spec = mujoco.MjSpec.from_file(str(load_robot("go2").model_path))
    if floor:
        spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.1])
    for edit in edits:
        edit(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return model, data


def run(model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> FloatArray:
    """Positions (steps, 19) over a time."""
    positions = []
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        positions.append(data.qpos.copy())
    return np.array(positions)


def put(data: mujoco.MjData, model: mujoco.MjModel, posture: tuple[float, ...], height: float) -> None:
    """Every leg in one posture, the trunk level."""
    data.qpos[:7] = 0.0, 0.0, height, 1.0, 0.0, 0.0, 0.0
    data.qpos[7:] = np.tile(posture, 4)
    data.qvel[:] = 0.0
    mujoco.mj_forward(model, data)


def weightless(spec: mujoco.MjSpec) -> None:
    spec.option.gravity = 0.0, 0.0, 0.0


def without_servos(spec: mujoco.MjSpec) -> None:
    for actuator in spec.actuators:
        actuator.gainprm[:], actuator.biasprm[:] = 0.0, 0.0


def without_losses(spec: mujoco.MjSpec) -> None:
    without_servos(spec)
    for joint in spec.joints:
        joint.damping[:], joint.frictionloss = 0.0, 0.0
        joint.limited = mujoco.mjtLimited.mjLIMITED_FALSE


def held_but_for_a_calf(spec: mujoco.MjSpec) -> None:
    without_losses(spec)
    spec.option.timestep = 0.0005
    spec.delete(spec.key("home"))
    spec.delete(spec.joint("base_free"))
    for joint in spec.joints:
        if joint.name != "FL_calf_joint":
            joint.armature = 1e6


def symmetric_trunk(spec: mujoco.MjSpec) -> None:
    """Without the two products of inertia that tell the published trunk's left from its right."""
    inertia = spec.body("base").fullinertia
    inertia[3] = inertia[5] = 0.0


def mirrored_position(qpos: FloatArray) -> FloatArray:
    """A state (..., 19) in the mirror of the plane of x and z: an orientation keeps w and y."""
    trunk = qpos[..., :7] * [1, -1, 1, 1, -1, 1, -1]
    return np.concatenate([trunk, SIDEWAYS * qpos[..., 7:][..., OTHER_SIDE]], axis=-1)


def mirrored_velocity(qvel: FloatArray) -> FloatArray:
    """Likewise (..., 18): an angular velocity keeps only what turns about y."""
    trunk = qvel[..., :6] * [1, -1, 1, -1, 1, -1]
    return np.concatenate([trunk, SIDEWAYS * qvel[..., 6:][..., OTHER_SIDE]], axis=-1)


def feet(data: mujoco.MjData) -> FloatArray:
    """(4, 3) centres of the feet."""
    return np.array([data.site(f"{leg}_foot").xpos for leg in LEGS])


def test_a_force_speeds_it_up_as_its_mass_says() -> None:
    model, data = go2(weightless, floor=False)
    data.xfrc_applied[model.body("base").id, 2] = 30.0
    run(model, data, 0.1)
    mujoco.mj_forward(model, data)
    mujoco.mj_subtreeVel(model, data)
    assert data.subtree_linvel[0, 2] == pytest.approx(30.0 * 0.1 / MASS, rel=1e-3)


def test_standing_the_feet_bear_its_weight_and_nothing_else_does() -> None:
    model, data = go2()
    run(model, data, 3.0)
    borne = sum(data.sensor(f"{leg}_foot_contact").data[0] for leg in LEGS)
    assert borne == pytest.approx(MASS * GRAVITY, rel=0.01)
    assert data.sensor("base_contact").data[0] == 0.0
    assert all(data.sensor(f"{leg}_thigh_contact").data[0] == 0.0 for leg in LEGS)


@pytest.mark.parametrize(
    ("posture", "height"),
    [
        ((0, 0.9, -1.8), 0.288),
        ((0, 0.8, -1.5), 0.335),
        ((0, 1.0, -1.5), 0.325),
        ((0, 0.67, -1.3), 0.362),
    ],
)
def test_the_feet_touch_at_the_derived_heights(posture: tuple[float, ...], height: float) -> None:
    model, data = go2()
    put(data, model, posture, height + 0.001)
    assert data.ncon == 0
    put(data, model, posture, height - 0.001)
    touching = {model.geom(pair).name for contact in data.contact for pair in contact.geom}
    assert touching == {"floor", *(f"{leg}_foot" for leg in LEGS)}


def test_at_home_the_front_feet_just_touch_and_the_rear_ones_hang_a_centimetre_above() -> None:
    _, data = go2()
    np.testing.assert_allclose(feet(data)[:, 2] - FOOT, [0, 0, 0.0096, 0.0096], atol=1e-4)


def test_home_is_the_default_posture_of_the_description() -> None:
    model, _ = go2()
    defaults = load_robot("go2").description.default_position
    np.testing.assert_allclose(model.key_qpos[0, 7:], defaults)
    np.testing.assert_allclose(model.key_ctrl[0], defaults)


def test_left_alone_it_stands_level_and_stays_where_it_is() -> None:
    model, data = go2()
    positions = run(model, data, 5.0)
    w, x, y, z = positions[-1, 3:7]
    assert positions[-1, 2] > 0.27
    assert abs(2 * (w * y - z * x)) < math.radians(4)
    assert abs(positions[-1, 0]) < 0.05
    assert abs(positions[-1, 1]) < 1e-3
    assert np.abs(data.qvel).max() < 0.02


def test_a_posture_with_the_feet_under_the_hips_sits_back_as_the_readme_says() -> None:
    model, data = go2()
    put(data, model, (0, 0.8, -1.5), 0.335)
    data.ctrl[:] = np.tile([0, 0.8, -1.5], 4)
    w, x, y, z = run(model, data, 5.0)[-1, 3:7]
    assert 2 * (w * y - z * x) < -math.radians(8)


@pytest.mark.parametrize("timestep", [0.004, 0.005])
def test_it_stands_alike_at_either_step(timestep: float) -> None:
    finest, data = go2(lambda spec: setattr(spec.option, "timestep", 0.001))
    expected = run(finest, data, 2.0)[-1]
    model, data = go2(lambda spec: setattr(spec.option, "timestep", timestep))
    np.testing.assert_allclose(run(model, data, 2.0)[-1], expected, atol=2e-3)


def test_the_legs_stand_in_the_order_of_the_contract() -> None:
    model, data = go2()
    description = load_robot("go2").description
    expected = tuple(f"{leg}_{part}_joint" for leg in LEGS for part in PARTS)
    assert description.joint_names == expected
    assert [actuator.joint for actuator in description.actuators] == list(expected)
    compiled = [model.joint(int(actuator)).name for actuator in model.actuator_trnid[:, 0]]
    assert compiled == list(expected)
    assert [(x > 0, y > 0) for x, y, _ in feet(data)] == [(1, 1), (1, 0), (0, 1), (0, 0)]


def test_the_vendors_order_is_its_own_inverse_and_begins_front_right() -> None:
    robot = load_robot("go2")
    assert robot.config.wire is not None
    index = np.array(robot.config.wire.motor_index)
    np.testing.assert_array_equal(index[index], np.arange(12))
    on_the_wire = np.array(robot.description.actuator_names)[index]
    assert [name[:2] for name in on_the_wire[::3]] == ["FR", "FL", "RR", "RL"]
    assert [name[3:] for name in on_the_wire[:3]] == list(PARTS)


@pytest.mark.parametrize(("leg", "outward"), [("FL", 1), ("RL", 1), ("FR", -1), ("RR", -1)])
def test_a_positive_hip_angle_swings_a_left_leg_outward_and_a_right_one_inward(
    leg: str, outward: int
) -> None:
    model, data = go2()
    before = abs(data.site(f"{leg}_foot").xpos[1])
    data.joint(f"{leg}_hip_joint").qpos += 0.2
    mujoco.mj_forward(model, data)
    assert (abs(data.site(f"{leg}_foot").xpos[1]) - before) * outward > 0.03


def test_a_positive_thigh_angle_swings_the_foot_back_and_a_positive_calf_angle_too() -> None:
    model, data = go2()
    for part in ("thigh", "calf"):
        before = feet(data)[:, 0]
        for leg in LEGS:
            data.joint(f"{leg}_{part}_joint").qpos += 0.1
        mujoco.mj_forward(model, data)
        assert (feet(data)[:, 0] < before - 0.01).all()


def test_a_calf_swings_at_the_frequency_of_its_mass_foot_and_rotor() -> None:
    model, data = go2(held_but_for_a_calf, floor=False)
    centre = np.array([0.004350, -0.000774, -0.135206])
    arm = math.hypot(centre[0], centre[2])
    inertia = 1.41551e-3 + 0.194 * arm**2 + 1.11842e-4 * 12.14**2
    hanging = math.atan2(centre[0], -centre[2])  # the angle at which its centre hangs lowest
    data.joint("FL_calf_joint").qpos = hanging + 0.05
    angles = []
    for _ in range(16000):
        mujoco.mj_step(model, data)
        angles.append(data.joint("FL_calf_joint").qpos[0] - hanging)
    angle = np.array(angles)
    falling = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    period = np.diff(falling).mean() * model.opt.timestep
    assert period == pytest.approx(2 * math.pi / math.sqrt(0.194 * GRAVITY * arm / inertia), rel=3e-3)


def test_every_body_has_an_inertia_that_masses_can_have() -> None:
    model, _ = go2()
    smallest, middle, largest = np.sort(model.body_inertia[1:14], axis=1).T
    assert (smallest > 0).all()
    assert (smallest + middle >= largest).all()


posture = st.lists(st.floats(-0.5, 0.5), min_size=12, max_size=12).map(np.array)
MIRROR = go2(symmetric_trunk)
PUBLISHED = go2()


@settings(max_examples=40)
@given(posture)
def test_left_and_right_have_the_same_inertia(offset: FloatArray) -> None:
    for (model, data), tolerance in ((MIRROR, 1e-12), (PUBLISHED, 3e-4)):
        matrices = []
        for mirror in (False, True):
            data.qpos[:] = model.key_qpos[0]
            data.qpos[7:] += offset
            if mirror:
                data.qpos[:] = mirrored_position(data.qpos)
            mujoco.mj_forward(model, data)
            matrix = np.zeros((18, 18))
            mujoco.mj_fullM(model, data, matrix)
            matrices.append(matrix)
        mirror_matrix = mirrored_velocity(np.eye(18)).T
        expected = mirror_matrix @ matrices[0] @ mirror_matrix.T
        np.testing.assert_allclose(matrices[1], expected, atol=tolerance)


@settings(max_examples=15)
@given(posture, posture, st.lists(st.floats(-1, 1), min_size=6, max_size=6).map(np.array))
def test_a_mirrored_motion_is_the_motion_of_the_mirrored_start(
    offset: FloatArray, target: FloatArray, speed: FloatArray
) -> None:
    model, data = MIRROR
    ends = []
    for mirror in (False, True):
        mujoco.mj_resetDataKeyframe(model, data, 0)
        data.qpos[7:] += offset
        data.qvel[:6] = speed
        data.ctrl[:] += target
        if mirror:
            data.qpos[:] = mirrored_position(data.qpos)
            data.qvel[:] = mirrored_velocity(data.qvel)
            data.ctrl[:] = SIDEWAYS * data.ctrl[OTHER_SIDE]
        ends.append(run(model, data, 0.15)[-1])
    np.testing.assert_allclose(ends[1], mirrored_position(ends[0]), atol=1e-5)


def test_at_rest_the_imu_reads_no_turn_and_gravity_upwards() -> None:
    model, data = go2()
    run(model, data, 5.0)
    orientation = data.sensor("imu_orientation").data
    up = np.zeros(3)
    mujoco.mju_rotVecQuat(up, np.array([0.0, 0.0, 1.0]), orientation * [1, -1, -1, -1])
    np.testing.assert_allclose(data.sensor("imu_angular_velocity").data, 0.0, atol=0.02)
    np.testing.assert_allclose(data.sensor("imu_linear_acceleration").data, GRAVITY * up, atol=0.05)
    assert data.sensor("imu_linear_acceleration").data[2] == pytest.approx(GRAVITY, abs=0.05)


def test_the_imu_turns_with_the_trunk_and_feels_where_it_sits() -> None:
    model, data = go2(weightless, without_losses, floor=False)
    data.qvel[5] = 2.0  # rad/s about z
    mujoco.mj_forward(model, data)
    data.qacc[:] = 0.0
    np.testing.assert_allclose(data.sensor("imu_angular_velocity").data, [0, 0, 2], atol=1e-9)
    # Held in its turn, a point 25.57 mm behind the axis is pulled forward.
    mujoco.mj_rnePostConstraint(model, data)
    mujoco.mj_sensorAcc(model, data)
    forward = data.sensor("imu_linear_acceleration").data[0]
    assert forward == pytest.approx(2.0**2 * 0.02557, rel=1e-6)


def test_the_velocity_of_the_trunk_is_along_its_own_axes() -> None:
    model, data = go2()
    data.qpos[3:7] = math.cos(math.pi / 4), 0.0, 0.0, math.sin(math.pi / 4)  # it looks along y
    data.qvel[:3] = 0.0, 1.0, 0.0
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.sensor("base_linear_velocity").data, [1, 0, 0], atol=1e-9)


def test_the_velocities_of_the_feet_are_the_changes_of_their_positions() -> None:
    model, data = go2(floor=False)
    data.ctrl[:] += 0.2 * np.sin(np.arange(12))
    run(model, data, 0.1)
    mujoco.mj_forward(model, data)
    velocity = [data.sensor(f"{leg}_foot_velocity").data.copy() for leg in LEGS]
    start = feet(data)
    mujoco.mj_integratePos(model, data.qpos, data.qvel, 1e-6)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose((feet(data) - start) / 1e-6, velocity, atol=1e-3)


def test_without_motors_it_falls_on_its_trunk_or_thighs_and_comes_to_rest() -> None:
    model, data = go2(without_servos)
    positions = run(model, data, 4.0)
    lowest = min(data.geom_xpos[model.geom("base").id][2], positions[-1, 2])
    assert 0.05 < lowest < 0.2
    assert np.abs(data.qvel).max() < 0.5
    thighs = sum(data.sensor(f"{leg}_thigh_contact").data[0] for leg in LEGS)
    assert data.sensor("base_contact").data[0] + thighs > 10.0


@settings(max_examples=15)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array), posture)
def test_dropped_at_any_angle_nothing_flies_apart(orientation: FloatArray, offset: FloatArray) -> None:
    model, data = PUBLISHED
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qpos[2] = 0.8
    data.qpos[3:7] = orientation + 1e-3
    data.qpos[7:] += offset
    fastest = 0.0
    for _ in range(300):
        mujoco.mj_step(model, data)
        fastest = max(fastest, float(np.abs(data.qvel[:3]).max()))
    assert np.isfinite(data.qpos).all()
    assert fastest < 1.5 * math.sqrt(2 * GRAVITY * 1.0)
    assert data.qpos[2] > 0.0


def test_in_free_flight_without_losses_it_makes_no_energy() -> None:
    def fine(spec: mujoco.MjSpec) -> None:
        spec.option.timestep = 1e-4

    model, data = go2(without_losses, fine, floor=False)
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    data.qvel[:] = np.r_[0.5, -0.3, 1.0, 2.0, -3.0, 1.0, 3.0 * np.sin(np.arange(12))]
    energies = []
    for _ in range(5000):
        mujoco.mj_step(model, data)
        energies.append(data.energy.sum())
    moving = 0.5 * MASS * 1.0**2
    assert np.ptp(energies) < 0.01 * moving


def test_in_free_flight_friction_takes_energy_at_every_step() -> None:
    model, data = go2(weightless, without_servos, floor=False)
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    data.qvel[6:] = 3.0 * np.sin(np.arange(12))
    energies = []
    for _ in range(100):
        mujoco.mj_step(model, data)
        energies.append(data.energy[1])
    assert (np.diff(energies) < 1e-6).all()
    assert energies[-1] < 0.2 * energies[0]


def test_the_parts_of_the_robot_never_touch_each_other() -> None:
    model, data = go2(floor=False)
    data.qpos[7:] = np.tile([0.0, 1.36, -2.65], 4)  # folded: calves along thighs
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


@pytest.mark.parametrize(("part", "limit"), [("hip", 23.7), ("thigh", 23.7), ("calf", 45.43)])
def test_a_motor_gives_no_more_than_its_torque(part: str, limit: float) -> None:
    model, data = go2(floor=False)
    for leg in LEGS:
        data.joint(f"{leg}_{part}_joint").qpos += 10.0
    mujoco.mj_forward(model, data)
    for leg in LEGS:
        assert data.actuator(f"{leg}_{part}").force[0] == pytest.approx(-limit)


@pytest.mark.parametrize(
    ("part", "quantum"), [("hip", 3.028e-5), ("thigh", 3.028e-5), ("calf", 1.580e-5)]
)
def test_its_rotors_weigh_as_much_as_the_gears_make_of_them(part: str, quantum: float) -> None:
    gear = 2 * math.pi / 32768 / quantum
    model, _ = go2()
    for leg in LEGS:
        armature = model.joint(f"{leg}_{part}_joint").armature[0]
        assert armature == pytest.approx(1.11842e-4 * gear**2, rel=3e-3)


@pytest.mark.parametrize(("part", "friction"), [("hip", 0.2), ("thigh", 0.15), ("calf", 0.9)])
def test_a_torque_below_the_friction_of_a_joint_hardly_moves_it(part: str, friction: float) -> None:
    speeds = []
    for torque in (0.8 * friction, friction + 0.5):
        model, data = go2(weightless, without_servos, floor=False)
        data.qfrc_applied[model.joint(f"FL_{part}_joint").dofadr[0]] = torque
        run(model, data, 0.2)
        speeds.append(abs(data.joint(f"FL_{part}_joint").qvel[0]))
    assert speeds[0] < 0.06  # it creeps: MuJoCo's friction is soft
    assert speeds[1] > 10 * speeds[0]


def test_the_description_agrees_with_the_model_and_names_its_imu() -> None:
    robot = load_robot("go2")
    model = compile_model(robot)
    assert robot.description.imu
    assert robot.config.sensing.imu is not None
    for name in robot.config.sensing.imu.model_dump().values():
        model.sensor(name)
    speed = [joint.velocity_limit for joint in robot.description.joints]
    assert speed == [30.1, 30.1, 15.7] * 4
