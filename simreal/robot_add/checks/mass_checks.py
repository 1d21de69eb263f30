"""Masses that nobody weighed: shapes that a compiler took for blocks of water."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simreal.lint.finding import Finding
from simreal.robot_add.posture import loose_bodies
from simreal.robot_add.subject import Subject

WATER = 1000.0
"""kg/m³, MuJoCo's density of a geom for which nobody says another."""


def check_masses(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    yield from _of_massless_links(subject)
    yield from _of_water(subject)
    yield from _counted_twice(subject)


def _of_massless_links(subject: Subject) -> Iterator[Finding]:
    """Links of a URDF whose shapes other compilers gave a mass: public Go2 calves are 25 % too heavy."""
    for name in subject.massless:
        what = f"link {name} has shapes and no <inertial>: MuJoCo would give them {WATER:g} kg/m³"
        mend = "an <inertial>, if it weighs something; the copy gives its shapes no mass"
        yield Finding("warning", "mass", _line_of_link(subject, name), what, mend)


def _line_of_link(subject: Subject, name: str) -> str:
    body = next((each for each in subject.file.spec.bodies if each.name == name), None)
    return str(subject.file.path) if body is None else subject.file.where(body)


def _of_water(subject: Subject) -> Iterator[Finding]:
    """Bodies that nobody weighed, in a model in which others were; of the robot, without its scene."""
    still = {0, *loose_bodies(subject.model)}
    root = subject.model.body_weldid
    moving = [body for body in subject.file.spec.bodies if root[body.id] not in still]
    weighed = [body for body in moving if body.explicitinertial or _is_weighed(body)]
    guessed = [body for body in moving if not body.explicitinertial and _is_water(body)]
    for body in guessed:
        mass = float(subject.model.body_mass[body.id])
        if not weighed or mass <= 0.0:
            continue
        what = f"body {body.name} weighs {mass:.3g} kg: its shapes are taken for water, {WATER:g} kg/m³"
        mend = "an <inertial> as the other bodies have, or mass or density on its geoms"
        yield Finding("warning", "mass", subject.file.where(body), what, mend)
    if guessed and not weighed:
        total = float(subject.model.body_mass[[body.id for body in guessed]].sum())
        what = f"no body has an <inertial>: all {total:.3g} kg come from shapes taken for water"
        mend = "masses and inertias from CAD or a scale"
        yield Finding("warning", "mass", subject.file.where(guessed[0]), what, mend)


def _is_water(body: Any) -> bool:
    return bool(_heavy(body)) and not _is_weighed(body)


def _is_weighed(body: Any) -> bool:
    """Whether somebody gave a shape of it a mass or a density."""
    return any(geom.density != WATER or not np.isnan(geom.mass) for geom in _heavy(body))


def _heavy(body: Any) -> list[Any]:
    """Its shapes that have a mass."""
    return [each for each in body.geoms if each.mass > 0 or (np.isnan(each.mass) and each.density > 0)]


def _counted_twice(subject: Subject) -> Iterator[Finding]:
    """Bodies of which both the shapes that touch and the shapes that are only seen have a mass."""
    model = subject.model
    for body in subject.file.spec.bodies:
        if body.explicitinertial or model.body_weldid[body.id] == 0:
            continue
        heavy = _heavy(body)
        seen = [each for each in heavy if not each.contype and not each.conaffinity]
        if seen and len(seen) < len(heavy):
            what = (
                f"body {body.name} weighs both its {len(seen)} shapes for the eye and those that touch"
            )
            mend = 'mass="0" on what is only seen'
            yield Finding("warning", "mass", subject.file.where(seen[0]), what, mend)
