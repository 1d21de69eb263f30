"""Masses, centres of mass and inertias of bodies, changed only in ways that masses allow.

An inertia is physical if and only if it is that of a distribution of positive masses. So nothing here
changes an inertia itself: mass is made heavier, carried along by a linear map of space, or added at a
point. What follows from that is physical by construction; in the terms of Wensing, Kim and Slotine
(IEEE RA-L 2018), the pseudo-inertia stays positive definite.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from simreal.physics.interface import Physics
from simreal.randomization.links import along_links, find_links, lengthen
from simreal.randomization.objects import find_objects, resize
from simreal.randomization.quantities import Quantities
from simreal.state import FloatArray, Ids

FLATTEST = 1e-9
"""Second moments below this share of the largest are raised to it: rounding may make them negative."""


@dataclass(slots=True)
class Masses:
    """Distributions of mass, as far as a rigid body feels them.

    Attributes:
        mass: (...) kg.
        centre: (..., 3) m, in the body's frame.
        moments: (..., 3, 3) kg·m², second moments about the centre, along the axes of the body.
    """

    mass: FloatArray
    centre: FloatArray
    moments: FloatArray

    def stretch(self, by: FloatArray) -> None:
        """Map space linearly, (..., 3, 3), about the centre: every mass is carried along."""
        self.moments = by @ self.moments @ np.swapaxes(by, -1, -2)

    def carried_along(self, by: FloatArray, about: FloatArray) -> None:
        """Map space linearly, (..., 3, 3), about (..., 3) points in the body's frame."""
        self.stretch(by)
        # As an addition: a map that is the identity must not change a single bit.
        self.centre = self.centre + ((by - np.eye(3)) @ (self.centre - about)[..., None])[..., 0]

    def add_point(self, mass: FloatArray, position: FloatArray) -> None:
        """Add (...) kg at (..., 3) m."""
        total = self.mass + mass
        share = (mass / np.where(total > 0, total, 1.0))[..., None]
        apart = position - self.centre
        reduced = (self.mass[..., None] * share)[..., None]
        self.moments = self.moments + reduced * apart[..., :, None] * apart[..., None, :]
        self.centre = self.centre + share * apart
        self.mass = total


def masses_of(mass: FloatArray, centre: FloatArray, frame: FloatArray, inertia: FloatArray) -> Masses:
    """The masses that MuJoCo's fields stand for.

    Args:
        mass: (...) kg.
        centre: (..., 3) m.
        frame: (..., 4) quaternion (w, x, y, z) of the principal axes.
        inertia: (..., 3) kg·m², principal, about the centre.
    """
    axes = Rotation.from_quat(np.roll(frame, -1, axis=-1)).as_matrix()
    moments = 0.5 * inertia.sum(axis=-1, keepdims=True) - inertia
    return Masses(mass, centre, (axes * moments[..., None, :]) @ np.swapaxes(axes, -1, -2))


