"""Parameters of bodies, joints, contacts and the world around: what the equations of motion are of."""

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Write,
    operate,
)
from simreal.randomization.world import World
from simreal.state import FloatArray, Ids

XYZ = ("x", "y", "z")
FLATTEST_STRETCH = 0.1
"""A body of a tenth of its thickness is another body."""


@dataclass(frozen=True, kw_only=True)
class FloorSlope(Parameter):
    """The direction of gravity, which is what a slope of the whole world amounts to.

    The floor is turned by the right-hand rule: +a about x raises the side of +y, +a about y lowers that
    of +x. It is turned about x first, then about its own y; entries that turn it one by one do so in
    the order of the configuration. Gravity that is drawn as well counts along the axes of the floor if
    its entry comes later, and along those of the world if it comes before.
    """

    def elements(self, world: World) -> list[str]:
        return ["x", "y"]

    def default(self, world: World) -> FloatArray:
        return np.zeros(2)

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        gravity = world.array("opt.gravity")

        def write(ids: Ids, values: FloatArray) -> None:
            angles = operate(operation, np.zeros_like(values), values)
            for column, axis in enumerate(elements):
                about = np.zeros((len(ids), 3))
                about[:, axis] = -angles[:, column]  # as seen from the floor
                gravity[ids] = Rotation.from_rotvec(about).apply(gravity[ids])

        return write


BODIES: tuple[Parameter, ...] = (
    ArrayParameter(
        name="mass",
        unit="kg",
        description="mass of a body, its inertia in proportion",
        operation="scale",
        fields=("inertia.mass",),
        part="body",
        lower=mujoco.mjMINVAL,
    ),
    ArrayParameter(
        name="centre_of_mass",
        unit="m",
        description="offset of a body's centre of mass along an axis of the body",
        operation="absolute",
        fields=("inertia.centre_offset",),
        part="body",
        axes=XYZ,
        lower=None,
    ),
    ArrayParameter(
        name="inertia_stretch",
        unit="1",
        description="how far a body's masses lie from their centre along an axis of the body",
        operation="scale",
        fields=("inertia.stretch",),
        part="body",
        axes=XYZ,
        lower=FLATTEST_STRETCH,
    ),
    ArrayParameter(
        name="inertia_shear",
        unit="1",
        description="how much a body's masses are sheared: turns and skews the principal axes",
        operation="absolute",
        fields=("inertia.shear",),
        part="body",
        axes=("xy", "xz", "yz"),
        lower=None,
    ),
    ArrayParameter(
        name="payload_mass",
        unit="kg",
        description="mass of a point load that is fixed to a body",
        operation="absolute",
        fields=("inertia.payload_mass",),
        part="body",
    ),
    ArrayParameter(
        name="payload_position",
        unit="m",
        description="where the payload is in the body's frame; added, from the compiled centre of mass",
        operation="add",
        fields=("inertia.payload_position",),
        part="body",
        axes=XYZ,
        lower=None,
    ),
    ArrayParameter(
        name="link_length",
        unit="1",
        description="length of a body up to the next joint, its mass the same",
        operation="scale",
        fields=("inertia.link_length",),
        part="link",
        lower=FLATTEST_STRETCH,
    ),
    ArrayParameter(
        name="object_size",
        unit="1",
        description="size of a loose object in all directions, its density the same",
        operation="scale",
        fields=("inertia.object_size",),
        part="object",
        lower=FLATTEST_STRETCH,
    ),
)

JOINTS: tuple[Parameter, ...] = (
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
    ArrayParameter(
        name="joint_armature",
        unit="kg·m²",
        description="inertia of a motor's rotor as the joint feels it",
        operation="scale",
        fields=("dof_armature",),
        part="dof",
    ),
    ArrayParameter(
        name="joint_stiffness",
        unit="N·m/rad",
        description="stiffness of a joint's spring: of a cable, or a real spring",
        operation="scale",
        fields=("jnt_stiffness",),
        part="joint",
    ),
    ArrayParameter(
        name="spring_reference",
        unit="rad",
        description="position at which a joint's spring is at rest",
        operation="add",
        fields=("qpos_spring",),
        part="qpos",
        lower=None,
    ),
    ArrayParameter(
        name="joint_reference",
        unit="rad",
        description="position that a joint reports where its body stands as modelled",
        operation="add",
        fields=("qpos0",),
        part="qpos",
        lower=None,
    ),
    ArrayParameter(
        name="joint_range",
        unit="rad",
        description="end stops of a joint",
        operation="add",
        fields=("jnt_range",),
        part="limited_joint",
        axes=("lower", "upper"),
        lower=None,
    ),
)

CONTACTS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="friction",
        unit="1",
        description="sliding friction of a geom",
        operation="scale",
        fields=("geom_friction",),
        part="colliding_geom",
        component=0,
    ),
    ArrayParameter(
        name="torsional_friction",
        unit="m",
        description="friction of a geom against turning on the spot (condim 4 and above)",
        operation="scale",
        fields=("geom_friction",),
        part="colliding_geom",
        component=1,
    ),
    ArrayParameter(
        name="rolling_friction",
        unit="m",
        description="friction of a geom against rolling (condim 6)",
        operation="scale",
        fields=("geom_friction",),
        part="colliding_geom",
        component=2,
    ),
    ArrayParameter(
        name="contact_time_constant",
        unit="s",
        description="how slowly a contact gives way: softness (solref)",
        operation="scale",
        fields=("geom_solref",),
        part="colliding_geom",
        component=0,
        lower=mujoco.mjMINVAL,
    ),
    ArrayParameter(
        name="contact_damping_ratio",
        unit="1",
        description="damping of a contact: 1 does not bounce, less does (solref): restitution",
        operation="scale",
        fields=("geom_solref",),
        part="colliding_geom",
        component=1,
        lower=mujoco.mjMINVAL,
    ),
    ArrayParameter(
        name="contact_impedance",
        unit="1",
        description="hardness of a contact at depth (solimp dmax)",
        operation="absolute",
        fields=("geom_solimp",),
        part="colliding_geom",
        component=1,
        lower=mujoco.mjMINIMP,
        upper=mujoco.mjMAXIMP,
    ),
)

SURROUNDINGS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="gravity",
        unit="m/s²",
        description="gravity along an axis of the world",
        operation="add",
        fields=("opt.gravity",),
        part="robot",
        axes=XYZ,
        lower=None,
    ),
    FloorSlope(
        name="floor_slope",
        unit="rad",
        description="slope of the floor, or of the robot's mount, about an axis by the right-hand rule",
        operation="absolute",
        fields=("opt.gravity",),
        lower=-0.5 * np.pi,
        upper=0.5 * np.pi,
    ),
    ArrayParameter(
        name="wind",
        unit="m/s",
        description="wind along an axis of the world; acts where the air has a density",
        operation="absolute",
        fields=("opt.wind",),
        part="robot",
        axes=XYZ,
        lower=None,
    ),
    ArrayParameter(
        name="air_density",
        unit="kg/m³",
        description="density of the medium: drag in proportion to the square of speed",
        operation="absolute",
        fields=("opt.density",),
        part="robot",
    ),
    ArrayParameter(
        name="air_viscosity",
        unit="Pa·s",
        description="viscosity of the medium: drag in proportion to speed",
        operation="absolute",
        fields=("opt.viscosity",),
        part="robot",
    ),
)

DYNAMICS = (*BODIES, *JOINTS, *CONTACTS, *SURROUNDINGS)
