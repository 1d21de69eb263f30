"""The model of the Qube against the published numbers of the machine, by its motion.

The constants are those of the table in robots/qube/README.md, not read from the model.
"""

import math
from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.robots import load_robot

GRAVITY = 9.81
TORQUE_PER_VOLT = 0.042 / 8.4
BACK_EMF_DAMPING = 0.042 * 0.042 / 8.4
ARM_INERTIA = 1.05e-4
ARM_LENGTH = 0.085
ARM_FRICTION = 3e-5
ARM_COULOMB = 1e-4
CABLE = 9e-4
PENDULUM_MASS = 0.024
PENDULUM_LENGTH = 0.122
PENDULUM_FRICTION = 1e-5

PENDULUM_INERTIA = PENDULUM_MASS * PENDULUM_LENGTH**2 / 3.0  # about its end
SWING = math.sqrt(1.5 * GRAVITY / PENDULUM_LENGTH)  # rad/s, of a rod about its end

Edit = Callable[[mujoco.MjSpec], None]


def qube(*edits: Edit) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec.from_file(str(load_robot("qube").model_path))
    for edit in edits:
        edit(spec)
    model = spec.compile()
    return model, mujoco.MjData(model)


def hold_the_arm(spec: mujoco.MjSpec) -> None:
    spec.joint("arm").armature = 1e3


def without_coulomb(spec: mujoco.MjSpec) -> None:
    spec.joint("arm").frictionloss = 0.0


def without_losses(spec: mujoco.MjSpec) -> None:
    without_coulomb(spec)
    spec.joint("arm").damping[:] = 0.0
    spec.joint("pendulum").damping[:] = 0.0
    spec.actuator("motor").biasprm[:] = 0.0


def without_pendulum_and_stops(spec: mujoco.MjSpec) -> None:
    spec.delete(spec.body("pendulum"))
    spec.joint("arm").limited = mujoco.mjtLimited.mjLIMITED_FALSE
    spec.joint("arm").stiffness[:] = 0.0


