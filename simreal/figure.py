"""A robot as lines in space: pictures of motion without OpenGL."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

_SEGMENT_GEOMS = (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER)
_BOX_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b) in (1, 2, 4)]


@dataclass(frozen=True, slots=True)
class WireFigure:
    """Line segments of a model over time.

    Attributes:
        segments: (frames, segments, 2, 3) m, end points in the world.
        colours: (segments,) CSS colours.
    """

    segments: NDArray[np.float64]
    colours: list[str]


def wire_figure(model: mujoco.MjModel, qpos: NDArray[np.float64]) -> WireFigure:
    """Draw (frames, nq) configurations: capsules and cylinders as axes, boxes as edges."""
    data = mujoco.MjData(model)
    parts = _parts(model)
    frames = np.empty((len(qpos), len(parts), 2, 3))
    for frame, configuration in enumerate(qpos):
        data.qpos[:] = configuration
        mujoco.mj_kinematics(model, data)
        for place, (geom, ends) in enumerate(parts):
            rotation = data.geom_xmat[geom].reshape(3, 3)
            frames[frame, place] = data.geom_xpos[geom] + ends @ rotation.T
    return WireFigure(frames, [_colour(model.geom_rgba[geom]) for geom, _ in parts])


def _parts(model: mujoco.MjModel) -> list[tuple[int, NDArray[np.float64]]]:
    """Geom id and the (2, 3) ends of a segment in the geom's frame."""
    parts = []
    for geom in range(model.ngeom):
        size, kind = model.geom_size[geom], mujoco.mjtGeom(int(model.geom_type[geom]))
        if kind in _SEGMENT_GEOMS:
            parts.append((geom, np.array([[0, 0, -size[1]], [0, 0, size[1]]])))
        elif kind == mujoco.mjtGeom.mjGEOM_BOX:
            corners = np.array([[1 if c >> axis & 1 else -1 for axis in range(3)] for c in range(8)])
            parts += [(geom, corners[[a, b]] * size) for a, b in _BOX_EDGES]
    return parts


def _colour(rgba: NDArray[np.float32]) -> str:
    red, green, blue = (int(255 * value) for value in rgba[:3])
    return f"rgb({red},{green},{blue})"
