"""What identification looks for moves what is predicted, by the names that training draws it by."""

import numpy as np
import pytest

from simreal.bench.identify_truth import synthetic
from simreal.errors import UserError
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked
from simreal.identification.windows import cut
from simreal.robots import load_robot

TOLD_BY_POSITIONS = (
    "mass[arm]",
    "centre_of_mass[pendulum.z]",
    "inertia_stretch[pendulum.z]",
    "inertia_shear[pendulum.yz]",
    "joint_frictionloss",
    "joint_damping",
    "joint_armature[arm]",
    "torque_constant",
    "motor_resistance",
    "backlash",
    "stribeck_friction",
    "load_friction",
    "encoder_bias",
    "torque_offset",
    "action_latency_ms",
    "sensor_latency_ms",
    "joint_latency_ms",
)


@pytest.fixture(scope="module")
def setup() -> Setup:
    return Setup(load_robot("qube"))


def moved(setup: Setup, name: str) -> np.ndarray:
    """(2,) by how much another value changes predicted positions and velocities, at most."""
    recording = synthetic(setup, ("torque_constant",), np.ones(1), 1.5, np.random.default_rng(0))
    windows = cut([recording], 0.5)
    simulator = Simulator(setup, windows, [read_asked(name)])
    low, high, start = (
        np.array([getattr(each, key) for each in simulator.unknowns]) for key in ("low", "high", "start")
    )
    other = np.where(high - start > start - low, start + 0.3 * (high - start), low)
    predicted = simulator.predict(np.stack((start, other)), np.stack([windows.start_state] * 2))
    return np.asarray(np.abs(predicted[1] - predicted[0]).max(axis=(0, 1, 3)))


@pytest.mark.parametrize("name", TOLD_BY_POSITIONS)
def test_a_parameter_moves_what_is_predicted(setup: Setup, name: str) -> None:
    assert moved(setup, name)[0] > 1e-5


def test_a_filter_of_velocities_is_told_by_velocities_alone(setup: Setup) -> None:
    position, velocity = moved(setup, "velocity_filter")
    assert position == 0.0
    assert velocity > 0.1


def test_what_no_motion_tells_is_refused(setup: Setup) -> None:
    with pytest.raises(UserError, match="encoder_noise: no motion of the joints tells it"):
        moved(setup, "encoder_noise")
