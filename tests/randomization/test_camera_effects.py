import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.randomization.camera_effects import CameraEffects, blurred, quantized

Images = NDArray[np.uint8]


def scenes(count: int, height: int = 60, width: int = 80) -> Images:
    """Images with soft and hard edges, of middle brightness, no two alike."""
    rows, columns = np.mgrid[:height, :width]
    images = np.empty((count, height, width, 3), dtype=np.uint8)
    for number in range(count):
        waves = np.sin(rows / (5.0 + number)) * np.cos(columns / 7.0)
        inside = (rows - height / 2) ** 2 + (columns - width / 3) ** 2 < (8 + number) ** 2
        for channel in range(3):
            images[number, ..., channel] = 110 + 25 * waves + inside * (20 * channel - 40)
    return images


def random_of(count: int) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(0, np.arange(count)))


def effects_with(name: str, values: list[float]) -> CameraEffects:
    effects = CameraEffects(len(values))
    effects.quantities[name][:] = np.array(values)[:, None]
    return effects


def gradient_energy(images: NDArray[np.generic]) -> NDArray[np.float64]:
    pixels = images.astype(np.float64)
    energies = (np.square(np.diff(pixels, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2))
    total: NDArray[np.float64] = sum(energies, np.zeros(len(pixels)))
    return total


def test_what_nobody_randomizes_is_not_even_copied() -> None:
    images = scenes(2)
    assert CameraEffects(2).apply(images, random_of(2), 0) is images


@pytest.mark.parametrize(
    ("name", "nothing"), [("exposure", 1.0), ("noise", 0.0), ("blur", 0.0), ("jpeg_quality", 100.0)]
)
def test_neutral_values_leave_each_pixel(name: str, nothing: float) -> None:
    images = scenes(2)
    assert (effects_with(name, [nothing] * 2).apply(images, random_of(2), 0) == images).all()


def test_exposure_scales_the_mean_of_each_image() -> None:
    images = scenes(4)
    factors = [1.0, 0.5, 1.5, 0.0]
    taken = effects_with("exposure", factors).apply(images, random_of(4), 0)
    ratio = taken.mean(axis=(1, 2, 3)) / images.mean(axis=(1, 2, 3))
    assert ratio == pytest.approx(factors, abs=3e-3)


def test_what_is_too_bright_saturates() -> None:
    images = scenes(1)
    taken = effects_with("exposure", [2.0]).apply(images, random_of(1), 0)
    expected = np.minimum(2 * images.astype(int), 255)
    assert (expected == 255).any()
    assert (taken == expected).all()


def test_noise_has_the_standard_deviation_that_is_given_and_no_mean() -> None:
    images = np.full((3, 100, 100, 3), 128, dtype=np.uint8)
    error = effects_with("noise", [2.0, 8.0, 0.0]).apply(images, random_of(3), 5).astype(float) - 128
    # Rounding to whole grey levels adds its own variance of 1/12.
    assert error[:2].std(axis=(1, 2, 3)) == pytest.approx(
        np.sqrt([4.0 + 1 / 12, 64.0 + 1 / 12]), rel=0.02
    )
    assert np.abs(error[:2].mean(axis=(1, 2, 3))).max() < 0.15
    assert (error[2] == 0).all()


def test_noise_is_white_in_space_colour_and_time() -> None:
    images = np.full((1, 100, 100, 3), 128, dtype=np.uint8)
    effects = effects_with("noise", [10.0])
    first, second = (
        effects.apply(images, random_of(1), step)[0].astype(float) - 128.0 for step in (1, 2)
    )
    pairs = [
        (first, second),
        (first[1:], first[:-1]),
        (first[:, 1:], first[:, :-1]),
        (first[..., 0], first[..., 1]),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.03


def test_two_cameras_have_noise_of_their_own() -> None:
    images, effects = scenes(1), effects_with("noise", [5.0])
    left, again, right = (
        effects.apply(images, random_of(1), 3, camera) for camera in ("left", "left", "right")
    )
    assert (left == again).all()
    assert (left != right).mean() > 0.5


def test_blur_lowers_the_gradients_and_keeps_the_mean() -> None:
    images = scenes(5)
    sharp = np.repeat(images[:1], 5, axis=0)
    taken = effects_with("blur", [0.0, 0.5, 1.0, 2.0, 6.0]).apply(sharp, random_of(5), 0)
    energy = gradient_energy(taken)
    assert (np.diff(energy) < 0.0).all()
    assert energy[4] < 0.2 * energy[0]
    assert taken.mean(axis=(1, 2, 3)) == pytest.approx([sharp[0].mean()] * 5, abs=0.1)


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.5])
def test_a_point_becomes_a_gaussian_of_that_width(deviation: float) -> None:
    point = np.zeros((1, 41, 51, 1), dtype=np.float32)
    point[0, 20, 25] = 1.0
    spot = blurred(point, np.array([deviation]))[0, ..., 0]
    rows, columns = np.mgrid[:41, :51]
    assert (spot * (rows - 20.0) ** 2).sum() == pytest.approx(deviation**2, rel=1e-3)
    assert (spot * (columns - 25.0) ** 2).sum() == pytest.approx(deviation**2, rel=1e-3)
    assert (spot * (rows - 20.0) * (columns - 25.0)).sum() == pytest.approx(0.0, abs=1e-4)


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.0, 4.0), st.integers(0, 2**32 - 1))
def test_blur_gives_nothing_away_at_the_edges(
    height: int, width: int, deviation: float, seed: int
) -> None:
    """All light stays in the image, and no pixel leaves the range of those there were."""
    images = np.random.default_rng(seed).uniform(0, 255, (2, height, width, 3)).astype(np.float32)
    result = blurred(images, np.array([deviation, 0.0]))
    assert result.min() >= images.min() - 1e-2
    assert result.max() <= images.max() + 1e-2
    np.testing.assert_allclose(result[1], images[1], atol=1e-3)
    assert result[0].mean() == pytest.approx(images[0].mean(), rel=1e-4)


