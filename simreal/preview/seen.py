"""What a policy sees as episodes begin, as a picture for people."""

import numpy as np
from numpy.typing import NDArray

from simreal.contract import CameraTerm
from simreal.env import BatchEnv
from simreal.episodes import Environment

ACROSS = 6
"""Worlds in a row."""
SHOWN = 128
"""Pixels of a magnified image, at least, where it has fewer."""
GAP = 4
"""Pixels between two."""

Picture = NDArray[np.uint8]


def sheets(env: Environment) -> dict[str, Picture]:
    """Name of a camera to a picture of what it shows in all simulations now."""
    return {term.name: sheet(term, env.images[term.name]) for term in env.contract.cameras}


def held_out_sheets(env: BatchEnv) -> dict[str, Picture]:
    """The same of as many simulations in the held-out visual world; none if there is no such world."""
    if not env.experiment.held_out_visuals:
        return {}
    other = BatchEnv(env.experiment.in_held_out_world(), env.count, env.seed)
    other.reset()
    return sheets(other)


def sheet(term: CameraTerm, images: NDArray[np.uint8]) -> Picture:
    """The newest frame of each of some worlds, side by side and magnified.

    Args:
        term: the camera.
        images: (worlds, channels of all frames, height, width).

    Returns:
        (rows, columns, 3), white between the frames.
    """
    frames = np.moveaxis(images[:, : term.channels], 1, -1)
    frames = np.repeat(frames, 3 // term.channels, axis=-1)
    times = -(-SHOWN // max(term.height, term.width))
    frames = frames.repeat(times, axis=1).repeat(times, axis=2)
    framed = np.pad(frames, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    missing = -len(framed) % min(ACROSS, len(framed))
    framed = np.concatenate([framed, np.full((missing, *framed.shape[1:]), 255, np.uint8)])
    _, height, width, _ = framed.shape
    grid = framed.reshape(-1, min(ACROSS, len(images)), height, width, 3).swapaxes(1, 2)
    return grid.reshape(grid.shape[0] * height, -1, 3)
