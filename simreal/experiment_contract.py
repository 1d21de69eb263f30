"""The contract that follows from an experiment: what a policy trained in it believes."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import ValidationError

from simreal.commands import described_commands
from simreal.contract import ActionMapping, Choice, Contract, Provenance, RobotDescription, TrainedRange
from simreal.errors import UserError
from simreal.experiment import ActionConfig, ExperimentConfig
from simreal.tasks import Task

MOST_CHOICES = 4096


def make_contract(
    experiment: ExperimentConfig,
    robot: RobotDescription,
    task: Task,
    ranges: Sequence[TrainedRange] = (),
    seed: int = 0,
) -> Contract:
    """What a policy of an experiment believes.

    Args:
        experiment: in which it is trained.
        robot: that it drives.
        task: that it solves.
        ranges: under which it is trained.
        seed: of the training.

    Raises:
        UserError: the experiment names what the robot does not have.
    """
    actuators = len(robot.actuators)
    numbers = {name: action_numbers(experiment.action, robot, name) for name in ("scale", "offset")}
    for name, values in numbers.items():
        if len(values) != actuators:
            raise UserError(f"action.{name}: {len(values)} numbers for {actuators} actuators")
    provenance = Provenance(
        task=experiment.task, agent=experiment.agent, seed=seed, training_steps=0, versions={}
    )
    try:
        return Contract(
            robot=robot,
            control_rate=experiment.control_rate,
            observation=experiment.observation,
            cameras=experiment.cameras,
            action=ActionMapping(
                **numbers,
                choices=action_choices(experiment.action, actuators),
                relative_to=experiment.action.relative_to,
            ),
            objects=task.objects,
            commands=described_commands(experiment, task),
            trained_ranges=tuple(ranges),
            provenance=provenance,
        )
    except ValidationError as error:
        reasons = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise UserError(f"experiment of {experiment.task}: {reasons}") from None


def action_choices(config: ActionConfig, actuators: int) -> tuple[Choice, ...]:
    """What a policy chooses among: none if its actions are numbers.

    Raises:
        UserError: too many combinations, or bins that are not one number for each actuator.
    """
    if config.motions:
        spread = {
            name: each if isinstance(each, tuple) else (each,) * actuators
            for name, each in config.motions.items()
        }
        return tuple(Choice(name=name, action=action) for name, action in spread.items())
    if config.bins is None:
        return ()
    bins = config.bins if isinstance(config.bins, tuple) else (config.bins,) * actuators
    if len(bins) != actuators:
        raise UserError(f"action.bins: {len(bins)} numbers for {actuators} actuators")
    if math.prod(bins) > MOST_CHOICES:
        raise UserError(
            f"action.bins: {math.prod(bins)} combinations, at most {MOST_CHOICES}: name the useful ones "
            "under action.motions"
        )
    levels = [np.linspace(-1.0, 1.0, count).tolist() if count > 1 else [0.0] for count in bins]
    return tuple(
        Choice(name=" ".join(f"{value:+.3g}" for value in action), action=action)
        for action in itertools.product(*levels)
    )


def action_numbers(
    config: ActionConfig, robot: RobotDescription, name: Literal["scale", "offset"] | str
) -> tuple[float, ...]:
    """`action.scale` or `action.offset`, one number for each actuator if they are as many."""
    given = config.scale if name == "scale" else config.offset
    if given == "default_position":
        default = dict(zip(robot.joint_names, robot.default_position, strict=True))
        return tuple(default[actuator.joint] for actuator in robot.actuators)
    if isinstance(given, tuple):
        return given
    return (float(given),) * len(robot.actuators)