def test_a_low_jpeg_quality_differs_yet_resembles() -> None:
    images = np.repeat(scenes(1), 4, axis=0)
    taken = effects_with("jpeg_quality", [100.0, 90.0, 40.0, 15.0]).apply(images, random_of(4), 0)
    error = np.sqrt(np.square(taken.astype(float) - images).mean(axis=(1, 2, 3)))
    assert error[0] == 0.0
    assert 0.0 < error[1] < error[2] < error[3] < 20.0
    assert np.corrcoef(taken[3].ravel(), images[3].ravel())[0, 1] > 0.9


def test_jpeg_makes_blocks_of_eight_pixels() -> None:
    taken = effects_with("jpeg_quality", [3.0]).apply(scenes(1), random_of(1), 0)[0].astype(float)
    steps = np.abs(np.diff(taken, axis=1)).mean(axis=(0, 2))
    at_borders = np.arange(len(steps)) % 8 == 7
    assert steps[at_borders].mean() > 1.5 * steps[~at_borders].mean()


def test_light_is_blurred_before_it_is_noise() -> None:
    """Noise of the sensor is as sharp as its pixels, however soft the lens."""
    effects = effects_with("noise", [8.0])
    effects.quantities["blur"][:] = 3.0
    flat = np.full((1, 60, 60, 3), 128, dtype=np.uint8)
    taken = effects.apply(flat, random_of(1), 0).astype(float)
    assert taken.std() == pytest.approx(8.0, rel=0.05)


def all_effects(count: int) -> CameraEffects:
    effects = CameraEffects(count)
    drawn = np.random.default_rng(0).uniform(size=(4, count, 1))
    for name, low, high, share in zip(
        ("exposure", "noise", "blur", "jpeg_quality"),
        (0.5, 0, 0, 10),
        (1.5, 10, 3, 90),
        drawn,
        strict=True,
    ):
        effects.quantities[name][:] = low + (high - low) * share
    return effects


def test_an_image_comes_out_the_same_alone_and_in_a_batch() -> None:
    images, effects, step = scenes(6), all_effects(6), np.arange(1, 7)
    random = random_of(6)
    together = effects.apply(images, random, step)
    alone = CameraEffects(1)
    alone.take(np.array([0]), effects, np.array([4]))
    single = alone.apply(images[[4]], EpisodeRandom(random.seeds[[4]]), step[[4]])
    assert (single[0] == together[4]).all()
    assert (effects.apply(images, random, step) == together).all()
    assert (effects.apply(images, random, step + 1) != together).any(axis=(1, 2, 3)).all()


def test_rounding_stays_in_the_range_of_a_pixel() -> None:
    pixels = np.array([-5.0, 0.4, 0.6, 254.6, 300.0], dtype=np.float32)
    assert quantized(pixels).tolist() == [0, 0, 1, 255, 255]
