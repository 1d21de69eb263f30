"""Swing the pendulum of the Qube up and balance it, with the arm near its middle."""

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks.task import Motion, Task, action_change

ARM, PENDULUM = 0, 1
UPRIGHT_WITHIN = 0.2
"""rad, about 11 degrees."""
ARM_LIMIT = 2.0
"""rad; the machine's software limit is 2.094, its stops lie not far beyond."""


def hanging(random: EpisodeRandom) -> Start:
    """Hanging nearly at rest, the arm nearly centred (the spread of SimuRLacra's initial states)."""
    spread = 2.0 * random.uniform("initial", 4) - 1.0
    position = spread[:, :2] * np.radians([2.0, 1.0])
    velocity = spread[:, 2:] * np.radians([0.5, 0.5])
    return Start(position, velocity)


def anywhere(random: EpisodeRandom) -> Start:
    """The pendulum at any angle and in motion: what a swing-up passes through, met from the start."""
    spread = 2.0 * random.uniform("initial", 4) - 1.0
    return Start(spread[:, :2] * np.array([1.0, np.pi]), spread[:, 2:] * np.array([3.0, 10.0]))


def angle_from_upright(motion: Motion) -> FloatArray:
    """(count,) rad, 0 where the pendulum stands, up to π."""
    angle = motion.joint_position[:, PENDULUM] - np.pi
    wrapped: FloatArray = np.abs((angle + np.pi) % (2.0 * np.pi) - np.pi)
    return wrapped


def upright(motion: Motion) -> FloatArray:
    """1 where the pendulum stands, 0 where it hangs, with a peak that rewards precision."""
    height = 0.5 * (1.0 - np.cos(motion.joint_position[:, PENDULUM]))
    peak: FloatArray = np.exp(-((angle_from_upright(motion) / 0.3) ** 2))
    return 0.5 * height + 0.5 * peak


def arm_off_centre(motion: Motion) -> FloatArray:
    """Squared arm angle, rad²."""
    return motion.joint_position[:, ARM] ** 2


def speed(motion: Motion) -> FloatArray:
    """Squared rates of both joints, (rad/s)², where they serve nothing: near upright."""
    near = np.exp(-((angle_from_upright(motion) / 0.5) ** 2))
    rates: FloatArray = near * (motion.joint_velocity**2).sum(axis=1)
    return rates


def arm_beyond_limit(motion: Motion) -> NDArray[np.bool_]:
    """The arm has left the range that the machine allows."""
    return np.abs(motion.joint_position[:, ARM]) > ARM_LIMIT


def stands(motion: Motion) -> NDArray[np.bool_]:
    """The pendulum is within `UPRIGHT_WITHIN` of upright."""
    return angle_from_upright(motion) < UPRIGHT_WITHIN


TASK = Task(
    name="qube_swingup",
    robot="qube",
    description="swing up the pendulum of a Quanser Qube and balance it",
    initial_states={"hanging": hanging, "anywhere": anywhere},
    start="hanging",
    rewards={
        "upright": upright,
        "arm_off_centre": arm_off_centre,
        "speed": speed,
        "action_change": action_change,
    },
    terminations={"arm_beyond_limit": arm_beyond_limit},
    goal=stands,
)
