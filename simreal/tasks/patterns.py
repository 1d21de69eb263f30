"""Patterns of surfaces for cameras, from hashes and formulas: the same on each machine.

Each is (SIZE, SIZE) from 0, dark, to 1, and goes on beyond its edge where it begins.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SIZE = 64
"""Pixels of a pattern, each way."""
Image = NDArray[np.float64]
Pattern = Callable[[], Image]


def _grid() -> tuple[Image, Image]:
    x, y = np.meshgrid(np.arange(SIZE) / SIZE, np.arange(SIZE) / SIZE)
    return x, y


def noise(seed: int, across: int, along: int | None = None) -> Image:
    """Smooth noise of so many random values each way."""
    along = along or across
    coarse = np.random.default_rng(seed).random((along, across))
    (left, right, column_share), (up, down, row_share) = _between(across), _between(along)
    rows = coarse[up] * (1.0 - row_share[:, None]) + coarse[down] * row_share[:, None]
    smooth: Image = rows[:, left] * (1.0 - column_share) + rows[:, right] * column_share
    return smooth


def _between(cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Image]:
    """Of each pixel the cells before and behind it, and how far it is from one to the other."""
    place = np.arange(SIZE) * cells / SIZE
    low, share = place.astype(np.int64), place % 1.0
    return low, (low + 1) % cells, share * share * (3.0 - 2.0 * share)


def checker() -> Image:
    """Two by two fields."""
    x, y = _grid()
    return ((x < 0.5) ^ (y < 0.5)).astype(np.float64)


def gradient() -> Image:
    """Bright to dark and back, along one axis."""
    return np.abs(2.0 * _grid()[0] - 1.0)


def grain() -> Image:
    """Noise that is longer than wide."""
    return noise(3, 4, 32)


def blotches() -> Image:
    """Noise with sharp edges."""
    return (noise(4, 8) > 0.55).astype(np.float64)


def specks() -> Image:
    """Small and sparse, as of terrazzo."""
    return np.where(noise(5, 24) > 0.75, noise(6, 24), 0.8)


def boards() -> Image:
    """Five of different widths and brightness, with dark gaps."""
    ends, bright = np.array([0.0, 0.13, 0.4, 0.55, 0.8, 1.0]), np.array([0.7, 1.0, 0.5, 0.85, 0.6])
    y = _grid()[1]
    board = np.searchsorted(ends, y, side="right") - 1
    return np.where(y - ends[board] < 0.03, 0.0, bright[board] - 0.3 * noise(8, 2, 32))


def bricks() -> Image:
    """Four courses, each beginning half a brick further, with bright joints."""
    x, y = _grid()
    shifted = (2.0 * x + 0.5 * (np.floor(4.0 * y) % 2)) % 1.0
    return np.where((shifted < 0.08) | ((4.0 * y) % 1.0 < 0.15), 1.0, 0.2 + 0.4 * noise(9, 8))


def patches() -> Image:
    """Fields of twelve shades, each of what is nearest to one of twelve places."""
    random = np.random.default_rng(10)
    places, shades = random.random((12, 2)), random.random(12)
    apart = np.abs(np.stack(_grid(), axis=-1)[:, :, None] - places)
    nearest = np.hypot(*np.moveaxis(np.minimum(apart, 1.0 - apart), -1, 0)).argmin(axis=-1)
    picture: Image = shades[nearest]
    return picture


def weave() -> Image:
    """Threads over and under each other."""
    x, y = _grid()
    over = (np.floor(8.0 * x) + np.floor(8.0 * y)) % 2
    return np.where(over == 0, np.abs(np.sin(8.0 * np.pi * x)), np.abs(np.sin(8.0 * np.pi * y)))


def stripes() -> Image:
    """Four, aslant."""
    x, y = _grid()
    return (((x + y) * 4.0) % 1.0 < 0.4).astype(np.float64)


def dots() -> Image:
    """Four by four."""
    x, y = _grid()
    return (np.hypot((4.0 * x) % 1.0 - 0.5, (4.0 * y) % 1.0 - 0.5) < 0.3).astype(np.float64)


def rings() -> Image:
    """As of wood, around a corner."""
    x, y = _grid()
    return 0.5 + 0.5 * np.sin(40.0 * np.hypot(x - 0.1, y - 0.2) + 4.0 * noise(7, 4))


TRAINING: dict[str, Pattern] = {
    "plain": lambda: np.ones((SIZE, SIZE)),
    "checker": checker,
    "gradient": gradient,
    "coarse_noise": lambda: noise(1, 4),
    "fine_noise": lambda: noise(2, 16),
    "grain": grain,
    "blotches": blotches,
    "specks": specks,
    "boards": boards,
    "bricks": bricks,
    "patches": patches,
    "weave": weave,
}
HELD_OUT: dict[str, Pattern] = {"stripes": stripes, "dots": dots, "rings": rings}
PATTERNS = TRAINING | HELD_OUT
"""In the order in which `material_texture` counts them: first those of the training."""
