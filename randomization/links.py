"""Links whose length can be drawn: the body, what is attached to it, and the shapes along it."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.physics.interface import Ids, Physics

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Link:
    """A body with a length that can change.

    Attributes:
        body: its id.
        direction: (3,) unit vector in its frame: to the body that it carries, or to its own centre of
            mass if it carries none.
        attached: positions in its frame by field name: the ids of what moves with its length.
        aligned: geoms that lie along it, with the index of the size that grows.
    """

    body: int
    direction: Values
    attached: dict[str, NDArray[np.int64]]
    aligned: list[tuple[int, int]]


def find_links(model: mujoco.MjModel) -> list[Link]:
    """The bodies of which it is clear what their length is: with one child, or with none."""
    links = []
    for body in range(1, model.nbody):
        children = np.flatnonzero(model.body_parentid == body)
        if len(children) > 1 or model.body_mass[body] == 0:
            continue
        along = model.body_pos[children[0]] if len(children) else model.body_ipos[body]
        length = float(np.linalg.norm(along))
        if length == 0.0:
            continue
        direction = along / length
        geoms = np.flatnonzero(model.geom_bodyid == body)
        attached = {
            "body_pos": children,
            "geom_pos": geoms,
            "site_pos": np.flatnonzero(model.site_bodyid == body),
        }
        aligned = [found for geom in geoms if (found := _long_side(model, int(geom), direction))]
        links.append(Link(body, direction, {k: v for k, v in attached.items() if v.size}, aligned))
    return links


def _long_side(model: mujoco.MjModel, geom: int, direction: Values) -> tuple[int, int] | None:
    """The geom and which of its sizes lies along a direction, if one does."""
    local = Rotation.from_quat(np.roll(model.geom_quat[geom], -1)).inv().apply(direction)
    axis = int(np.abs(local).argmax())
    if abs(local[axis]) < 1.0 - 1e-6:
        return None
    match mujoco.mjtGeom(model.geom_type[geom]):
        case mujoco.mjtGeom.mjGEOM_CAPSULE | mujoco.mjtGeom.mjGEOM_CYLINDER if axis == 2:
            return geom, 1
        case mujoco.mjtGeom.mjGEOM_BOX | mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return geom, axis
    return None


def along_links(links: list[Link], length: Values) -> Values:
    """(n, bodies, 3, 3) linear maps that lengthen each link along itself, by (n, bodies) ratios."""
    maps = np.broadcast_to(np.eye(3), (*length.shape, 3, 3)).copy()
    for link in links:
        outer = np.outer(link.direction, link.direction)
        maps[:, link.body] += (length[:, link.body, None, None] - 1.0) * outer
    return maps


def lengthen(physics: Physics, links: list[Link], ids: Ids, length: Values) -> None:
    """Move what is attached to the links, and lengthen their shapes, by (len(ids), bodies) ratios."""
    maps = along_links(links, length)
    for link in links:
        for name, members in link.attached.items():
            compiled = getattr(physics.model, name)[members]
            moved = (maps[:, None, link.body] @ compiled[..., None])[..., 0]
            physics.field(name)[ids[:, None], members] = moved
        for geom, axis in link.aligned:
            size = physics.model.geom_size[geom, axis] * length[:, link.body]
            physics.field("geom_size")[ids, geom, axis] = size
