"""Randomization of a task's model: what each episode's draw changes in it, field by field."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.errors import UserError, nearest
from simreal.physics.model import Scene
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.randomization.actuation import Actuation
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.events import Events
from simreal.randomization.inertia import Inertia
from simreal.randomization.parameters.dynamics import DYNAMICS
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.schedules import ScheduleConfig
from simreal.randomization.sensing import Sensing
from simreal.randomization.specification import Specification, members
from simreal.randomization.world import World
from simreal.robots import Robot
from simreal.robots.loader import RobotConfig
from simreal.suite.model_fields import Changes, read_field

OF_ACTUATORS = ("motor_strength", "kp", "kd", "effort_limit")
ACTING = (*(parameter.name for parameter in DYNAMICS), *OF_ACTUATORS)
"""Parameters that act on a task of dm_control: those of the model alone.

The others act in simreal's own control loop, between a policy and the physics, and there they would
have to act on sensors and commands that dm_control's tasks do not have.
"""


class _GivenModel(MujocoPhysics):
    """Physics of a model that is compiled already."""

    def __init__(self, robot: Robot, model: mujoco.MjModel, count: int) -> None:
        self._given = model
        super().__init__(robot, count, threads=1)

    def _compiled(self, robot: Robot, latency: float, scene: Scene | None) -> mujoco.MjModel:
        return self._given


class DrawnModels:
    """Models of at most `count` episodes at a time, with what was drawn for each.

    Attributes:
        robot: joints that turn or slide, and actuators, as far as the model names them.
        randomizer: of the models.
    """

    def __init__(
        self,
        name: str,
        model: mujoco.MjModel,
        count: int,
        specification: Specification,
        pins: Mapping[str, float],
        schedule: ScheduleConfig,
    ) -> None:
        """Resolve a randomization against a task's model.

        Args:
            name: of the task.
            model: as the task itself has it; it is copied.
            count: how many episodes are drawn together.
            specification: what is drawn.
            pins: randomized parameters to hold at a value.
            schedule: how the ranges move.

        Raises:
            UserError: parameters that do not act here, and names or ranges that do not fit the model.
        """
        _refuse_idle(name, specification)
        self.robot = describe(name, model)
        # A copy: the task goes on to change its own with every episode, or compiles another.
        self._world = _build_world(name, self.robot, copy.copy(model), count)
        self._model = self._world.physics.model
        self.randomizer = Randomizer(specification, self._world, pins, schedule)

    def changes(self, draws: NDArray[np.float64]) -> list[Changes]:
        """What (n, columns) draws change in the models of n episodes."""
        number = len(draws)
        if not self.randomizer.columns:
            return [{} for _ in range(number)]
        self.randomizer.apply(np.arange(number), draws)
        found: list[Changes] = [{} for _ in range(number)]
        for name in self._world.physics.expanded_fields:
            values = self._world.physics.field(name)[:number].reshape(number, -1)
            different = values != read_field(self._model, name).reshape(-1)
            for row in np.flatnonzero(different.any(axis=1)).tolist():
                places = np.flatnonzero(different[row])
                found[row][name] = (places, values[row, places].copy())
        return found

    @property
    def fields(self) -> list[str]:
        """Names of the fields that a draw may change; complete once something has been drawn."""
        return self._world.physics.expanded_fields


def _refuse_idle(task: str, specification: Specification) -> None:
    for entry, config in specification.items():
        for member in members(entry, config):
            name = member.parameter.name
            if name not in ACTING:
                hint = nearest(name, ACTING)
                raise UserError(f"randomization.{entry}: {name} does not act on {task}: {hint}")
        if config.within_episode:
            raise UserError(f"randomization.{entry}: within_episode does not act on {task}")


def _build_world(name: str, description: RobotDescription, model: mujoco.MjModel, count: int) -> World:
    config = RobotConfig(description=description)
    physics = _GivenModel(Robot(config, Path(name)), model, count)
    actuation = Actuation(description, physics)
    sensing = Sensing(config.sensing, count, len(description.joints), physics.timestep, 0.0)
    inertia, events, camera = Inertia(physics), Events(physics, actuation), CameraEffects(count)
    return World(description, physics, inertia, actuation, sensing, events, camera)


def describe(name: str, model: mujoco.MjModel) -> RobotDescription:
    """Joints and actuators of a model, as far as they have names.

    An actuator that pulls a tendon, or pushes at a site, counts with the first joint: what acts on
    tasks of dm_control asks for the actuator alone. Units are those of a rotation.

    Raises:
        UserError: the model names no joint that turns or slides, or no actuator.
    """
    joints = [_joint(model, joint) for joint in _named_joints(model)]
    if not joints or not any(_actuator_name(model, i) for i in range(model.nu)):
        raise UserError(f"{name}: its model names no joints or actuators")
    actuators = [
        _actuator(model, i, {joint.name for joint in joints}, joints[0].name)
        for i in range(model.nu)
        if _actuator_name(model, i)
    ]
    return RobotDescription(name=name, joints=tuple(joints), actuators=tuple(actuators))


def _named_joints(model: mujoco.MjModel) -> list[int]:
    scalar = {int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)}
    return [i for i in range(model.njnt) if int(model.jnt_type[i]) in scalar and model.joint(i).name]


def _joint(model: mujoco.MjModel, index: int) -> Joint:
    limited = bool(model.jnt_limited[index])
    lower, upper = map(float, model.jnt_range[index])
    return Joint(
        name=model.joint(index).name,
        unit="m" if model.jnt_type[index] == mujoco.mjtJoint.mjJNT_SLIDE else "rad",
        lower=lower if limited else None,
        upper=upper if limited else None,
        default_position=float(model.qpos0[model.jnt_qposadr[index]]),
    )


def _actuator_name(model: mujoco.MjModel, index: int) -> str:
    name: str = model.actuator(index).name
    return name


def _actuator(model: mujoco.MjModel, index: int, joints: set[str], otherwise: str) -> Actuator:
    values: dict[str, Any] = {"name": _actuator_name(model, index), "joint": otherwise}
    if model.actuator_trntype[index] == mujoco.mjtTrn.mjTRN_JOINT:
        driven = model.joint(int(model.actuator_trnid[index, 0])).name
        values["joint"] = driven if driven in joints else otherwise
    limited = bool(model.actuator_ctrllimited[index])
    lower, upper = map(float, model.actuator_ctrlrange[index]) if limited else (-1.0, 1.0)
    return Actuator(command="effort", unit="N·m", lower=lower, upper=upper, **values)
