"""The parts of a simulated robot that a parameter may have one number for, by name."""

from collections.abc import Callable
from typing import Literal

import mujoco

from simreal.randomization.distractors import DISTRACTOR
from simreal.randomization.events import free_bodies
from simreal.randomization.world import World

PartKind = Literal[
    "robot",
    "body",
    "joint",
    "dof",
    "geom",
    "actuator",
    "robot_joint",
    "robot_actuator",
    "robot_servo",
    "voltage_motor",
    "filtered_joint",
    "link",
    "object",
    "qpos",
    "limited_joint",
    "colliding_geom",
    "free_body",
    "ground",
    "light",
    "turning_light",
    "camera",
    "turning_camera",
    "perspective_camera",
    "material",
    "coloured_geom",
    "coloured_site",
    "distractor",
    "residual_joint",
]
OF_JOINTS: frozenset[PartKind] = frozenset(
    ("joint", "dof", "qpos", "limited_joint", "robot_joint", "actuator", "robot_actuator", "robot_servo")
)
"""Joints and what drives them, whose numbers are of another unit where a joint slides. Not the filters
of velocities: the corner of one is no motion."""
Parts = list[tuple[str, int]]
"""Names and rows in the arrays."""


def _named(kind: mujoco.mjtObj, count: str) -> Callable[[World], Parts]:
    """All objects of a kind in the model; one without a name is called after its kind and number."""
    label = kind.name.removeprefix("mjOBJ_").lower()

    def parts(world: World) -> Parts:
        model = world.physics.model
        names = [mujoco.mj_id2name(model, kind, i) for i in range(getattr(model, count))]
        return [(name or f"{label}{i}", i) for i, name in enumerate(names)]

    return parts


def _bodies(world: World) -> Parts:
    """Those with a mass that anything feels: not what is fixed to the world."""
    model = world.physics.model
    bodies = _named(mujoco.mjtObj.mjOBJ_BODY, "nbody")(world)
    return [(name, i) for name, i in bodies if model.body_mass[i] > 0 and model.body_weldid[i] != 0]


def _joints(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.joint(name).id)) for name in world.robot.joint_names]


def _dofs(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.joint(name).dofadr[0])) for name in world.robot.joint_names]


def _actuators(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.actuator(name).id)) for name in world.robot.actuator_names]


def _residual_joints(world: World) -> Parts:
    """Joints to which a residual model adds torques."""
    names = () if world.residual is None else world.residual.names
    return [(name, place) for place, name in enumerate(names)]


def _links(world: World) -> Parts:
    links = {link.body for link in world.inertia.links}
    return [(name, i) for name, i in _bodies(world) if i in links]


def _objects(world: World) -> Parts:
    objects = {each.body for each in world.inertia.objects}
    return [(name, i) for name, i in _bodies(world) if i in objects]


def _positions(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.joint(name).qposadr[0])) for name in world.robot.joint_names]


def _limited_joints(world: World) -> Parts:
    return [(name, i) for name, i in _joints(world) if world.physics.model.jnt_limited[i]]


def _colliding_geoms(world: World) -> Parts:
    model = world.physics.model
    geoms = _named(mujoco.mjtObj.mjOBJ_GEOM, "ngeom")(world)
    return [(name, i) for name, i in geoms if model.geom_contype[i] or model.geom_conaffinity[i]]


def _free_bodies(world: World) -> Parts:
    free, _ = free_bodies(world.physics.model)
    return [(name, i) for name, i in _bodies(world) if i in free]


_lights = _named(mujoco.mjtObj.mjOBJ_LIGHT, "nlight")
_cameras = _named(mujoco.mjtObj.mjOBJ_CAMERA, "ncam")
AIMED = int(mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODY)
"""Lights and cameras of this mode and those behind it look at a body, whatever their direction."""


def _turning_lights(world: World) -> Parts:
    return [(name, i) for name, i in _lights(world) if world.physics.model.light_mode[i] < AIMED]


def _turning_cameras(world: World) -> Parts:
    return [(name, i) for name, i in _cameras(world) if world.physics.model.cam_mode[i] < AIMED]


def _perspective_cameras(world: World) -> Parts:
    perspective = mujoco.mjtProjection.mjPROJ_PERSPECTIVE
    projection = world.physics.model.cam_projection
    return [(name, i) for name, i in _cameras(world) if projection[i] == perspective]


def _coloured(kind: mujoco.mjtObj, name: str) -> Callable[[World], Parts]:
    """Geoms or sites with a colour of their own; one of the default colour has its material's."""

    def parts(world: World) -> Parts:
        model = world.physics.model
        material, colour = getattr(model, f"{name}_matid"), getattr(model, f"{name}_rgba")
        own = (material < 0) | (colour != DEFAULT_COLOUR).any(axis=1)
        return [(each, i) for each, i in _named(kind, f"n{name}")(world) if own[i]]

    return parts


DEFAULT_COLOUR = (0.5, 0.5, 0.5, 1.0)


def _distractors(world: World) -> Parts:
    """Geoms of that name in the world that touch nothing; a mesh has no size to change."""
    model = world.physics.model
    touches = {row for _, row in _colliding_geoms(world)}
    return [
        (name, i)
        for name, i in _named(mujoco.mjtObj.mjOBJ_GEOM, "ngeom")(world)
        if name.startswith(DISTRACTOR)
        and i not in touches
        and model.geom_bodyid[i] == 0
        and model.geom_type[i] != mujoco.mjtGeom.mjGEOM_MESH
    ]


PARTS: dict[PartKind, Callable[[World], Parts]] = {
    "robot": lambda world: [],
    "ground": lambda world: [] if world.ground is None else [("terrain", 0)],
    "body": _bodies,
    "joint": _joints,
    "dof": _dofs,
    "geom": _named(mujoco.mjtObj.mjOBJ_GEOM, "ngeom"),
    "actuator": _actuators,
    "link": _links,
    "object": _objects,
    "qpos": _positions,
    "limited_joint": _limited_joints,
    "colliding_geom": _colliding_geoms,
    "free_body": _free_bodies,
    "light": _lights,
    "turning_light": _turning_lights,
    "camera": _cameras,
    "turning_camera": _turning_cameras,
    "perspective_camera": _perspective_cameras,
    "material": _named(mujoco.mjtObj.mjOBJ_MATERIAL, "nmat"),
    "coloured_geom": _coloured(mujoco.mjtObj.mjOBJ_GEOM, "geom"),
    "coloured_site": _coloured(mujoco.mjtObj.mjOBJ_SITE, "site"),
    "distractor": _distractors,
    "residual_joint": _residual_joints,
    "robot_joint": lambda world: [(name, i) for i, name in enumerate(world.robot.joint_names)],
    "robot_actuator": lambda world: [(name, i) for i, name in enumerate(world.robot.actuator_names)],
    "filtered_joint": lambda world: [
        (name, i)
        for i, name in enumerate(world.robot.joint_names)
        if world.sensing.quantities.defaults["filter_corner"].all()
    ],
    "voltage_motor": lambda world: [
        (actuator.name, i)
        for i, actuator in enumerate(world.robot.actuators)
        if actuator.command == "voltage"
    ],
    "robot_servo": lambda world: [
        (name, i) for i, name in enumerate(world.robot.actuator_names) if world.actuation.servos[i]
    ],
}
"""`joint`, `dof` and `actuator` give rows of the model; `robot_joint`, `robot_actuator` and
`robot_servo` places in the robot's own description."""
