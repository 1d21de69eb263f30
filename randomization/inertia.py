"""Inertias of bodies as pseudo-inertia matrices, in which every change stays physical.

The pseudo-inertia of a body is the 4x4 matrix of its mass (last element), first moments (last column)
and second moments (upper left) about the origin of the body's frame. It belongs to a distribution of
positive masses if and only if it is positive semi-definite (Wensing, Kim and Slotine, IEEE RA-L 2018).
So a sum of such matrices, and U J U' for any U, is physical again: that is how parameters change it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.physics.interface import Ids, Physics
from simreal.randomization.quantities import Quantities

Values = NDArray[np.float64]

FLATTEST = 1e-9
"""Second moments below this share of the largest are raised to it: rounding may make them negative."""
UNCHANGED = 1e-12


class Inertia:
    """Masses, centres of mass and inertias of all bodies.

    Attributes:
        quantities: ``pseudo`` (count, bodies, 4, 4), kg, kg·m and kg·m².
    """

    def __init__(self, physics: Physics) -> None:
        """Start from the compiled inertias."""
        self._physics = physics
        model = physics.model
        self._default = pseudo_inertia(
            model.body_mass, model.body_ipos, model.body_iquat, model.body_inertia
        )
        self.quantities = Quantities(physics.count, {"pseudo": self._default})

    def settle(self, ids: Ids) -> None:
        """Write mass, centre of mass and principal inertias of some simulations into the model."""
        pseudo = self.quantities.get("pseudo")
        if pseudo is None:
            return
        model, field = self._physics.model, self._physics.field
        after, before = pseudo[ids], self._default
        mass = after[..., 3, 3]
        field("body_mass")[ids] = mass
        ratio = mass / np.where(model.body_mass > 0, model.body_mass, 1.0)
        field("body_inertia")[ids] = model.body_inertia * ratio[..., None]
        # Where only the mass has changed, the frame stays as compiled.
        reshaped = np.abs(after - before * ratio[..., None, None]).max(axis=(2, 3))
        rows, bodies = np.nonzero(reshaped > UNCHANGED * np.abs(before).max(axis=(1, 2)))
        if rows.size:
            at = (ids[rows], bodies)
            _, centre, frame, inertia = principal(after[rows, bodies])
            field("body_ipos")[at] = centre
            field("body_iquat")[at] = frame
            field("body_inertia")[at] = inertia


def pseudo_inertia(mass: Values, centre: Values, frame: Values, inertia: Values) -> Values:
    """Pseudo-inertias from MuJoCo's fields.

    Args:
        mass: (...) kg.
        centre: (..., 3) m, of the mass, in the body's frame.
        frame: (..., 4) quaternion (w, x, y, z) of the principal axes.
        inertia: (..., 3) kg·m², principal, about the centre.

    Returns:
        (..., 4, 4).
    """
    axes = Rotation.from_quat(np.roll(frame, -1, axis=-1)).as_matrix()
    moments = 0.5 * inertia.sum(axis=-1, keepdims=True) - inertia
    second = (axes * moments[..., None, :]) @ np.swapaxes(axes, -1, -2)
    pseudo = np.empty((*np.shape(mass), 4, 4))
    first = mass[..., None] * centre
    pseudo[..., :3, :3] = second + first[..., :, None] * centre[..., None, :]
    pseudo[..., :3, 3] = pseudo[..., 3, :3] = first
    pseudo[..., 3, 3] = mass
    return pseudo


def principal(pseudo: Values) -> tuple[Values, Values, Values, Values]:
    """Mass, centre, frame and principal inertias: the reverse of `pseudo_inertia`, for masses > 0."""
    mass = pseudo[..., 3, 3]
    centre = pseudo[..., :3, 3] / mass[..., None]
    second = pseudo[..., :3, :3] - mass[..., None, None] * centre[..., :, None] * centre[..., None, :]
    moments, axes = np.linalg.eigh(second)
    moments = np.maximum(moments, FLATTEST * moments[..., -1:])
    axes[..., 0] *= np.sign(np.linalg.det(axes))[..., None]
    rotation = Rotation.from_matrix(axes.reshape(-1, 3, 3)).as_quat().reshape(*mass.shape, 4)
    inertia = np.stack(
        (
            moments[..., 1] + moments[..., 2],
            moments[..., 0] + moments[..., 2],
            moments[..., 0] + moments[..., 1],
        ),
        axis=-1,
    )
    return mass, centre, np.roll(rotation, 1, axis=-1), inertia


def stretched(pseudo: Values, by: Values) -> Values:
    """U J U' for an affine map U of space, (..., 4, 4): the masses are carried along by it."""
    moved: Values = by @ pseudo @ np.swapaxes(by, -1, -2)
    return moved
