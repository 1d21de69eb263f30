"""Bring the driven joints of any robot on a fixed base to a commanded posture, and hold it."""

from collections.abc import Callable
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command, Joint, RobotDescription
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.physics.drives import effort_limit, read_drives
from simreal.physics.interface import Start
from simreal.physics.layout import joint_addresses
from simreal.physics.model import compile_model
from simreal.robots import Robot
from simreal.state import FloatArray
from simreal.tasks.task import Motion, Task, mean_action_change

NAME = "posture"
DESCRIPTION = "any robot on a fixed base: bring its driven joints to a commanded posture"
TRIED = 1024
"""Random postures, of which commands are those that the robot can take."""
TRAVEL = 0.8
"""Share of each joint's range in which they lie, some way from the stops."""
EFFORT = 0.7
"""Share of a drive's effort that gravity may ask in them."""
WITHIN = 0.05
"""Share of a joint's range within which it is where it should be; at most 0.1 rad, if it turns."""
SPREAD = 0.02
"""Share of a joint's range by which an episode's start is off the default posture."""
DEEPEST = 1e-3
"""m by which shapes may be within each other: the softness of contacts."""
ENDLESS = (-1.5, 1.5)
"""rad, for a joint without stops."""


def make_task(robot: Robot) -> Task:
    """The task for a robot, from its description."""
    description = robot.description
    joints = _driven(description)
    columns = [description.joint_names.index(joint.name) for joint in joints]
    ranges = np.array([_travel(joint) for joint in joints])
    width = ranges[:, 1] - ranges[:, 0]
    turns = np.array([joint.unit == "rad" for joint in joints])
    tolerance = np.where(turns, np.minimum(WITHIN * width, 0.1), WITHIN * width)

    def error(motion: Motion) -> FloatArray:
        """(count, joints) off the commanded posture."""
        return motion.joint_position[:, columns] - motion.command

    def distance(motion: Motion) -> FloatArray:
        """Mean error of the joints, in shares of their ranges: shows the way from everywhere."""
        return np.asarray((np.abs(error(motion)) / width).mean(axis=1))

    def near(motion: Motion) -> FloatArray:
        """1 in the posture, 0.37 where the joints are off by an eighth of their ranges."""
        return np.asarray(np.exp(-((error(motion) / (0.125 * width)) ** 2).mean(axis=1)))

    def precise(motion: Motion) -> FloatArray:
        """1 in the posture, 0.37 at the tolerance."""
        return np.asarray(np.exp(-((error(motion) / tolerance) ** 2).mean(axis=1)))

    def speed(motion: Motion) -> FloatArray:
        """Mean squared speed, in ranges per second."""
        return np.asarray(((motion.joint_velocity[:, columns] / width) ** 2).mean(axis=1))

    def worst_error(motion: Motion) -> FloatArray:
        """Largest error of a joint, in shares of its range."""
        return np.asarray((np.abs(error(motion)) / width).max(axis=1))

    def reached(motion: Motion) -> NDArray[np.bool_]:
        """Every joint is within its tolerance."""
        return np.asarray((np.abs(error(motion)) < tolerance).all(axis=1))

    return Task(
        name=NAME,
        robot=robot.name,
        description=DESCRIPTION,
        initial_states={"default": _near_default(description, columns, width)},
        start="default",
        rewards={
            "distance": distance,
            "near": near,
            "precise": precise,
            "speed": speed,
            "action_change": mean_action_change,
        },
        terminations={},
        goal=reached,
        scene=refuse_free_base,
        commands=tuple(
            Command(name=joint.name, unit=joint.unit, low=low, high=high)
            for joint, (low, high) in zip(joints, ranges.tolist(), strict=True)
        ),
        draw_command=_drawer(robot, [joint.name for joint in joints], ranges),
        draws_within=True,
        metrics={"worst_error_of_range": worst_error},
    )


def refuse_free_base(spec: mujoco.MjSpec) -> None:
    """Raise a `UserError` for a robot that would fall: nothing holds it."""
    if any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in spec.joints):
        raise UserError(f"task {NAME} is for robots on a fixed base; this one's is free: task stand")


def _driven(description: RobotDescription) -> list[Joint]:
    driven = {actuator.joint for actuator in description.actuators}
    return [joint for joint in description.joints if joint.name in driven]


def _travel(joint: Joint) -> tuple[float, float]:
    """The middle `TRAVEL` of a joint's range."""
    low, high = ENDLESS if joint.lower is None or joint.upper is None else (joint.lower, joint.upper)
    margin = 0.5 * (1.0 - TRAVEL) * (high - low)
    return low + margin, high - margin


def _near_default(
    description: RobotDescription, columns: list[int], width: FloatArray
) -> Callable[[EpisodeRandom], Start]:
    default = np.array(description.default_position)

    def near_default(random: EpisodeRandom) -> Start:
        """The default posture, but for `SPREAD`, at rest; what nothing drives stays as it is."""
        position = np.tile(default, (len(random.seeds), 1))
        spread = SPREAD * width
        position[:, columns] += spread * (2.0 * random.uniform("initial", len(columns)) - 1.0)
        return Start(position, np.zeros_like(position))

    return near_default


def _drawer(
    robot: Robot, joints: list[str], ranges: FloatArray
) -> Callable[[EpisodeRandom, FloatArray, FloatArray, NDArray[np.integer]], FloatArray]:
    @cache
    def possible() -> FloatArray:
        return possible_postures(compile_model(robot), robot, joints, ranges)

    def draw(
        random: EpisodeRandom, low: FloatArray, high: FloatArray, number: NDArray[np.integer]
    ) -> FloatArray:
        """(n, joints) one of the possible postures within the bounds, else the nearest point in them."""
        postures = possible()
        inside = postures[((low <= postures) & (postures <= high)).all(axis=1)]
        chosen = inside if len(inside) else postures
        which = (len(chosen) * random.uniform("command", 1, number)[:, 0]).astype(np.int64)
        return np.clip(chosen[which], low, high)

    return draw


def possible_postures(
    model: mujoco.MjModel, robot: Robot, joints: list[str], ranges: FloatArray
) -> FloatArray:
    """(n, joints) random postures in which a robot does not touch itself and its drives bear its weight.

    Args:
        model: of the robot alone.
        robot: which.
        joints: those that are driven.
        ranges: (joints, 2) in which they are drawn.
    """
    random, data = np.random.default_rng(0), mujoco.MjData(model)
    positions, _ = joint_addresses(model, robot)
    data.qpos[positions] = robot.description.default_position
    places = [int(model.joint(joint).qposadr[0]) for joint in joints]
    default = data.qpos[places].copy()
    dofs, efforts = _efforts(model)
    found = [np.clip(default, ranges[:, 0], ranges[:, 1])]
    for posture in random.uniform(ranges[:, 0], ranges[:, 1], (TRIED, len(joints))):
        data.qpos[places] = posture
        mujoco.mj_forward(model, data)
        touches = data.contact.dist.min(initial=0.0) < -DEEPEST
        if not touches and (np.abs(data.qfrc_bias[dofs]) <= efforts).all():
            found.append(posture)
    return np.array(found[1:] or found)


def _efforts(model: mujoco.MjModel) -> tuple[NDArray[np.int64], FloatArray]:
    """Degrees of freedom that are driven, and what gravity may ask of each."""
    drives, _ = read_drives(model)
    limits = [effort_limit(model, drive) for drive in drives]
    dofs = model.jnt_dofadr[[drive.joint for drive in drives]].astype(np.int64)
    return dofs, EFFORT * np.array([np.inf if limit is None else limit for limit in limits])
