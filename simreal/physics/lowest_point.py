"""How far down a model reaches: to stand a robot on the ground, and to find what is sunk in it."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.layout import mesh_vertices


def touching_geoms(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Geoms of moving bodies that can touch something, or all of them if none can."""
    moving = model.body_weldid[model.geom_bodyid] != 0
    touching = moving & ((model.geom_contype | model.geom_conaffinity) != 0)
    return np.flatnonzero(touching if touching.any() else moving)


def lowest_point(model: mujoco.MjModel, data: mujoco.MjData, geoms: NDArray[np.int64]) -> float:
    """Height in m of the lowest point of some geoms, at a pose for which kinematics have run.

    Returns:
        Infinity without geoms.
    """
    return min((_lowest(model, data, int(geom)) for geom in geoms), default=np.inf)


def _lowest(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> float:
    """A shape's support point along -z: each kind's extent along the third row of its rotation."""
    row, size = data.geom_xmat[geom].reshape(3, 3)[2], model.geom_size[geom]
    centre, kind = float(data.geom_xpos[geom, 2]), mujoco.mjtGeom(int(model.geom_type[geom]))
    match kind:
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            return centre - float(size[0])
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return centre - float(size[0] + abs(row[2]) * size[1])
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            across = np.sqrt(max(0.0, 1.0 - row[2] ** 2))
            return centre - float(size[0] * across + abs(row[2]) * size[1])
        case mujoco.mjtGeom.mjGEOM_BOX:
            return centre - float(np.abs(row) @ size)
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return centre - float(np.linalg.norm(row * size))
        case mujoco.mjtGeom.mjGEOM_MESH:
            return centre + float((mesh_vertices(model, geom) @ row).min())
    return np.inf  # planes and height fields are what others stand on
