from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.randomization.encoders import Encoders, encoder_defaults
from simreal.randomization.quantities import Quantities
from simreal.robots.loader import SensingConfig
from simreal.state import FloatArray

TIMESTEP = 0.002
CORNER = 50.0
IDEAL = SensingConfig()
FILTERED = SensingConfig(velocity_filter=CORNER)


def random_of(count: int, run_seed: int = 0) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(run_seed, np.arange(count)))


def read(
    motion: FloatArray,
    config: SensingConfig = IDEAL,
    substeps: int = 1,
    random: EpisodeRandom | None = None,
    **errors: Any,
) -> tuple[FloatArray, FloatArray]:
    """Readings of (count, samples, joints) true positions, from the first on, and velocities."""
    count, length, joints = motion.shape
    random = random or random_of(count)
    quantities = Quantities(count, encoder_defaults(config, joints))
    for name, value in errors.items():
        quantities[name][:] = value
    encoders, everyone = Encoders(config, quantities, count, joints, TIMESTEP), np.arange(count)
    still = np.zeros_like(motion)
    first = encoders.reset(everyone, motion[:, 0], still[:, 0], random)
    samples = [first[None]]
    for step in range(1, (length - 1) // substeps + 1):
        part = slice(1 + (step - 1) * substeps, 1 + step * substeps)
        steps = np.full(count, step)
        samples.append(encoders.advance(motion[:, part], still[:, part], random, steps))
    found = np.concatenate(samples).transpose(1, 3, 0, 2)
    return found[0], found[1]


def wander(count: int = 2, length: int = 61, joints: int = 2, seed: int = 0) -> FloatArray:
    steps = np.random.default_rng(seed).normal(scale=0.05, size=(count, length, joints))
    return steps.cumsum(axis=1)


@given(st.floats(0.5, 1.5), st.integers(0, 100))
def test_a_scale_error_moves_readings_in_proportion_to_the_angle(scale: float, seed: int) -> None:
    motion = wander(seed=seed)
    position, velocity = read(motion, FILTERED, scale=[scale, 1.0])
    right, slow = read(motion, FILTERED)
    np.testing.assert_allclose(position, motion * [scale, 1.0], rtol=1e-12)
    np.testing.assert_allclose(velocity, slow * [scale, 1.0], atol=1e-9)
    assert (right == motion).all()


def test_a_scale_is_about_the_true_zero_not_about_the_biased_one() -> None:
    position, _ = read(np.array([[[0.0], [1.0]]]), scale=1.5, bias=0.2)
    np.testing.assert_allclose(position[0, :, 0], [0.2, 1.7])


@pytest.mark.parametrize("substeps", [1, 5])
def test_the_variance_of_a_drift_grows_linearly_with_time(substeps: int) -> None:
    count, rate = 3000, 0.02
    position, _ = read(np.zeros((count, 501, 1)), substeps=substeps, drift=rate)
    assert (position[:, 0] == 0.0).all()
    moments = np.array([100, 200, 300, 400, 500])
    variance = position[:, moments, 0].var(axis=0)
    expected = rate**2 * moments * TIMESTEP
    # The standard error of a variance of 3000 numbers is 2.6 % of it.
    np.testing.assert_allclose(variance, expected, rtol=0.1)
    strides = np.diff(position[:, moments, 0], axis=1)
    assert np.abs(np.corrcoef(strides.T) - np.eye(4)).max() < 5 / np.sqrt(count)
    assert np.abs(position[:, -1].mean()) < 5 * rate / np.sqrt(count)


def test_a_drift_does_not_jump_within_a_control_step() -> None:
    position, _ = read(np.zeros((1, 501, 1)), substeps=5, drift=1.0)
    strides = np.diff(position[0, :, 0]).reshape(-1, 5)
    np.testing.assert_allclose(strides, strides[:, :1] * np.ones(5), atol=1e-12)
    assert strides.std() == pytest.approx(np.sqrt(0.01) / 5, rel=0.2)


def test_each_episode_and_joint_drifts_its_own_way_again_and_again() -> None:
    still = np.zeros((2, 101, 2))
    first, _ = read(still, substeps=5, drift=0.1)
    again, _ = read(still, substeps=5, drift=0.1)
    alone, _ = read(still[:1], substeps=5, random=EpisodeRandom(random_of(2).seeds[[1]]), drift=0.1)
    assert (first == again).all()
    assert (first[1] == alone[0]).all()
    ends = first[:, -1].ravel().tolist()
    assert len(set(ends)) == 4


def test_a_drift_starts_again_at_zero_with_the_next_episode() -> None:
    quantities = Quantities(2, encoder_defaults(IDEAL, 1))
    quantities["drift"][:] = 1.0
    encoders, still = Encoders(IDEAL, quantities, 2, 1, TIMESTEP), np.zeros((2, 5, 1))
    walk = [
        encoders.advance(still, still, random_of(2), np.full(2, step))[-1, 0, 0] for step in range(1, 20)
    ]
    assert encoders.reset(np.array([0]), still[:1, 0], still[:1, 0], random_of(1))[0] == 0.0
    after = encoders.advance(still, still, random_of(2), np.array([1, 19]))[-1, 0, 0]
    assert after[0] == walk[0][0]
    assert after[1] == pytest.approx(2 * walk[-1][1] - walk[-2][1])  # the last stride once more


def test_readings_stop_at_the_saturation_and_the_filter_sees_that() -> None:
    ramp = (np.arange(401) * TIMESTEP * 2.0 - 0.8)[None, :, None]  # 2 rad/s, from -0.8 rad to 0.8 rad
    position, velocity = read(ramp, FILTERED, saturation=0.5)
    np.testing.assert_array_equal(position, np.clip(ramp, -0.5, 0.5))
    assert velocity[0, :75, 0].tolist() == [0.0] * 75  # below -0.5 rad until 0.15 s
    assert velocity[0, 320, 0] == pytest.approx(2.0, rel=1e-3)
    assert velocity[0, 400, 0] == pytest.approx(2.0 * np.exp(-0.15 * CORNER), rel=0.5)


def test_an_encoder_saturates_after_its_errors_and_before_its_counts() -> None:
    far = np.full((1, 200, 1), 0.52)
    config = SensingConfig(encoder_resolution=0.03)
    position, _ = read(far, config, saturation=0.5, bias=0.1, noise=0.01)
    np.testing.assert_allclose(position, 0.51)  # 17 counts are the nearest to 0.5 rad
    position, _ = read(far, bias=-0.1, saturation=0.5)
    np.testing.assert_allclose(position, 0.42)


@pytest.mark.parametrize("config", [IDEAL, FILTERED])
def test_velocity_noise_is_white_with_the_standard_deviation_that_is_set(config: SensingConfig) -> None:
    motion = wander(50, 1001, 2)
    position, velocity = read(motion, config, substeps=5, velocity_noise=[0.1, 2.0])
    silent, true = read(motion, config, substeps=5)
    assert (position == silent).all()
    error = (velocity - true) / [0.1, 2.0]
    tolerance = 5 / np.sqrt(error[..., 0].size)
    assert error.std(axis=(0, 1)) == pytest.approx([1.0, 1.0], rel=0.02)
    assert np.abs(error.mean(axis=(0, 1))).max() < tolerance
    # Neither the filter nor time colours it.
    assert abs((error[:, 1:] * error[:, :-1]).mean()) < tolerance
    assert abs((error[..., 0] * error[..., 1]).mean()) < tolerance


def test_each_noise_has_its_own_numbers_whatever_the_others_are() -> None:
    still = np.zeros((40, 501, 1))
    levels = {"noise": 0.1, "velocity_noise": 1.0, "drift": 0.3}
    alone = {name: read(still, substeps=5, **{name: level}) for name, level in levels.items()}
    position, velocity = read(still, substeps=5, **levels)
    np.testing.assert_allclose(position, alone["noise"][0] + alone["drift"][0], atol=1e-12)
    np.testing.assert_array_equal(velocity, alone["velocity_noise"][1])
    strides = np.diff(alone["drift"][0][:, ::5], axis=1).ravel()
    drawn = [alone["noise"][0][:, 5::5].ravel(), alone["velocity_noise"][1][:, 5::5].ravel(), strides]
    correlation = np.corrcoef(drawn) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(strides.size)


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 100))
def test_control_steps_of_any_length_read_alike(substeps: int, seed: int) -> None:
    motion = wander(length=1 + 6 * substeps, seed=seed)
    config = SensingConfig(velocity_filter=CORNER, encoder_resolution=0.003)
    errors = {"scale": 1.02, "bias": 0.1, "saturation": 0.2, "resolution": 0.005}
    for coarse, fine in zip(
        read(motion, config, substeps, **errors), read(motion, config, 1, **errors), strict=True
    ):
        assert (coarse == fine).all()
