"""From frames of a camera to what a policy sees: one pipeline for simulation and hardware."""

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import CameraTerm
from simreal.state import Ids

Frames = NDArray[Any]
Images = Mapping[str, NDArray[np.uint8]]
"""Name of a camera to (..., channels of all frames, height, width), the newest frame first."""

NO_IMAGES: Images = {}
"""Of a policy without cameras."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green, blue in grey: ITU-R BT.601."""


class ImagePipeline:
    """Turns frames into what a policy sees, and remembers the last ones.

    Attributes:
        terms: name to camera.
        images: name to (..., channels of all frames, height, width), live.
    """

    def __init__(self, terms: Iterable[CameraTerm], batch_shape: tuple[int, ...] = ()) -> None:
        """Prepare for arrays that lead with `batch_shape`."""
        self.terms = {term.name: term for term in terms}
        self.images = {
            name: np.zeros((*batch_shape, *term.shape), np.uint8) for name, term in self.terms.items()
        }

    def begin(self, name: str, frames: Frames, ids: Ids | EllipsisType = ...) -> None:
        """See the first frames of new episodes, as if all before had been the same.

        Args:
            name: of the camera.
            frames: (..., rows, columns, 3) red, green, blue from 0 to 255 of any size; of depth
                (..., rows, columns) m, infinite or not a number where there is nothing.
            ids: the rows of a one-dimensional batch.
        """
        frame = prepared(frames, self.terms[name])
        self.images[name][ids] = np.concatenate([frame] * self.terms[name].stack, axis=-3)

    def push(self, name: str, frames: Frames, ids: Ids | EllipsisType = ...) -> None:
        """See later frames; the oldest are forgotten."""
        term, seen = self.terms[name], self.images[name]
        frame = prepared(frames, term)
        if term.stack > 1:
            before = seen[ids][..., : -term.channels, :, :]
            frame = np.concatenate([frame, before], axis=-3)
        seen[ids] = frame


def prepared(frames: Frames, term: CameraTerm) -> NDArray[np.uint8]:
    """(..., channels, height, width) of (..., rows, columns, 3) frames, or of (..., rows, columns)."""
    if term.kind == "depth":
        frames = np.where(np.isfinite(frames), frames, term.far)[..., None]
        frames = (frames - term.near) * (255.0 / (term.far - term.near))
    elif term.kind == "grey":
        frames = (frames.astype(np.float32) @ LUMA)[..., None]
    frames = shrunk(frames, term.height, term.width)
    if frames.dtype != np.uint8:
        frames = np.rint(np.clip(frames, 0.0, 255.0)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(frames, -1, -3))


def shrunk(frames: Frames, height: int, width: int) -> Frames:
    """The middle of (..., rows, columns, channels) frames: means of what each new pixel covers.

    What is cut off lies left and right, or above and below, so that nothing is stretched.
    """
    rows, columns = frames.shape[-3:-1]
    if (rows, columns) == (height, width):
        return frames
    (top, cut_rows), (left, cut_columns) = middle(rows, columns, height, width)
    kept = frames[..., top : top + cut_rows, left : left + cut_columns, :].astype(np.float32)
    down, across = _weights(cut_rows, height), _weights(cut_columns, width)
    small: Frames = np.einsum("ij,...jkc,lk->...ilc", down, kept, across, optimize=True)
    return small


def middle(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the middle of a frame, of the shape of a height and a width, begins, and its size.

    Returns:
        Down, then across.
    """
    cut_rows = min(rows, round(columns * height / width))
    cut_columns = min(columns, round(rows * width / height))
    return ((rows - cut_rows) // 2, cut_rows), ((columns - cut_columns) // 2, cut_columns)


def covered(size: int, wanted: int) -> NDArray[np.float64]:
    """(wanted, size) how much of each old pixel each new one covers."""
    edges = np.linspace(0.0, size, wanted + 1)
    old = np.arange(size)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    amount: NDArray[np.float64] = np.maximum(overlap, 0.0)
    return amount


def _weights(size: int, wanted: int) -> NDArray[np.float32]:
    """(wanted, size) share of each old pixel in each new one."""
    share = covered(size, wanted)
    weights: NDArray[np.float32] = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights
