"""The MuJoCo engine against a plain `mj_step` loop on one `MjData`, bit by bit."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.errors import UserError
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.physics.model import compile_model
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig
from simreal.state import FloatArray

SUBSTEPS = 5
RATE = 100.0
TWO_LINKS = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <body><joint name="first" axis="0 1 0" frictionloss="0.01" damping="0.02"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0.3 0 0" contype="0" conaffinity="0"/>
      <body pos="0.3 0 0"><joint name="second" axis="0 1 0" damping="0.01"/>
        <geom type="capsule" size="0.02" fromto="0 0 0 0.2 0 0" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="one" joint="first" gear="0.5"/>
    <position name="two" joint="second" kp="3" kv="0.1"/>
  </actuator>
  <sensor><jointpos name="late" joint="second" nsample="6" delay="0.008"/></sensor>
</mujoco>
"""


def qube(count: int, latency: float = 0.02, threads: int = 2) -> MujocoPhysics:
    return MujocoPhysics(load_robot("qube"), count, RATE, latency, threads)


@pytest.fixture
def two_links(tmp_path: Path) -> Robot:
    """A robot whose contract names joints and actuators in the reverse of the model's order."""
    path = tmp_path / "model.xml"
    path.write_text(TWO_LINKS)
    description = RobotDescription(
        name="links",
        joints=(Joint(name="second"), Joint(name="first")),
        actuators=(
            Actuator(name="two", joint="second", command="position", unit="rad", lower=-1, upper=1),
            Actuator(name="one", joint="first", command="effort", unit="N·m", lower=-1, upper=1),
        ),
    )
    return Robot(RobotConfig(description=description), path)