def run(
    model: mujoco.MjModel, data: mujoco.MjData, seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and velocities, (steps, joints), over a time."""
    positions, velocities = [], []
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        positions.append(data.qpos.copy())
        velocities.append(data.qvel.copy())
    return np.array(positions), np.array(velocities)


def textbook_acceleration(
    voltage: float, arm: float, angle: float, arm_rate: float, rate: float
) -> NDArray[np.float64]:
    """The Furuta pendulum's equations (rod of no thickness), solved for both accelerations."""
    coupling = 0.5 * PENDULUM_MASS * PENDULUM_LENGTH * ARM_LENGTH
    mass = np.array(
        [
            [
                ARM_INERTIA + PENDULUM_MASS * ARM_LENGTH**2 + PENDULUM_INERTIA * math.sin(angle) ** 2,
                coupling * math.cos(angle),
            ],
            [coupling * math.cos(angle), PENDULUM_INERTIA],
        ]
    )
    motor = TORQUE_PER_VOLT * voltage - BACK_EMF_DAMPING * arm_rate
    torque = [
        motor
        - ARM_FRICTION * arm_rate
        - CABLE * arm
        - PENDULUM_INERTIA * math.sin(2.0 * angle) * arm_rate * rate
        + coupling * math.sin(angle) * rate**2,
        -PENDULUM_FRICTION * rate
        + 0.5 * PENDULUM_INERTIA * math.sin(2.0 * angle) * arm_rate**2
        - 0.5 * PENDULUM_MASS * GRAVITY * PENDULUM_LENGTH * math.sin(angle),
    ]
    return np.linalg.solve(mass, torque)


MODEL, DATA = qube(without_coulomb)


@given(st.floats(-4, 4), st.floats(-2, 2), st.floats(-7, 7), st.floats(-15, 15), st.floats(-30, 30))
def test_it_moves_by_the_equations_of_the_furuta_pendulum(
    voltage: float, arm: float, angle: float, arm_rate: float, rate: float
) -> None:
    DATA.qpos[:], DATA.qvel[:], DATA.ctrl[:] = (arm, angle), (arm_rate, rate), voltage
    mujoco.mj_forward(MODEL, DATA)
    expected = textbook_acceleration(voltage, arm, angle, arm_rate, rate)
    # The pendulum has a thickness, which the textbook's has not.
    np.testing.assert_allclose(DATA.qacc, expected, rtol=5e-3, atol=1.0)


def test_the_pendulum_swings_at_the_frequency_of_its_length() -> None:
    model, data = qube(hold_the_arm)
    data.qpos[1] = 0.05
    positions, _ = run(model, data, 10.0)
    angle = positions[:, 1]
    falling = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    crossings = falling + angle[falling] / (angle[falling] - angle[falling + 1])
    period = np.diff(crossings).mean() * model.opt.timestep
    assert 2.0 * math.pi / period == pytest.approx(SWING, rel=2e-3)
    assert pytest.approx(10.98, abs=0.01) == SWING


def test_the_swing_dies_away_by_the_friction_of_its_bearing() -> None:
    model, data = qube(hold_the_arm)
    data.qpos[1] = 0.05
    positions, _ = run(model, data, 20.0)
    amplitude = [np.abs(part).max() for part in np.split(positions[:, 1], 20)]
    decay = -np.polyfit(np.arange(20.0), np.log(amplitude), 1)[0]
    assert decay == pytest.approx(PENDULUM_FRICTION / (2.0 * PENDULUM_INERTIA), rel=0.03)


def test_the_motor_reaches_the_speed_at_which_back_emf_and_friction_eat_its_torque() -> None:
    model, data = qube(without_pendulum_and_stops)
    data.ctrl[0] = 3.0
    _, velocities = run(model, data, 5.0)
    drag = BACK_EMF_DAMPING + ARM_FRICTION
    assert velocities[-1, 0] == pytest.approx((3.0 * TORQUE_PER_VOLT - ARM_COULOMB) / drag, rel=2e-3)
    # The rise takes the time constant of the arm's inertia, rotor included.
    reached = np.argmax(velocities[:, 0] > velocities[-1, 0] * (1.0 - math.exp(-1.0)))
    assert reached * model.opt.timestep == pytest.approx(ARM_INERTIA / drag, rel=0.01)


def test_without_any_friction_the_back_emf_alone_sets_the_speed() -> None:
    def frictionless(spec: mujoco.MjSpec) -> None:
        without_coulomb(spec)
        spec.joint("arm").damping[:] = 0.0

    model, data = qube(without_pendulum_and_stops, frictionless)
    data.ctrl[0] = -2.0
    _, velocities = run(model, data, 6.0)
    assert velocities[-1, 0] == pytest.approx(-2.0 / 0.042, rel=1e-3)


def test_a_voltage_below_its_friction_does_not_move_the_arm() -> None:
    threshold = ARM_COULOMB / TORQUE_PER_VOLT
    moved = []
    for voltage in (0.8 * threshold, 2.0 * threshold):
        model, data = qube()
        data.ctrl[0] = voltage
        positions, _ = run(model, data, 0.5)
        moved.append(positions[-1, 0])
    assert abs(moved[0]) < 0.01
    assert moved[1] > 5 * abs(moved[0])


def test_a_positive_voltage_turns_the_arm_to_positive_angles_and_leaves_the_pendulum_behind() -> None:
    model, data = qube()
    data.ctrl[0] = 2.0
    positions, _ = run(model, data, 0.05)
    assert positions[-1, 0] > 0.0
    assert positions[-1, 1] < 0.0
    mujoco.mj_forward(model, data)
    # Arm along +x turning about +z: its end goes towards +y, the tip lags.
    assert data.body("pendulum").xpos[1] > 0.0
    assert data.site("tip").xpos[1] < data.body("pendulum").xpos[1]


def test_a_command_beyond_the_limit_is_one_at_the_limit() -> None:
    model, data = qube()
    data.ctrl[0] = 40.0
    mujoco.mj_forward(model, data)
    assert data.qfrc_actuator[0] == pytest.approx(4.0 * TORQUE_PER_VOLT)


@pytest.mark.parametrize("upright", [math.pi, -math.pi])
def test_it_stands_upright_as_long_as_nothing_disturbs_it(upright: float) -> None:
    model, data = qube()
    data.qpos[1] = upright
    positions, _ = run(model, data, 0.5)
    assert np.abs(positions[:, 1] - upright).max() < 1e-9
    mujoco.mj_forward(model, data)
    height = data.site("tip").xpos[2] - data.body("pendulum").xpos[2]
    assert height == pytest.approx(PENDULUM_LENGTH)


def test_upright_it_falls_at_the_rate_of_its_length() -> None:
    model, data = qube(hold_the_arm)
    data.qpos[1] = math.pi + 1e-4
    positions, _ = run(model, data, 0.4)
    lean = positions[:, 1] - math.pi
    half = round(0.2 / model.opt.timestep)
    growth = math.log(lean[-1] / lean[half - 1]) / 0.2
    drag = PENDULUM_FRICTION / (2.0 * PENDULUM_INERTIA)
    assert growth == pytest.approx(math.sqrt(SWING**2 + drag**2) - drag, rel=0.02)


def test_it_makes_no_energy() -> None:
    model, data = qube(without_losses, lambda spec: setattr(spec.option, "timestep", 1e-4))
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    data.qpos[:] = 0.3, 2.5
    energies = []
    for _ in range(10_000):
        mujoco.mj_step(model, data)
        energies.append(data.energy.sum())
    swing = PENDULUM_MASS * GRAVITY * PENDULUM_LENGTH
    assert np.ptp(energies) < 0.01 * swing


def test_switched_off_it_comes_to_rest_hanging() -> None:
    model, data = qube()
    data.qpos[:] = 0.5, 2.5
    run(model, data, 120.0)
    assert np.abs(data.qvel).max() < 0.02
    assert math.cos(data.qpos[1]) == pytest.approx(1.0, abs=1e-4)


def test_the_stops_hold_the_arm() -> None:
    model, data = qube()
    data.ctrl[0] = 4.0
    positions, _ = run(model, data, 2.0)
    assert 2.0 < positions[-1, 0] < 2.2
    assert positions[:, 0].max() < 2.3


def test_the_encoder_has_2048_counts_a_turn() -> None:
    resolution = load_robot("qube").config.sensing.encoder_resolution
    assert resolution * 2048 == pytest.approx(2.0 * math.pi, rel=1e-7)


def test_the_timestep_is_the_rate_at_which_its_server_filters() -> None:
    model, _ = qube()
    assert model.opt.timestep == pytest.approx(1 / 500)
    assert load_robot("qube").config.sensing.velocity_filter == 50.0
