"""What a task is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.state import FloatArray

InitialState = Callable[[EpisodeRandom], tuple[FloatArray, FloatArray]]


@dataclass(slots=True)
class Motion:
    """The true motion of all simulations over one control step: what rewards may look at.

    Attributes:
        joint_position: (count, joints) after the step.
        joint_velocity: (count, joints) after the step.
        action: (count, actuators) in [-1, 1], taken at the start of the step.
        previous_action: (count, actuators), the one before.
    """

    joint_position: FloatArray
    joint_velocity: FloatArray
    action: FloatArray
    previous_action: FloatArray


@dataclass(frozen=True, slots=True)
class Task:
    """A decision problem on a robot.

    Attributes:
        name: as in configurations.
        robot: the robot that it is made for.
        description: one line for people.
        initial_states: name to a function that draws (n, joints) positions and velocities for n
            episodes; the configuration says how often each is used in training.
        start: the initial state of the real machine, used alone wherever a policy is evaluated.
        rewards: name to a function that gives (count,) rewards; the configuration weighs them.
        terminations: name to a function that gives (count,) whether an episode is over for good.
        goal: (count,) whether what is wanted holds now.
        success_share: an episode is a success if the goal holds in at least this share of its second
            half.
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
