import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.deploy.bounds import StateBounds, all_true, tilt
from simreal.state import DriveReport, RobotState
from tests.deploy.two_joints import MOTORS, NOW, SAFETY, state

BOUNDS = StateBounds(MOTORS, SAFETY)
anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
numbers = st.one_of(st.floats(-6.0, 6.0), anything)
pairs = st.tuples(numbers, numbers)
times = st.one_of(st.floats(NOW - 0.2, NOW + 0.2), anything)


def _imu(**readings: list[float]) -> RobotState:
    whole = {
        "orientation": [1.0, 0.0, 0.0, 0.0],
        "angular_velocity": [0.0] * 3,
        "linear_acceleration": [0.0, 0.0, 9.81],
    }
    found = state()
    for name, values in (whole | readings).items():
        setattr(found, name, np.array(values))
    return found


def _drives(**report: Any) -> RobotState:
    found = state()
    found.drives = DriveReport(**report)
    return found


def _effort(*values: float) -> RobotState:
    found = state()
    found.joint_effort = np.array(values)
    return found


@pytest.mark.parametrize(
    ("measured", "check", "words"),
    [
        (state(time=NOW - 0.08), "stale_state", ["80 ms old", "50 ms"]),
        (state(time=NOW + 10.0), "stale_state", ["old"]),
        (state(time=math.nan), "stale_state", ["old"]),
        (_drives(joint_time=np.array([NOW, NOW - 0.09])), "stale_state", ["elbow", "90 ms"]),
        (state(position=(math.nan, 0.0)), "not_a_number", ["shoulder", "nan"]),
        (state(velocity=(0.0, math.inf)), "not_a_number", ["elbow", "inf"]),
        (_effort(0.0, math.nan), "not_a_number", ["elbow", "effort", "nan"]),
        (state(position=(9.0, 0.51)), "joint_position", ["elbow", "0.51", "-1", "0.5"]),
        (state(position=(0.0, -1.01)), "joint_position", ["elbow", "-1.01"]),
        (state(velocity=(-4.5, 0.0)), "joint_velocity", ["shoulder", "-4.5", "4"]),
        (_effort(99.0, -9.5), "joint_effort", ["elbow", "-9.5", "9"]),
        (_imu(angular_velocity=[0.0, math.nan, 0.0]), "not_a_number", ["IMU", "angular velocity"]),
        (_imu(orientation=[0.9, 0.0, 0.0, 0.0]), "not_a_number", ["0.9", "quaternion"]),
        (_imu(orientation=[0.8, 0.6, 0.0, 0.0]), "tilt", ["1.29", "1 rad"]),
        (_imu(angular_velocity=[3.0, 0.0, 4.5]), "angular_velocity", ["5.41", "5 rad/s"]),
        (_drives(temperature=np.array([70.5, 20.0])), "temperature", ["shoulder", "70.5 °C"]),
        (_drives(supply_voltage=9.0), "supply_voltage", ["9 V", "10", "14"]),
        (_drives(faults=("elbow: overload",)), "motor_fault", ["elbow: overload"]),
    ],
)
def test_each_check_names_what_is_wrong(measured: RobotState, check: str, words: list[str]) -> None:
    found = BOUNDS.violation(measured, NOW)
    assert found is not None
    assert found.check == check
    assert all(word in found.reason for word in words), found.reason


@pytest.mark.parametrize(
    "measured",
    [
        state(),
        state(time=NOW - 0.049),
        state(position=(1e6, 0.5), velocity=(4.0, -1e6)),
        state(position=(0.0, -1.0), velocity=(-4.0, 0.0)),
        _imu(),
        _imu(orientation=[math.cos(0.49), 0.0, math.sin(0.49), 0.0], angular_velocity=[3.0, 4.0, 0.0]),
        _drives(temperature=np.array([70.0, -5.0]), supply_voltage=10.0, joint_time=np.full(2, NOW)),
        _effort(1e6, 9.0),
    ],
)
def test_a_state_on_its_bounds_passes(measured: RobotState) -> None:
    assert BOUNDS.violation(measured, NOW) is None


@given(pairs, pairs, times)
def test_a_state_passes_exactly_if_it_is_fresh_finite_and_within_bounds(
    position: tuple[float, float], velocity: tuple[float, float], time: float
) -> None:
    safe = (
        all(map(math.isfinite, (*position, *velocity, time)))
        and abs(NOW - time) <= 0.05
        and -1.0 <= position[1] <= 0.5
        and -4.0 <= velocity[0] <= 4.0
    )
    assert (BOUNDS.violation(state(position, velocity, time), NOW) is None) is safe


@pytest.mark.parametrize(
    ("ages", "words"),
    [((0.0, 0.09), "joint elbow: state is 90 ms old"), ((0.08, 0.09), "state is 90 ms old")],
)
def test_a_joint_that_is_silent_alone_is_named(ages: tuple[float, float], words: str) -> None:
    """Also where the measurement is as old as its oldest part, as that of servos on a bus."""
    measured = _drives(joint_time=NOW - np.array(ages))
    measured.time = NOW - max(ages)
    found = BOUNDS.violation(measured, NOW)
    assert found is not None and found.reason.startswith(words)


def test_what_a_robot_stops_to_report_is_forgotten() -> None:
    bounds = StateBounds(MOTORS, SAFETY)
    assert bounds.violation(_effort(0.0, 10.0), NOW) is not None
    assert bounds.violation(state(), NOW) is None


@given(st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi))
def test_tilt_is_the_angle_to_the_vertical_whatever_the_heading(lean: float, heading: float) -> None:
    half, turn = 0.5 * lean, 0.5 * heading
    orientation = np.array(
        [
            math.cos(turn) * math.cos(half),
            math.cos(turn) * math.sin(half),
            math.sin(turn) * math.sin(half),
            math.sin(turn) * math.cos(half),
        ]
    )
    found = tilt(orientation)
    assert found is not None
    assert found == pytest.approx(abs(lean), abs=1e-6)


@given(st.lists(st.booleans(), max_size=40).map(lambda values: np.array(values, dtype=np.bool_)))
def test_all_true_is_all(mask: NDArray[np.bool_]) -> None:
    assert all_true(mask) is bool(mask.all())
