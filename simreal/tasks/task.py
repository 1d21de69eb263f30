"""What a task is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Physics, Start
from simreal.physics.model import Scene
from simreal.randomization.terrain import TerrainMap
from simreal.state import FloatArray

InitialState = Callable[[EpisodeRandom], Start]
DrawCommand = Callable[[EpisodeRandom, FloatArray, FloatArray, NDArray[np.integer]], FloatArray]


class NotInLogError(Exception):
    """More was asked of a motion than its joints, which are all that a log knows."""


@dataclass(slots=True)
class Motion:
    """The true motion of all simulations over one control step: what rewards may look at.

    Attributes:
        joint_position: (count, joints) after the step.
        joint_velocity: (count, joints) after the step.
        action: (count, actuators) in [-1, 1], taken at the start of the step.
        previous_action: (count, actuators), the one before.
        command: (count, commands) that is asked.
        physics: all else; None where the motion is that of a log.
        terrain: the ground, where it is not flat.
    """

    joint_position: FloatArray
    joint_velocity: FloatArray
    action: FloatArray
    previous_action: FloatArray
    command: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    physics: Physics | None = None
    terrain: TerrainMap | None = None

    def ground_height(self, place: FloatArray) -> FloatArray:
        """Height of the ground in m below (..., 2 or more) places of the world."""
        if self.terrain is None:
            return np.zeros(place.shape[:-1])
        return self.terrain.height_at(place[..., 0], place[..., 1])

    @property
    def simulated(self) -> Physics:
        """The physics behind the motion.

        Raises:
            NotInLogError: there is none.
        """
        if self.physics is None:
            raise NotInLogError
        return self.physics

    def sensor(self, name: str) -> FloatArray:
        """(count, dimension) values of a sensor of the model; see `Physics.sensor`."""
        return self.simulated.sensor(name)


def uniform_command(
    random: EpisodeRandom, low: FloatArray, high: FloatArray, number: NDArray[np.integer]
) -> FloatArray:
    """Draw commands evenly between their ends.

    Args:
        random: of n episodes.
        low: (commands,) lower ends.
        high: (commands,) upper ends.
        number: (n,) which of the episode's commands, from 0.

    Returns:
        (n, commands).
    """
    return low + (high - low) * random.uniform("command", len(low), number)


def action_change(motion: Motion) -> FloatArray:
    """Squared change of the action: what wears a gear and a bearing."""
    change: FloatArray = ((motion.action - motion.previous_action) ** 2).sum(axis=1)
    return change


def mean_action_change(motion: Motion) -> FloatArray:
    """Mean squared change of the action: the same of one actuator as of many."""
    return np.asarray(((motion.action - motion.previous_action) ** 2).mean(axis=1))


@dataclass(frozen=True, slots=True)
class Task:
    """A decision problem on a robot.

    Attributes:
        name: as in configurations.
        robot: the robot that it is made for.
        description: one line for people.
        initial_states: name to a function that draws n episodes' starts; the configuration says how
            often each is used in training.
        start: the initial state of the real machine, used alone wherever a policy is evaluated.
        rewards: name to a function that gives (count,) rewards; the configuration weighs them.
        terminations: name to a function that gives (count,) whether an episode is over for good.
        goal: (count,) whether what is wanted holds now.
        success_share: an episode is a success if the goal holds in at least this share of its second
            half.
        marks: name of a mocap body of the scene to names of the commands that are its place along x, y
            and z; where fewer are named, the rest stays as the scene has it.
        scene: adds what stands around the robot to its model.
        objects: names of the loose bodies in the scene, in its order, that a tracker sees: those with
            sensors NAME_position (framepos) and NAME_orientation (framequat) of their frame (xbody).
        commands: what is asked of the policy, with the ranges for which no configuration says others.
        draw_command: draws it.
        draws_within: whether that keeps to the ranges of `commands`, so that a configuration may narrow
            them alone.
        reversed_commands: those that change sign where left and right are exchanged.
        metrics: name to a function that gives (count,) numbers, whose mean over an episode people want
            to know; the name ends with its unit.
        privileged: name to a function that gives (count, n) numbers that a critic may see in training.
    """

    name: str
    robot: str
    description: str
    initial_states: Mapping[str, InitialState]
    start: str
    rewards: Mapping[str, Callable[[Motion], FloatArray]]
    terminations: Mapping[str, Callable[[Motion], NDArray[np.bool_]]]
    goal: Callable[[Motion], NDArray[np.bool_]]
    success_share: float = 0.9
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scene: Scene | None = None
    objects: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    draw_command: DrawCommand = uniform_command
    draws_within: bool = False
    reversed_commands: tuple[str, ...] = ()
    metrics: Mapping[str, Callable[[Motion], FloatArray]] = field(default_factory=dict)
    privileged: Mapping[str, Callable[[Motion], FloatArray]] = field(default_factory=dict)