def principal(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Principal axes and inertias of second moments about the centre.

    Args:
        moments: (n, 3, 3) kg·m².

    Returns:
        (n, 4) quaternions (w, x, y, z) of the axes, and (n, 3) inertias about them, kg·m².
    """
    along, axes = np.linalg.eigh(moments)
    along = np.maximum(along, FLATTEST * along[:, -1:])
    axes[..., 0] *= np.sign(np.linalg.det(axes))[:, None]  # a rotation, no reflection
    frame = np.roll(Rotation.from_matrix(axes).as_quat(), 1, axis=-1)
    return frame, along[:, [1, 0, 0]] + along[:, [2, 2, 1]]


class Inertia:
    """The masses of all bodies of `count` simulated robots, and the lengths of their links.

    Attributes:
        links: the bodies whose length can be drawn.
        objects: the bodies whose size can be drawn.
        quantities: per simulation and body, written by randomization at each reset:
            ``mass`` kg, which scales the inertia along.
            ``centre_offset`` (3,) m, of the centre of mass from where it was compiled.
            ``stretch`` (3,) by how much the masses lie further from their centre along each axis of
            the body; 1 as compiled.
            ``shear`` (3,) by how much x is sheared along y, x along z, and y along z.
            ``payload_mass`` kg, ``payload_position`` (3,) m in the body's frame: a point mass.
            ``link_length`` ratio to the compiled length, along the link.
            ``object_size`` ratio to the compiled size, in all directions; the density stays.
        They act in this order: mass, size, length, stretch and shear, offset, payload.
    """

    def __init__(self, physics: Physics) -> None:
        """Start from the compiled inertias."""
        self._physics = physics
        model = physics.model
        self._compiled = masses_of(
            model.body_mass, model.body_ipos, model.body_iquat, model.body_inertia
        )
        self.links = find_links(physics.model)
        self.objects = find_objects(physics.model)
        bodies = model.nbody
        self._anchors = np.zeros((bodies, 3))
        for link in self.links:
            self._anchors[link.body] = link.anchor
        self.quantities = Quantities(
            physics.count,
            {
                "mass": model.body_mass.copy(),
                "centre_offset": np.zeros((bodies, 3)),
                "stretch": np.ones((bodies, 3)),
                "shear": np.zeros((bodies, 3)),
                "payload_mass": np.zeros(bodies),
                "payload_position": model.body_ipos.copy(),
                "link_length": np.ones(bodies),
                "object_size": np.ones(bodies),
            },
        )

    def settle(self, ids: Ids) -> None:
        """Write into the model what follows from the quantities of some simulations."""
        if not self.quantities.names:
            return
        masses = self._randomized(ids)
        model, field = self._physics.model, self._physics.field
        field("body_mass")[ids] = masses.mass
        ratio = masses.mass / np.where(model.body_mass > 0, model.body_mass, 1.0)
        field("body_inertia")[ids] = model.body_inertia * ratio[..., None]
        if self.quantities.names == {"mass"}:
            return  # the axes stay as compiled
        field("body_ipos")[ids] = masses.centre
        changed = masses.moments != self._compiled.moments * ratio[..., None, None]
        rows, bodies = np.nonzero(changed.any(axis=(2, 3)) & (masses.mass > 0))
        field("body_iquat")[ids] = model.body_iquat
        if rows.size:
            at = (ids[rows], bodies)
            field("body_iquat")[at], field("body_inertia")[at] = principal(masses.moments[rows, bodies])
        if (length := self.quantities.get("link_length")) is not None:
            lengthen(self._physics, self.links, ids, length[ids])
        if (size := self.quantities.get("object_size")) is not None:
            resize(self._physics, self.objects, ids, size[ids])

    def _randomized(self, ids: Ids) -> Masses:
        """(len(ids), bodies) masses, after all that was drawn for them."""
        of, compiled = self.quantities, self._compiled
        mass = np.broadcast_to(compiled.mass, (len(ids), len(compiled.mass)))
        if (given := of.get("mass")) is not None:
            mass = given[ids]
        if (size := of.get("object_size")) is not None:
            mass = mass * size[ids] ** 3
        ratio = mass / np.where(compiled.mass > 0, compiled.mass, 1.0)
        masses = Masses(mass, compiled.centre, compiled.moments * ratio[..., None, None])
        if size is not None:
            masses.carried_along(size[ids][..., None, None] * np.eye(3), np.zeros(3))
        if (length := of.get("link_length")) is not None:
            masses.carried_along(along_links(self.links, length[ids]), self._anchors)
        if "stretch" in of.names or "shear" in of.names:
            masses.stretch(_triangular(of["stretch"][ids], of["shear"][ids]))
        if (offset := of.get("centre_offset")) is not None:
            masses.centre = masses.centre + offset[ids]
        if (payload := of.get("payload_mass")) is not None:
            masses.add_point(payload[ids], of["payload_position"][ids])
        return masses


def _triangular(stretch: FloatArray, shear: FloatArray) -> FloatArray:
    """(..., 3, 3) maps with stretches on the diagonal and shears above it."""
    maps = np.zeros((*stretch.shape, 3))
    maps[..., [0, 1, 2], [0, 1, 2]] = stretch
    maps[..., [0, 0, 1], [1, 2, 2]] = shear
    return maps
