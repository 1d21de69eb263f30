"""What a camera's JPEG compression leaves in the small image that a policy sees.

A camera compresses its frame as it takes it, long before the frame is shrunk for the policy: most of
what the compression spoils is gone in the mean over a pixel of the policy. To draw at a camera's own
size would be far too slow for training. So each pixel of the policy stands for a patch of one colour of
the camera's frame; that frame goes through JPEG's transform and quantization (ITU-T T.81), and what this
changes in the mean of each patch is added to the image. Real frames have softer edges and finer detail
than such patches: tests compare it with frames drawn at full size.

The colours of an image are stored at half the resolution, as most cameras do and libjpeg by default.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simreal.images import covered, middle
from simreal.randomization.camera_effects import UNCOMPRESSED

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

BLOCK = 8
"""Pixels of a block, each way."""
BRIGHTNESS_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Of quality 50, by frequency down and across: ITU-T T.81, table K.1."""
COLOUR_STEPS = (
    (17, 18, 24, 47),
    (18, 21, 26, 66),
    (24, 26, 56, 99),
    (47, 66, 99, 99),
)
"""Likewise, table K.2; all further ones are 99."""
TO_PLANES = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""Red, green, blue to brightness and two differences of colour: ITU-T T.871."""
FROM_PLANES = np.linalg.inv(TO_PLANES).astype(np.float32)
MIDDLE = np.array([128.0, 0.0, 0.0], np.float32)
"""What is taken from the planes before their transform, so that they lie around 0."""
SHARED_PIXELS = (1, 2, 2)
"""Pixels of the frame, each way, that share a number of each plane."""


class Blocks(NamedTuple):
    """The blocks along one side of a frame, and the policy's pixels that they lie in.

    Attributes:
        first: (blocks,) the first of these pixels.
        into: (blocks, BLOCK, pixels) from values of the pixels to the block's frequencies.
        back: (blocks, pixels, BLOCK) from frequencies to shares of the pixels' means.
    """

    first: NDArray[np.int64]
    into: Floats
    back: Floats


def compressed(images: Images, quality: NDArray[np.float64], frame: tuple[int, int]) -> Images:
    """Images as they come from frames that were compressed before they were shrunk.

    Args:
        images: (n, height, width, 3) red, green, blue.
        quality: (n,) from 1 to 100, as libjpeg counts it, in whole numbers; 100 does not compress.
        frame: rows and columns that the camera takes, of which the policy sees the middle.
    """
    result = images.copy()
    chosen = np.flatnonzero(quality < UNCOMPRESSED)
    if not len(chosen):
        return result
    planes = images[chosen].astype(np.float32) @ TO_PLANES.T - MIDDLE
    change = np.zeros_like(planes)
    whole = np.rint(quality[chosen]).astype(np.int64)
    for plane, shared in enumerate(SHARED_PIXELS):
        down, across = _sides(*images.shape[1:3], *frame, shared)
        table = COLOUR_STEPS if plane else BRIGHTNESS_STEPS
        steps = np.stack([_steps(table, int(each)) for each in whole])
        _add_change(planes[..., plane], steps, down, across, change[..., plane])
    spoilt = (planes + change + MIDDLE) @ FROM_PLANES.T
    result[chosen] = np.rint(np.clip(spoilt, 0.0, 255.0)).astype(np.uint8)
    return result


@lru_cache(maxsize=256)
def _steps(table: tuple[tuple[int, ...], ...], quality: int) -> Floats:
    """(BLOCK, BLOCK) steps to which frequencies are rounded, as libjpeg makes them of a quality."""
    of_50 = np.full((BLOCK, BLOCK), 99)
    of_50[: len(table), : len(table)] = table
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps: Floats = np.clip((of_50 * percent + 50) // 100, 1, 255).astype(np.float32)
    return steps


@lru_cache(maxsize=64)
def _sides(height: int, width: int, rows: int, columns: int, shared: int) -> tuple[Blocks, Blocks]:
    """The blocks down and across a frame of which height x width pixels are made."""
    (top, down), (left, across) = middle(rows, columns, height, width)
    return _blocks(top, down, height, shared), _blocks(left, across, width, shared)


def _blocks(skipped: int, size: int, pixels: int, shared: int) -> Blocks:
    """The blocks along a side.

    Args:
        skipped: pixels of the frame before the middle that the policy sees.
        size: of this middle, in pixels of the frame.
        pixels: that the policy makes of it.
        shared: pixels of the frame that share a number.
    """
    width = BLOCK * shared
    before = skipped % width
    number = -(-(before + size) // width)
    overlap = covered(size, pixels)
    # Beside the middle, its edge goes on. It changes what the blocks are, and no pixel of the policy.
    place = np.arange(number * width) - before
    inside = (place >= 0) & (place < size)
    shown = (overlap / overlap.sum(axis=0))[:, np.clip(place, 0, size - 1)]
    share = (overlap / overlap.sum(axis=1, keepdims=True))[:, np.clip(place, 0, size - 1)] * inside
    shown = shown.reshape(pixels, number, BLOCK, shared).mean(axis=3)
    share = share.reshape(pixels, number, BLOCK, shared).sum(axis=3)
    touched = (shown > 0.0).any(axis=2)
    seen = int(touched.sum(axis=0).max())
    first = np.minimum(touched.argmax(axis=0), pixels - seen)
    window, block = first[:, None] + np.arange(seen), np.arange(number)[:, None]
    waves = _waves()
    into = np.einsum("fx,bpx->bfp", waves, shown[window, block])
    back = np.einsum("fx,bpx->bpf", waves, share[window, block])
    return Blocks(first.astype(np.int64), into.astype(np.float32), back.astype(np.float32))


def _waves() -> NDArray[np.float64]:
    """(BLOCK, BLOCK) the cosine of each frequency at each place, of length 1: ITU-T T.81, A.3.3."""
    frequency, place = np.arange(BLOCK)[:, None], np.arange(BLOCK)
    waves = np.cos((2 * place + 1) * frequency * np.pi / (2 * BLOCK)) * np.sqrt(2.0 / BLOCK)
    waves[0] /= np.sqrt(2.0)
    result: NDArray[np.float64] = waves
    return result


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _add_change(plane: Floats, steps: Floats, down: Blocks, across: Blocks, change: Floats) -> None:
    """Add to `change` what rounding to (n, BLOCK, BLOCK) steps does to a plane of each image."""
    tall, wide = down.into.shape[2], across.into.shape[2]
    half = np.empty((BLOCK, wide), np.float32)
    lost = np.empty((BLOCK, BLOCK), np.float32)
    for image in range(plane.shape[0]):
        for row in range(down.first.shape[0]):
            top, into, back = down.first[row], down.into[row], down.back[row]
            for column in range(across.first.shape[0]):
                left = across.first[column]
                for up in range(BLOCK):
                    for x in range(wide):
                        value = np.float32(0.0)
                        for y in range(tall):
                            value += into[up, y] * plane[image, top + y, left + x]
                        half[up, x] = value
                    for side in range(BLOCK):
                        value = np.float32(0.0)
                        for x in range(wide):
                            value += half[up, x] * across.into[column, side, x]
                        step = steps[image, up, side]
                        lost[up, side] = step * np.rint(value / step) - value
                for up in range(BLOCK):
                    for x in range(wide):
                        value = np.float32(0.0)
                        for side in range(BLOCK):
                            value += lost[up, side] * across.back[column, x, side]
                        half[up, x] = value
                for y in range(tall):
                    for x in range(wide):
                        value = np.float32(0.0)
                        for up in range(BLOCK):
                            value += back[y, up] * half[up, x]
                        change[image, top + y, left + x] += value
