"""What stands around in a picture and touches nothing: objects of all shapes, and a backdrop.

MuJoCo cannot add geoms to a simulation, but it can move, resize, recolour and hide them. So a model gets
as many as there may ever be, before it is compiled:

    spec = mujoco.MjSpec.from_file("arm.xml")
    add_distractors(spec, 6, lower=(-0.5, 0.2, 0.0), upper=(0.5, 0.6, 0.3), size=0.03)
    add_backdrop(spec, distance=3.0)
    model = spec.compile()

A model's own geoms take part, too, if they collide with nothing, are called `distractor...` and belong
to the world. The parameters `distractor_position`, `distractor_size` and `distractor_shown` act on both,
and `geom_colour` on all, the backdrop included.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

DISTRACTOR = "distractor"
BACKDROP = "backdrop"

SHAPES = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
)
PROPORTIONS = (1.0, 0.7, 0.5)
"""Half sizes of a shape, in units of the largest."""
COLOURS = ((0.8, 0.25, 0.2), (0.2, 0.6, 0.3), (0.2, 0.35, 0.8), (0.85, 0.75, 0.2), (0.9, 0.9, 0.9))


def add_distractors(
    spec: mujoco.MjSpec, count: int, lower: Sequence[float], upper: Sequence[float], size: float
) -> None:
    """Put objects of different shapes and colours into the world, called distractor0 and so on.

    Args:
        spec: of a model.
        count: number of them.
        lower: (x, y, z) m, corner of the box in which they stand, spread evenly.
        upper: (x, y, z) m, opposite corner.
        size: m, half the longest side of each.
    """
    places = _spread(count) * np.subtract(upper, lower) + np.asarray(lower)
    for number, place in enumerate(places):
        _add_geom(
            spec,
            f"{DISTRACTOR}{number}",
            SHAPES[number % len(SHAPES)],
            COLOURS[number % len(COLOURS)],
            pos=place,
            size=np.multiply(PROPORTIONS, size),
        )


def add_backdrop(spec: mujoco.MjSpec, distance: float) -> None:
    """Put the world into a box that is seen from inside alone, the geom backdrop.

    A sky belongs to all simulations, a geom's colour to each: this makes a background that can be
    randomized. A lamp that casts shadows must be within, or the walls shade all that it shone on.

    Args:
        spec: of a model.
        distance: m, of the walls, floor and ceiling from the world's origin.
    """
    if np.isnan(spec.stat.extent):
        # How far a camera sees and how fine shadows are follows from the size of all that matters.
        stat = spec.copy().compile().stat
        spec.stat.extent, spec.stat.center = stat.extent, stat.center
    corners, faces = _inward_box()
    spec.add_mesh(
        name=BACKDROP,
        uservert=(distance * corners).ravel(),
        userface=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,  # a volume inside out would be negative
    )
    _add_geom(spec, BACKDROP, mujoco.mjtGeom.mjGEOM_MESH, (0.4, 0.45, 0.5), meshname=BACKDROP)


def _spread(count: int) -> NDArray[np.float64]:
    """(count, 3) points in the unit cube without clusters: the sequence R3 of M. Roberts (2018)."""
    # The real root of x^4 = x + 1 takes the place that the golden ratio has on a line.
    ratio = 1.2207440846057596
    return (0.5 + np.arange(1, count + 1)[:, None] * ratio ** -np.arange(1.0, 4.0)) % 1.0


def _inward_box() -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(8, 3) corners at ±1 and (12, 3) triangles, whose front is where they go round anticlockwise."""
    corners = np.array(
        [[1.0 if corner >> axis & 1 else -1.0 for axis in range(3)] for corner in range(8)]
    )
    faces = []
    for axis in range(3):
        along, across = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        low = [0, across, along + across, along]  # clockwise, seen from where the axis points
        high = [corner + (1 << axis) for corner in low]
        for a, b, c, d in (low[::-1], high):
            faces += [[a, b, c], [a, c, d]]
    return corners, np.array(faces, dtype=np.int32)


def _add_geom(
    spec: mujoco.MjSpec,
    name: str,
    kind: mujoco.mjtGeom,
    colour: tuple[float, float, float],
    **rest: object,
) -> None:
    """A geom of the world that is seen alone; what a default class may have set is set again."""
    spec.worldbody.add_geom(
        name=name,
        type=kind,
        rgba=[*colour, 1.0],
        material="",
        contype=0,
        conaffinity=0,
        mass=0.0,
        group=0,
        **rest,
    )