def starts(count: int, joints: int = 2, actuators: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(count)
    return (
        rng.uniform(-1, 1, (count, joints)),
        rng.uniform(-3, 3, (count, joints)),
        rng.uniform(-2, 2, (count, actuators)),
    )


def plain_loop(
    model: mujoco.MjModel,
    position: FloatArray,
    velocity: FloatArray,
    before: FloatArray,
    targets: FloatArray,
) -> FloatArray:
    """(steps * SUBSTEPS, nq) positions of one `MjData` under (steps, nu) targets."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = position, velocity, before
    for actuator, (samples, _) in enumerate(model.actuator_history):
        if samples:
            values = np.full((samples, 1), before[actuator])
            mujoco.mj_initCtrlHistory(model, data, actuator, None, values)
    mujoco.mj_forward(model, data)
    trace = []
    for target in targets:
        data.ctrl[:] = target
        for _ in range(SUBSTEPS):
            mujoco.mj_step(model, data)
            trace.append(data.qpos.copy())
    return np.array(trace)


def run(physics: MujocoPhysics, targets: FloatArray) -> FloatArray:
    """(steps * SUBSTEPS, count, joints) positions under (steps, count, actuators) targets."""
    trace = []
    for target in targets:
        physics.step(target)
        trace.append(physics.position_trace.copy())
    return np.concatenate(trace, axis=1).swapaxes(0, 1)


def test_a_batch_equals_a_plain_loop_bit_by_bit() -> None:
    physics = qube(5)
    delays = np.array([0.0, 0.002, 0.007, 0.013, 0.02])
    physics.field("actuator_delay")[:, 0] = delays
    physics.commit(np.arange(5))
    position, velocity, before = starts(5)
    physics.reset(np.arange(5), Start(position, velocity), before)
    targets = np.random.default_rng(1).uniform(-4, 4, (120, 5, 1))
    found = run(physics, targets)
    for row in range(5):
        model = compile_model(load_robot("qube"), 0.02)
        model.actuator_delay[:] = delays[row]
        expected = plain_loop(model, position[row], velocity[row], before[row], targets[:, row])
        np.testing.assert_array_equal(found[:, row], expected)


def test_joints_and_actuators_stand_in_the_order_of_the_contract(two_links: Robot) -> None:
    physics = MujocoPhysics(two_links, 3, RATE, 0.01, 2)
    position, velocity, before = starts(3, 2, 2)
    physics.reset(np.arange(3), Start(position, velocity), before)
    np.testing.assert_array_equal(physics.joint_position, position)
    np.testing.assert_array_equal(physics.joint_velocity, velocity)
    targets = np.random.default_rng(1).uniform(-1, 1, (60, 3, 2))
    found = run(physics, targets)
    for row in range(3):
        swapped = (each[::-1] for each in (position[row], velocity[row], before[row]))
        expected = plain_loop(physics.model, *swapped, targets[:, row, ::-1])
        np.testing.assert_array_equal(found[:, row], expected[:, ::-1])


def test_the_thread_count_changes_no_bit() -> None:
    traces = []
    for threads in (1, 2):
        physics = qube(7, threads=threads)
        physics.reset(np.arange(7), Start(*starts(7)[:2]), starts(7)[2])
        traces.append(run(physics, np.random.default_rng(2).uniform(-4, 4, (40, 7, 1))))
    np.testing.assert_array_equal(*traces)


@settings(max_examples=20)
@given(chosen=st.sets(st.integers(0, 5)), steps=st.integers(0, 7))
def test_reset_of_any_subset_leaves_the_others_bitwise_untouched(chosen: set[int], steps: int) -> None:
    touched, untouched = qube(6), qube(6)
    for physics in (touched, untouched):
        physics.field("actuator_delay")[:] = 0.015
        physics.commit(np.arange(6))
        physics.reset(np.arange(6), Start(*starts(6)[:2]), starts(6)[2])
    first = np.random.default_rng(3).uniform(-4, 4, (steps, 6, 1))
    after = np.random.default_rng(4).uniform(-4, 4, (12, 6, 1))
    for physics in (touched, untouched):
        for target in first:
            physics.step(target)
    ids = np.array(sorted(chosen), dtype=np.int64)
    position, velocity, before = (each[ids] for each in starts(6))
    touched.reset(ids, Start(position + 0.1, velocity), before)
    others = np.setdiff1d(np.arange(6), ids)
    np.testing.assert_array_equal(touched.joint_position[others], untouched.joint_position[others])
    np.testing.assert_array_equal(touched.joint_velocity[others], untouched.joint_velocity[others])
    np.testing.assert_array_equal(touched.joint_position[ids], position + 0.1)
    np.testing.assert_array_equal(touched.joint_velocity[ids], velocity)
    found, expected = run(touched, after), run(untouched, after)
    np.testing.assert_array_equal(found[:, others], expected[:, others])
    # What was reset goes on as a simulation that has never done anything else.
    fresh = qube(6)
    fresh.field("actuator_delay")[:] = 0.015
    fresh.commit(np.arange(6))
    position, velocity, before = starts(6)
    fresh.reset(np.arange(6), Start(position + 0.1, velocity), before)
    np.testing.assert_array_equal(found[:, ids], run(fresh, after)[:, ids])


@pytest.mark.parametrize("delay", [0.002, 0.01, 0.02])
def test_a_delayed_actuator_holds_the_command_from_before_the_reset(delay: float) -> None:
    physics = qube(2)
    physics.field("actuator_delay")[:, 0] = delay, 0.0
    physics.commit(np.arange(2))
    position, velocity = np.zeros((2, 2)), np.zeros((2, 2))
    physics.reset(np.arange(2), Start(position, velocity), np.full((2, 1), 3.0))
    # Both get their old command for the delay; the undelayed one is told so, the other holds it.
    trace = run(physics, np.tile([[[-3.0], [3.0]]], (4, 1, 1)))[..., 0]
    held = round(delay / physics.timestep)
    np.testing.assert_allclose(trace[:held, 0], trace[:held, 1], rtol=1e-9)
    assert trace[held - 1, 0] > 0
    assert abs(trace[held, 0] - trace[held, 1]) > 1e-6


def test_a_delayed_sensor_holds_its_first_reading(two_links: Robot) -> None:
    physics = MujocoPhysics(two_links, 2, RATE)
    position = np.array([[0.7, 0.0], [-0.4, 0.2]])
    for _ in range(2):  # the second time over a history of motion
        physics.reset(np.arange(2), Start(position, np.ones((2, 2))), np.zeros((2, 2)))
        batch = physics._batch  # no robot reads a sensor of the model yet, so nothing public shows it
        readings = batch.bind("sensordata")
        for _ in range(4):
            batch.rollout(1, {})
            np.testing.assert_allclose(readings[:, 0], position[:, 0], atol=1e-12)
        batch.rollout(2, {})
        assert (np.abs(readings[:, 0] - position[:, 0]) > 1e-4).all()


@pytest.mark.parametrize("gain", [1e6, 1e9, np.nan])
def test_a_simulation_that_diverges_is_flagged_and_alone(gain: float) -> None:
    broken, sound = qube(4), qube(4)
    for physics in (broken, sound):
        physics.field("actuator_gainprm")
        physics.reset(np.arange(4), Start(*starts(4)[:2]), starts(4)[2])
    broken.field("actuator_gainprm")[2, 0] *= gain
    targets = np.random.default_rng(5).uniform(1, 4, (10, 4, 1))
    expected = run(sound, targets)
    for step, target in enumerate(targets):
        broken.step(target)
        for row in (0, 1, 3):
            np.testing.assert_array_equal(
                broken.position_trace[row], expected[step * SUBSTEPS : (step + 1) * SUBSTEPS, row]
            )
    assert broken.diverged.tolist() == [False, False, True, False]
    assert not sound.diverged.any()


def test_a_diverged_simulation_starts_afresh_after_a_reset() -> None:
    physics = qube(3)
    gain = physics.field("actuator_gainprm")
    physics.reset(np.arange(3), Start(*starts(3)[:2]), starts(3)[2])
    gain[1, 0] *= np.nan
    physics.step(np.ones((3, 1)))
    assert physics.diverged.tolist() == [False, True, False]
    gain[1] = physics.model.actuator_gainprm
    position, velocity, before = starts(3)
    physics.reset(np.array([1]), Start(position[[1]], velocity[[1]]), before[[1]])
    assert not physics.diverged.any()
    targets = np.random.default_rng(6).uniform(-4, 4, (30, 3, 1))
    found = run(physics, targets)
    assert not physics.diverged.any()
    expected = plain_loop(physics.model, position[1], velocity[1], before[1], targets[:, 1])
    np.testing.assert_array_equal(found[:, 1], expected)


def test_a_command_that_is_no_number_ends_one_simulation() -> None:
    physics = qube(3)
    physics.reset(np.arange(3), Start(*starts(3)[:2]), starts(3)[2])
    physics.step(np.array([[1.0], [np.nan], [1.0]]))
    assert physics.diverged.tolist() == [False, True, False]


def heavier_against_the_stop(commit: bool) -> FloatArray:
    """(steps, joints) motion with all masses tripled, the arm pressed against its stop."""
    physics = qube(2, latency=0.0)
    physics.field("body_mass")[1] *= 3.0
    physics.field("body_inertia")[1] *= 3.0
    if commit:
        physics.commit(np.array([1]))
    position, velocity, before = np.array([[1.8, 0.3]] * 2), np.zeros((2, 2)), np.zeros((2, 1))
    physics.reset(np.arange(2), Start(position, velocity), before)
    targets = np.full((60, 2, 1), 4.0)
    found = run(physics, targets)
    nominal = plain_loop(physics.model, position[0], velocity[0], before[0], targets[:, 0])
    np.testing.assert_array_equal(found[:, 0], nominal)
    return found[:, 1]


def test_mass_acts_on_all_that_follows_from_it() -> None:
    """A stop is as stiff as `mj_setConst` makes it from the mass: commit is needed, and enough."""
    spec = mujoco.MjSpec.from_file(str(load_robot("qube").model_path))
    for body in (spec.body("arm"), spec.body("pendulum")):
        body.mass *= 3.0
        body.inertia *= 3.0
    compiled = plain_loop(
        spec.compile(), np.array([1.8, 0.3]), np.zeros(2), np.zeros(1), np.full((60, 1), 4.0)
    )
    assert compiled[:, 0].max() > 2.094
    np.testing.assert_allclose(heavier_against_the_stop(commit=True), compiled, atol=1e-9)
    assert np.abs(heavier_against_the_stop(commit=False) - compiled).max() > 1e-4


@settings(max_examples=60)
@given(rate=st.floats(1.0, 3000.0))
def test_a_control_rate_fits_or_is_refused_with_one_that_does(rate: float) -> None:
    try:
        physics = MujocoPhysics(load_robot("qube"), 1, rate, threads=1)
    except UserError as error:
        nearest = float(str(error).rpartition("nearest: ")[2].removesuffix(" Hz"))
        substeps = 1.0 / (0.002 * nearest)
        assert substeps == pytest.approx(max(1, round(1.0 / (0.002 * rate))), rel=1e-4)
    else:
        assert physics.substeps * physics.timestep == pytest.approx(1.0 / rate)


@pytest.mark.parametrize("rate", [50.0, 100.0, 250.0, 500.0, 500.0 / 3.0])
def test_control_rates_that_fit(rate: float) -> None:
    physics = MujocoPhysics(load_robot("qube"), 1, rate, threads=1)
    assert physics.substeps == round(500.0 / rate)


def test_a_latency_that_no_history_should_hold_is_refused() -> None:
    with pytest.raises(UserError, match="at most 1000 ms"):
        qube(1, latency=1.001)


def test_names_that_the_model_lacks_are_refused_with_the_nearest(two_links: Robot) -> None:
    description = two_links.description
    joint = description.model_copy(
        update={"joints": (Joint(name="secand"), Joint(name="first")), "actuators": ()}
    )
    actuator = description.model_copy(
        update={"actuators": (description.actuators[0].model_copy(update={"name": "too"}),)}
    )
    for wrong, hint in ((joint, "'second'"), (actuator, "'two'")):
        robot = Robot(RobotConfig.model_construct(description=wrong), two_links.model_path)
        with pytest.raises(UserError, match=hint):
            MujocoPhysics(robot, 1, RATE)
