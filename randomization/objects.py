"""Loose objects whose size can be drawn, such as a cube to pick up: their shapes and what is on them."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.interface import Physics
from simreal.physics.layout import free_joints
from simreal.state import FloatArray, Ids

SIZED = (
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX,
)


@dataclass(frozen=True, slots=True)
class LooseObject:
    """A body that hangs on nothing and carries none.

    Attributes:
        body: its id.
        geoms: ids of its shapes.
        sites: ids of its sites, which move along and keep their size.
    """

    body: int
    geoms: NDArray[np.int64]
    sites: NDArray[np.int64]


def find_objects(model: mujoco.MjModel) -> list[LooseObject]:
    """The bodies whose size can be drawn; a mesh has none to change."""
    found = []
    for body in free_joints(model).bodies:
        geoms = np.flatnonzero(model.geom_bodyid == body)
        if (model.body_parentid == body).any() or not np.isin(model.geom_type[geoms], SIZED).all():
            continue
        found.append(LooseObject(int(body), geoms, np.flatnonzero(model.site_bodyid == body)))
    return found


def resize(physics: Physics, objects: list[LooseObject], ids: Ids, size: FloatArray) -> None:
    """Give the shapes of objects (len(ids), bodies) times their compiled size, about their frames."""
    for each in objects:
        ratio = size[:, each.body, None, None]
        for name, members in (
            ("geom_size", each.geoms),
            ("geom_pos", each.geoms),
            ("site_pos", each.sites),
        ):
            if members.size:
                compiled = getattr(physics.model, name)[members]
                physics.field(name)[ids[:, None], members] = ratio * compiled
