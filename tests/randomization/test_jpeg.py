"""Compression at a camera's own size, against libjpeg."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from simreal.images import shrunk
from simreal.randomization.jpeg import compressed

Images = NDArray[np.uint8]


def scene(height: int, width: int, seed: int = 0) -> Images:
    """One image of soft waves and hard edges, in colour, neither black nor white anywhere."""
    rows, columns = np.mgrid[:height, :width]
    image = np.empty((1, height, width, 3), np.uint8)
    for channel in range(3):
        waves = np.sin(rows / (3.0 + channel) + seed) * np.cos(columns / (4.0 + seed))
        disc = np.hypot(rows - height / 2, columns - width / 3) < height / 5
        image[0, ..., channel] = 120 + 30 * waves + disc * (40 * channel - 40)
    return image


def by_libjpeg(image: Images, quality: int) -> Images:
    file = io.BytesIO()
    Image.fromarray(image[0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[None]


def changed(image: Images, quality: float, frame: tuple[int, int]) -> NDArray[np.float64]:
    return compressed(image, np.array([quality]), frame).astype(float) - image


def size(change: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.square(change).mean()))


@pytest.mark.parametrize("quality", [10, 30, 50, 70, 95])
def test_of_frames_as_small_as_the_image_it_is_what_libjpeg_makes_of_it(quality: int) -> None:
    grey = np.repeat(scene(40, 56)[..., :1], 3, axis=3)
    theirs = by_libjpeg(grey, quality).astype(float) - grey
    ours = changed(grey, quality, (40, 56))
    assert size(theirs) > 1.0
    assert size(ours) == pytest.approx(size(theirs), rel=0.01)
    # Of rounding to whole grey levels on the way, and numbers that lie between two steps.
    assert size(ours - theirs) < 0.4 * size(theirs)


@pytest.mark.parametrize("quality", [30, 50, 70])
def test_of_large_frames_it_is_what_libjpeg_leaves_in_patches_of_one_colour(quality: int) -> None:
    image = scene(48, 48)
    large = np.repeat(np.repeat(image, 10, axis=1), 10, axis=2)
    beside = np.pad(large, ((0, 0), (0, 0), (80, 80), (0, 0)), mode="edge")
    theirs = shrunk(by_libjpeg(beside, quality), 48, 48) - image
    ours = changed(image, quality, (480, 640))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.5
    assert size(ours) == pytest.approx(size(theirs), rel=0.15)


def test_the_larger_the_frame_the_less_is_left_of_its_compression() -> None:
    image = scene(48, 48)
    left = [size(changed(image, 30.0, (scale * 48, scale * 48))) for scale in (1, 2, 4, 10, 20)]
    assert (np.diff(left) < 0.0).all()
    assert left[3] < left[0] / 3


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(60, 300),
    st.integers(60, 300),
    st.integers(1, 99),
)
def test_a_plain_image_stays_plain_whatever_the_sizes(
    height: int, width: int, rows: int, columns: int, quality: int
) -> None:
    plain = np.full((1, height, width, 3), 90, np.uint8)
    taken = compressed(plain, np.array([float(quality)]), (rows, columns))
    assert np.ptp(taken) <= 1  # of what lies between two grey levels
    # A mean is stored in steps of a 8th of 255 at most.
    assert np.abs(taken.astype(int) - 90).max() <= 32


def test_each_image_has_its_own_quality_and_100_leaves_it() -> None:
    image = np.repeat(scene(24, 32), 3, axis=0)
    together = compressed(image, np.array([100.0, 60.0, 20.0]), (480, 640))
    assert (together[0] == image[0]).all()
    for row, quality in ((1, 60.0), (2, 20.0)):
        alone = compressed(image[:1], np.array([quality]), (480, 640))
        assert (together[row] == alone[0]).all()
