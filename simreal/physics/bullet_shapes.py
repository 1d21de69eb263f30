"""From a geom to a collision shape of Bullet."""

from typing import Any

import mujoco
import numpy as np
import pybullet

from simreal.errors import UserError
from simreal.physics.layout import mesh_vertices
from simreal.state import FloatArray

HULL_POINTS = 200
"""Of an ellipsoid, which Bullet does not have."""


def make_shape(
    client: int, model: mujoco.MjModel, geom: int, size: FloatArray
) -> tuple[int, FloatArray]:
    """Make a collision shape.

    Args:
        client: of Bullet.
        model: with the geom's kind, and its mesh or height field.
        geom: its id.
        size: (3,) m, as MuJoCo means it for this kind.

    Returns:
        The shape's id, and the (3,) m by which it must be moved in the geom's frame.
    """
    made = pybullet.createCollisionShape(
        **_parameters(model, geom, [float(value) for value in size]), physicsClientId=client
    )
    return int(made), _shift(model, geom)


def _parameters(model: mujoco.MjModel, geom: int, size: list[float]) -> dict[str, Any]:
    kind = mujoco.mjtGeom(model.geom_type[geom])
    match kind:
        case mujoco.mjtGeom.mjGEOM_PLANE:
            return {"shapeType": pybullet.GEOM_PLANE, "planeNormal": [0.0, 0.0, 1.0]}
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            return {"shapeType": pybullet.GEOM_SPHERE, "radius": size[0]}
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            long = {"radius": size[0], "height": 2.0 * size[1]}
            return {"shapeType": pybullet.GEOM_CAPSULE, **long}
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            long = {"radius": size[0], "height": 2.0 * size[1]}
            return {"shapeType": pybullet.GEOM_CYLINDER, **long}
        case mujoco.mjtGeom.mjGEOM_BOX:
            return {"shapeType": pybullet.GEOM_BOX, "halfExtents": size}
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return _hull(_sphere_points() * size)
        case mujoco.mjtGeom.mjGEOM_MESH:
            return _hull(mesh_vertices(model, geom))
        case mujoco.mjtGeom.mjGEOM_HFIELD:
            return _height_field(model, int(model.geom_dataid[geom]))
    shape = kind.name.removeprefix("mjGEOM_").lower()
    raise UserError(f"geom {model.geom(geom).name}: engine bullet has no shape {shape}")


def _hull(points: FloatArray) -> dict[str, Any]:
    return {"shapeType": pybullet.GEOM_MESH, "vertices": points.tolist()}


def _sphere_points() -> FloatArray:
    """(HULL_POINTS, 3) points spread evenly over the unit sphere along a golden spiral."""
    index = np.arange(HULL_POINTS) + 0.5
    height = 1.0 - 2.0 * index / HULL_POINTS
    around = np.pi * (1.0 + np.sqrt(5.0)) * index
    across = np.sqrt(1.0 - height**2)
    return np.stack((across * np.cos(around), across * np.sin(around), height), axis=-1)


def _heights(model: mujoco.MjModel, field: int) -> FloatArray:
    """(rows along y, columns along x) m above the geom."""
    rows, across = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    first = int(model.hfield_adr[field])
    data = model.hfield_data[first : first + rows * across].reshape(rows, across)
    heights: FloatArray = data.astype(np.float64) * model.hfield_size[field, 2]
    return heights


def _height_field(model: mujoco.MjModel, field: int) -> dict[str, Any]:
    heights = _heights(model, field)
    rows, across = heights.shape
    half_x, half_y = model.hfield_size[field, :2]
    return {
        "shapeType": pybullet.GEOM_HEIGHTFIELD,
        "meshScale": [2.0 * half_x / (across - 1), 2.0 * half_y / (rows - 1), 1.0],
        "heightfieldData": heights.ravel().tolist(),
        "numHeightfieldRows": across,
        "numHeightfieldColumns": rows,
    }


def _shift(model: mujoco.MjModel, geom: int) -> FloatArray:
    """Bullet puts a height field's origin halfway between its lowest and its highest point."""
    shift = np.zeros(3)
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_HFIELD:
        heights = _heights(model, int(model.geom_dataid[geom]))
        shift[2] = 0.5 * (heights.min() + heights.max())
    return shift
