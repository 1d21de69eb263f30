"""Models in millimetres or grams."""

from collections.abc import Iterator

import mujoco
import numpy as np

from simreal.lint.finding import Finding
from simreal.robot_add.posture import placed
from simreal.robot_add.subject import Subject

LARGEST, SMALLEST = 15.0, 0.02
"""m, of a robot from end to end: beyond, millimetres or centimetres are more likely."""
HEAVIEST, LIGHTEST = 5_000.0, 1e-3
"""kg."""
MESH_OVER_ROBOT = 10.0
DENSEST = 1e5
"""kg/m³ of a body, were the boxes around its shapes full: four times osmium. Grams for kilograms put a
link of plastic or aluminium at 3e5 or more."""


def check_size(subject: Subject) -> Iterator[Finding]:
    """Extent and mass of the whole, and meshes that dwarf the frame that carries them."""
    where, mass = str(subject.file.path), float(subject.model.body_mass[1:].sum())
    reach = _reach(subject)
    if not SMALLEST <= reach <= LARGEST and reach > 0.0:
        mend = "lengths in m; scale meshes that are in mm by 0.001"
        yield Finding("warning", "unit", where, f"the robot is {reach:.3g} m from end to end", mend)
    if not LIGHTEST <= mass <= HEAVIEST:
        yield Finding("warning", "unit", where, f"the robot weighs {mass:.3g} kg", "masses in kg")
    yield from _dense_bodies(subject)
    yield from _large_meshes(subject, max(reach, 1e-3))


def _reach(subject: Subject) -> float:
    """m, twice the largest distance of a body from the middle of them all."""
    places = placed(subject.model, subject.qpos).xpos[1:]
    if not len(places):
        return 0.0  # a model without bodies, such as a URDF in an .xml of the wrong root
    return 2.0 * float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())


def _dense_bodies(subject: Subject) -> Iterator[Finding]:
    """Bodies heavier than anything that would fit into them."""
    model = subject.model
    volume = np.zeros(model.nbody)
    np.add.at(volume, model.geom_bodyid, 8.0 * model.geom_aabb[:, 3:].prod(axis=1))
    for body in np.flatnonzero((volume > 0.0) & (model.body_mass > DENSEST * volume)):
        mass = float(model.body_mass[body])
        what = (
            f"{subject.label('body', int(body))} weighs {mass:.3g} kg, {mass / volume[body]:.2g} kg/m³ "
            "of the boxes around its shapes: no material is so dense"
        )
        mend = "masses in kg, lengths in m: 400 g are 0.4"
        yield Finding("warning", "unit", subject.where("body", int(body)), what, mend)


def _large_meshes(subject: Subject, frame: float) -> Iterator[Finding]:
    model = subject.model
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
        if model.body_weldid[model.geom_bodyid[geom]] == 0 or len(model.body_mass) < 4:
            continue
        radius = float(model.geom_rbound[geom])
        if radius > MESH_OVER_ROBOT * frame:
            mesh = model.mesh(int(model.geom_dataid[geom])).name
            what = f"mesh {mesh} is {2 * radius:.3g} m large, on a robot of {frame:.3g} m"
            yield Finding(
                "warning", "unit", subject.where("geom", int(geom)), what, 'scale="0.001 0.001 0.001"'
            )
