"""Tests of an IMU's errors and delays, on readings that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.randomization.sensing import IMU, Sensing
from simreal.robots.loader import ImuConfig, SensingConfig
from simreal.state import FloatArray, RobotState

COUNT, SUBSTEPS, TIMESTEP = 400, 4, 0.005
CONFIG = SensingConfig(imu=ImuConfig(orientation="o", angular_velocity="w", linear_acceleration="a"))


class Trial:
    """Robots whose IMU reads what it is given."""

    def __init__(self, longest_latency: float = 0.0, **quantities: float) -> None:
        self.sensing = Sensing(CONFIG, COUNT, 1, TIMESTEP, longest_latency)
        for name, value in quantities.items():
            self.sensing.quantities[name][:] = value
        self.random = EpisodeRandom(episode_seed(0, np.arange(COUNT)))
        self.step = np.zeros(COUNT, dtype=np.int64)
        joints = np.zeros((COUNT, 1))
        beside = {IMU: self.true(0.0)[:, 0]}
        self.sensing.reset(np.arange(COUNT), joints, joints, self.random, beside)

    def true(self, rate: float) -> FloatArray:
        """(count, 1, 10) turning about z at a rate, upright."""
        reading = np.zeros((COUNT, 1, 10))
        reading[..., 0], reading[..., 6], reading[..., 9] = 1.0, rate, 9.81
        return reading

    def advance(self, *rates: float) -> RobotState:
        """A control step with one rate for each physics step."""
        self.step += 1
        trace = np.concatenate([self.true(rate) for rate in rates], axis=1)
        joints = np.zeros((COUNT, len(rates), 1))
        self.sensing.advance(joints, joints, self.random, self.step, {IMU: trace})
        return self.sensing.read(np.zeros(COUNT))


def angular(state: RobotState) -> FloatArray:
    assert state.angular_velocity is not None
    return state.angular_velocity


def test_an_ideal_one_tells_the_last_reading() -> None:
    state = Trial().advance(1.0, 2.0, 3.0, 4.0)
    np.testing.assert_array_equal(angular(state), np.tile([0.0, 0.0, 4.0], (COUNT, 1)))


def test_latency_shifts_the_reading_by_that_many_milliseconds_and_the_joints_not() -> None:
    trial = Trial(0.02, imu_latency=0.01)
    state = trial.advance(1.0, 2.0, 3.0, 4.0)
    np.testing.assert_array_equal(angular(state)[:, 2], 2.0)
    np.testing.assert_array_equal(angular(trial.advance(5.0, 6.0, 7.0, 8.0))[:, 2], 6.0)


def test_noise_has_its_deviation_and_a_bias_moves_the_mean() -> None:
    trial = Trial(gyro_noise=0.1, gyro_bias=0.3, accelerometer_noise=0.5)
    states = [trial.advance(0.0, 0.0, 0.0, 0.0) for _ in range(20)]
    readings = np.stack([angular(state) for state in states])
    assert readings.mean() == pytest.approx(0.3, abs=0.005)
    assert readings.std() == pytest.approx(0.1, rel=0.03)
    felt = np.stack(
        [state.linear_acceleration for state in states if state.linear_acceleration is not None]
    )
    assert felt[..., 2].mean() == pytest.approx(9.81, abs=0.02)
    assert felt.std(axis=0).mean() == pytest.approx(0.5, rel=0.05)


def test_an_orientation_error_is_a_rotation_of_that_size() -> None:
    trial = Trial(orientation_noise=0.05)
    orientation = trial.advance(0.0, 0.0, 0.0, 0.0).orientation
    assert orientation is not None
    np.testing.assert_allclose(np.linalg.norm(orientation, axis=1), 1.0, atol=1e-12)
    vectors = Rotation.from_quat(orientation[:, [1, 2, 3, 0]]).as_rotvec()
    assert vectors.std() == pytest.approx(0.05, rel=0.06)
    assert abs(vectors.mean()) < 0.006


def test_a_drift_walks_from_zero_with_the_square_root_of_time() -> None:
    trial = Trial(gyro_drift=0.2)
    first = angular(trial.advance(0.0, 0.0, 0.0, 0.0)).std()
    for _ in range(48):
        trial.advance(0.0, 0.0, 0.0, 0.0)
    last = angular(trial.advance(0.0, 0.0, 0.0, 0.0)).std()
    period = SUBSTEPS * TIMESTEP
    assert first == pytest.approx(0.2 * np.sqrt(period), rel=0.1)
    assert last == pytest.approx(0.2 * np.sqrt(50 * period), rel=0.1)
