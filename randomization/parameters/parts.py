"""The parts of a simulated robot that a parameter may have one number for, by name."""

from collections.abc import Callable
from typing import Literal

import mujoco

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
    "link",
    "qpos",
    "limited_joint",
    "colliding_geom",
    "free_body",
]
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
    model = world.physics.model
    bodies = _named(mujoco.mjtObj.mjOBJ_BODY, "nbody")(world)
    return [(name, i) for name, i in bodies if model.body_mass[i] > 0]


def _joints(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.joint(name).id)) for name in world.robot.joint_names]


def _dofs(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.joint(name).dofadr[0])) for name in world.robot.joint_names]


def _actuators(world: World) -> Parts:
    model = world.physics.model
    return [(name, int(model.actuator(name).id)) for name in world.robot.actuator_names]


def _links(world: World) -> Parts:
    links = {link.body for link in world.inertia.links}
    return [(name, i) for name, i in _bodies(world) if i in links]


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


PARTS: dict[PartKind, Callable[[World], Parts]] = {
    "robot": lambda world: [],
    "body": _bodies,
    "joint": _joints,
    "dof": _dofs,
    "geom": _named(mujoco.mjtObj.mjOBJ_GEOM, "ngeom"),
    "actuator": _actuators,
    "link": _links,
    "qpos": _positions,
    "limited_joint": _limited_joints,
    "colliding_geom": _colliding_geoms,
    "free_body": _free_bodies,
    "robot_joint": lambda world: [(name, i) for i, name in enumerate(world.robot.joint_names)],
    "robot_actuator": lambda world: [(name, i) for i, name in enumerate(world.robot.actuator_names)],
}
"""`joint`, `dof` and `actuator` give rows of the model; `robot_joint` and `robot_actuator` places in
the robot's own description."""
