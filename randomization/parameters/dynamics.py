"""Parameters of bodies and joints: what the equations of motion are made of."""

from dataclasses import dataclass

import mujoco
import numpy as np

from simreal.physics.interface import Ids
from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Values,
    Write,
    operate,
)
from simreal.randomization.parameters.parts import PARTS
from simreal.randomization.world import World


@dataclass(frozen=True, kw_only=True)
class BodyMass(Parameter):
    """Masses, with inertias in proportion: the shape and the density profile stay."""

    def elements(self, world: World) -> list[str]:
        return [name for name, _ in PARTS["body"](world)]

    def default(self, world: World) -> Values:
        masses: Values = world.physics.model.body_mass[_bodies(world)]
        return masses

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        pseudo, bodies = world.array("inertia.pseudo"), _bodies(world)[elements]

        def write(ids: Ids, values: Values) -> None:
            at = (ids[:, None], bodies)
            before = pseudo[at]
            mass = before[..., 3, 3]
            pseudo[at] = before * (operate(operation, mass, values) / mass)[..., None, None]

        return write


def _bodies(world: World) -> Elements:
    return np.array([row for _, row in PARTS["body"](world)])


DYNAMICS: tuple[Parameter, ...] = (
    BodyMass(
        name="mass",
        unit="kg",
        description="mass of a body, its inertia in proportion",
        operation="scale",
        fields=("inertia.pseudo",),
        lower=mujoco.mjMINVAL,
    ),
    ArrayParameter(
        name="joint_damping",
        unit="N·m·s/rad",
        description="viscous friction of a joint",
        operation="scale",
        fields=("dof_damping",),
        part="dof",
    ),
    ArrayParameter(
        name="joint_frictionloss",
        unit="N·m",
        description="Coulomb friction of a joint",
        operation="scale",
        fields=("dof_frictionloss",),
        part="dof",
    ),
)
