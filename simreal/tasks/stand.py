"""Stand: any robot on a free base keeps its default posture on flat ground, whatever pushes it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.physics.layout import free_joints, joint_addresses
from simreal.physics.lowest_point import lowest_point, touching_geoms
from simreal.physics.model import compile_model
from simreal.robots import Robot
from simreal.rotations import down_in_body
from simreal.state import FloatArray
from simreal.tasks.task import Motion, Task, mean_action_change

NAME = "stand"
DESCRIPTION = "any robot on a free base: stand in its default posture, whatever pushes it"
UPRIGHT_WITHIN, FALLEN = 0.25, 1.0
"""rad that the base may lean: as good as upright, and fallen."""
HEIGHT_WITHIN, DOWN = 0.15, 0.5
"""Share of the standing height: off by this it is as good as standing, below this it is down."""
SPREAD = 0.05
"""rad or m by which an episode's start is off the default posture; a slide of a few cm less."""
EVERYTHING = 2**31 - 1
"""All bits of contact masks: other people's feet use any of them."""
CLEARANCE = 1e-3
"""m above the ground at the start."""


@dataclass(frozen=True, slots=True)
class Stance:
    """How a robot stands.

    Attributes:
        position: (7,) of its base: m, and orientation w, x, y, z.
        up: (3,) which axis of the base then points upwards.
    """

    position: FloatArray
    up: FloatArray


def make_task(robot: Robot) -> Task:
    """The task for a robot, from its description and its model."""
    default = np.array(robot.description.default_position)

    @cache
    def stance() -> Stance:
        return find_stance(compile_model(robot), robot)

    def lean(motion: Motion) -> FloatArray:
        """(count,) rad between the base's own upward axis and the vertical."""
        down_now = down_in_body(motion.simulated.free_position[:, 0, 3:])
        return np.asarray(np.arccos(np.clip(-down_now @ stance().up, -1.0, 1.0)))

    def height(motion: Motion) -> FloatArray:
        """(count,) of the base, in shares of the standing height."""
        return np.asarray(motion.simulated.free_position[:, 0, 2] / stance().position[2])

    def upright(motion: Motion) -> FloatArray:
        """1 upright and at the standing height, less beside."""
        off = (lean(motion) / 0.3) ** 2 + ((height(motion) - 1.0) / 0.2) ** 2
        return np.asarray(np.exp(-off))

    def posture(motion: Motion) -> FloatArray:
        """Mean squared distance of the joints from the default posture, rad² or m²."""
        return np.asarray(((motion.joint_position - default) ** 2).mean(axis=1))

    def motion_of_base(motion: Motion) -> FloatArray:
        """Squared speed of the base, (m/s)², and a tenth of its squared angular speed, (rad/s)²."""
        speed = motion.simulated.free_velocity[:, 0] ** 2
        return np.asarray(speed[:, :3].sum(axis=1) + 0.1 * speed[:, 3:].sum(axis=1))

    def down(motion: Motion) -> NDArray[np.bool_]:
        """It leans too far, or its base is on the ground."""
        return (lean(motion) > FALLEN) | (height(motion) < DOWN)

    def stands(motion: Motion) -> NDArray[np.bool_]:
        """It is upright, at its height."""
        low = np.abs(height(motion) - 1.0) > HEIGHT_WITHIN
        return (lean(motion) < UPRIGHT_WITHIN) & ~low

    return Task(
        name=NAME,
        robot=robot.name,
        description=DESCRIPTION,
        initial_states={"default": _near_default(robot.description, default, stance)},
        start="default",
        rewards={
            "upright": upright,
            "posture": posture,
            "motion_of_base": motion_of_base,
            "action_change": mean_action_change,
        },
        terminations={"down": down},
        goal=stands,
        scene=add_ground,
        metrics={"lean_rad": lean},
    )


def add_ground(spec: mujoco.MjSpec) -> None:
    """Put flat ground at height 0 under a model that has none.

    Raises:
        UserError: the robot's base is fixed.
    """
    if not any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in spec.joints):
        raise UserError(f"task {NAME} is for robots on a free base; this one's is fixed: task posture")
    kinds = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)
    if not any(geom.type in kinds for geom in spec.worldbody.geoms):
        spec.worldbody.add_geom(
            name="ground",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=(0.0, 0.0, 1.0),
            contype=EVERYTHING,
            conaffinity=EVERYTHING,
            friction=(0.8, 0.02, 0.001),
            rgba=(0.5, 0.5, 0.45, 1.0),
        )


def find_stance(model: mujoco.MjModel, robot: Robot) -> Stance:
    """Place the base so that the default posture just touches the ground."""
    data = mujoco.MjData(model)
    joints, _ = joint_addresses(model, robot)
    data.qpos[joints] = robot.description.default_position
    mujoco.mj_kinematics(model, data)
    position = data.qpos[free_joints(model).position[0]]
    lowest = lowest_point(model, data, touching_geoms(model))
    position[2] += CLEARANCE - lowest if np.isfinite(lowest) else 0.0
    return Stance(position, -down_in_body(position[3:]))


def _near_default(
    description: RobotDescription, default: FloatArray, stance: Callable[[], Stance]
) -> Callable[[EpisodeRandom], Start]:
    lower = [-np.inf if joint.lower is None else joint.lower for joint in description.joints]
    upper = [np.inf if joint.upper is None else joint.upper for joint in description.joints]
    driven = {actuator.joint for actuator in description.actuators}
    spread = np.array(
        [
            0.0 if joint.name not in driven else SPREAD if joint.unit == "rad" else 0.1 * SPREAD
            for joint in description.joints
        ]
    )

    def near_default(random: EpisodeRandom) -> Start:
        """The default posture, but for `SPREAD`, on the ground and at rest."""
        off = spread * (2.0 * random.uniform("initial", len(default)) - 1.0)
        position = np.clip(default + off, lower, upper)
        base = np.tile(stance().position, (len(position), 1, 1))
        return Start(position, np.zeros_like(position), base)

    return near_default
