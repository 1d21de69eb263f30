"""Links whose length can be drawn: the body, what is attached to it, and the shapes along it.

A link stays where its joint is and lengthens from there. Shapes that lie along it grow; meshes, and
shapes across or askew, move along but keep their size. Cameras, lights and the anchors of equality
constraints on it stay where they are.
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.physics.interface import Physics
from simreal.state import FloatArray, Ids


@dataclass(frozen=True, slots=True)
class Link:
    """A body with a length that can change.

    Attributes:
        body: its id.
        anchor: (3,) m, the point in its frame that stays: where its joint is.
        direction: (3,) unit vector in its frame, from there: to the joint of the body that it carries,
            or to its own centre of mass if it carries none.
        attached: fields of positions in its frame, with the ids of what moves with its length, and the
            (n, 3) points that the lengthening moves.
        aligned: geoms that lie along it, with the index of the size that grows.
    """

    body: int
    anchor: FloatArray
    direction: FloatArray
    attached: list[tuple[str, NDArray[np.int64], FloatArray]]
    aligned: list[tuple[int, int]]


def find_links(model: mujoco.MjModel) -> list[Link]:
    """The bodies of which it is clear what their length is: with one child, or with none."""
    links = []
    for body in range(1, model.nbody):
        children = np.flatnonzero(model.body_parentid == body)
        if len(children) > 1 or model.body_mass[body] == 0:
            continue
        anchor = _joint_place(model, body)
        joints = np.array([_place_in_parent(model, int(child)) for child in children]).reshape(-1, 3)
        along = (joints[0] if len(children) else model.body_ipos[body]) - anchor
        length = float(np.linalg.norm(along))
        if length == 0.0:
            continue
        direction = along / length
        geoms = np.flatnonzero(model.geom_bodyid == body)
        sites = np.flatnonzero(model.site_bodyid == body)
        attached = [
            ("body_pos", children, joints),
            ("geom_pos", geoms, model.geom_pos[geoms]),
            ("site_pos", sites, model.site_pos[sites]),
        ]
        aligned = [found for geom in geoms if (found := _long_side(model, int(geom), direction))]
        links.append(Link(body, anchor, direction, [each for each in attached if each[1].size], aligned))
    return links


def _joint_place(model: mujoco.MjModel, body: int) -> FloatArray:
    """(3,) m, of a body's first joint in its frame; its origin if it has none."""
    first = model.body_jntadr[body]
    return model.jnt_pos[first].copy() if first >= 0 else np.zeros(3)


def _place_in_parent(model: mujoco.MjModel, body: int) -> FloatArray:
    """(3,) m, of a body's joint in its parent's frame."""
    turned = Rotation.from_quat(np.roll(model.body_quat[body], -1)).apply(_joint_place(model, body))
    place: FloatArray = model.body_pos[body] + turned
    return place


def _long_side(model: mujoco.MjModel, geom: int, direction: FloatArray) -> tuple[int, int] | None:
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


def along_links(links: list[Link], length: FloatArray) -> FloatArray:
    """(n, bodies, 3, 3) linear maps that lengthen each link along itself, by (n, bodies) ratios."""
    maps = np.broadcast_to(np.eye(3), (*length.shape, 3, 3)).copy()
    for link in links:
        outer = np.outer(link.direction, link.direction)
        maps[:, link.body] += (length[:, link.body, None, None] - 1.0) * outer
    return maps


def lengthen(physics: Physics, links: list[Link], ids: Ids, length: FloatArray) -> None:
    """Move what is attached to the links, and lengthen their shapes, by (len(ids), bodies) ratios."""
    growth = along_links(links, length) - np.eye(3)
    for link in links:
        for name, members, points in link.attached:
            moved = (growth[:, None, link.body] @ (points - link.anchor)[..., None])[..., 0]
            physics.field(name)[ids[:, None], members] = getattr(physics.model, name)[members] + moved
        for geom, axis in link.aligned:
            size = physics.model.geom_size[geom, axis] * length[:, link.body]
            physics.field("geom_size")[ids, geom, axis] = size
