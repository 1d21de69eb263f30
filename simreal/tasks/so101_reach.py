"""Bring the SO-101's gripper to a pose: position, pitch and roll, all that its five joints can give."""

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks.so101_kinematics import (
    GRIPPER_FRAME,
    HOME,
    PAN_AXIS,
    lowest_axis,
    pitch,
    roll,
    site_position,
)
from simreal.tasks.tabletop import add_table
from simreal.tasks.task import Motion, NotInLogError, Task, action_change

POSITION, PITCH, ROLL = slice(0, 3), 3, 4
WITHIN = 0.01
"""m."""
WITHIN_ANGLE = 0.15
"""rad, about 9 degrees."""
TRAVEL_LOW = np.array([-1.5, -1.6, -1.5, -1.5, -1.5, 0.0])
TRAVEL_HIGH = np.array([1.5, 1.6, 1.5, 1.5, 1.5, 1.0])
"""rad, in which postures are drawn: some way from the stops, so that sag does not lead into them."""
CANDIDATES = 32
"""Postures that are drawn for each pose; less than one in a thousand times, none of them is clear."""
CLEARANCE = 0.05
"""m above the table, of each joint and the gripper's frame."""
NEAREST = 0.12
"""m from the axis of pan: nearer, the arm would meet itself, which the model lets pass."""


def home(random: EpisodeRandom) -> Start:
    """Within 0.05 rad of the default position, at rest."""
    spread = 0.1 * random.uniform("initial", 6) - 0.05
    return Start(HOME + spread, np.zeros_like(spread))


def anywhere(random: EpisodeRandom) -> Start:
    """Any posture clear of the table, at rest."""
    posture = clear_postures(random, "initial", np.zeros(len(random.seeds), dtype=np.int64))
    return Start(posture, np.zeros_like(posture))


def clear_postures(
    random: EpisodeRandom,
    stream: str,
    number: NDArray[np.integer],
    low: FloatArray | None = None,
    high: FloatArray | None = None,
) -> FloatArray:
    """(n, 6) rad: of some random postures, the first in which the arm is clear of the table and itself.

    Args:
        random: of n episodes.
        stream: of random numbers.
        number: (n,) which posture of the episode.
        low: (5,) least of each number of the gripper's pose, if there are any.
        high: (5,) likewise.
    """
    count = len(random.seeds)
    drawn = random.uniform(stream, CANDIDATES * 6, number).reshape(-1, 6)
    posture = TRAVEL_LOW + (TRAVEL_HIGH - TRAVEL_LOW) * drawn
    tip = pose(posture)
    distance = np.hypot(tip[:, 0] - PAN_AXIS, tip[:, 1])
    clear = (np.minimum(lowest_axis(posture), tip[:, 2]) > CLEARANCE) & (distance > NEAREST)
    if low is not None and high is not None:
        clear &= ((low <= tip) & (tip <= high)).all(axis=1)
    first = clear.reshape(count, CANDIDATES).argmax(axis=1)
    chosen = np.arange(count) * CANDIDATES + first
    return np.where(clear[chosen, None], posture[chosen], HOME)


def pose(joint_position: FloatArray) -> FloatArray:
    """(n, 5) position in m, pitch and roll in rad of the gripper's frame."""
    angles = np.stack([pitch(joint_position), roll(joint_position)], axis=1)
    return np.concatenate([site_position(joint_position, GRIPPER_FRAME), angles], axis=1)


def draw_pose(
    random: EpisodeRandom, low: FloatArray, high: FloatArray, number: NDArray[np.integer]
) -> FloatArray:
    """(n, 5) poses that the arm can take, by forward kinematics; their ranges are the bounds."""
    return pose(clear_postures(random, "command", number, low, high))


def distance_to_target(motion: Motion) -> FloatArray:
    """(count,) m, from the gripper's frame; of a log, where the measured joints say that it is."""
    try:
        place = motion.sensor("gripper_position")
    except NotInLogError:
        place = site_position(motion.joint_position, GRIPPER_FRAME)
    apart: FloatArray = place - motion.command[:, POSITION]
    return np.asarray(np.linalg.norm(apart, axis=1))


def pitch_error(motion: Motion) -> FloatArray:
    """(count,) rad, by how far the gripper points too high or too low."""
    error: FloatArray = np.abs(pitch(motion.joint_position) - motion.command[:, PITCH])
    return error


def roll_error(motion: Motion) -> FloatArray:
    """(count,) rad, by how far the jaws are turned too much or too little."""
    error: FloatArray = np.abs(roll(motion.joint_position) - motion.command[:, ROLL])
    return error


def near(motion: Motion) -> FloatArray:
    """1 at the target, 0.37 at 5 cm from it: shows the way from afar."""
    closeness: FloatArray = np.exp(-distance_to_target(motion) / 0.05)
    return closeness


def at_target(motion: Motion) -> FloatArray:
    """1 at the target, 0.37 where one error is as large as allowed: rewards being precise in all."""
    angles = pitch_error(motion) ** 2 + roll_error(motion) ** 2
    away = (distance_to_target(motion) / WITHIN) ** 2 + angles / WITHIN_ANGLE**2
    closeness: FloatArray = np.exp(-away)
    return closeness


def reached(motion: Motion) -> NDArray[np.bool_]:
    """The gripper is within 1 cm of the position and 0.15 rad of pitch and roll."""
    turned = np.maximum(pitch_error(motion), roll_error(motion))
    return (distance_to_target(motion) < WITHIN) & (turned < WITHIN_ANGLE)


TASK = Task(
    name="so101_reach",
    robot="so101",
    description="bring the gripper of an SO-101 arm to a position, pitch and roll",
    initial_states={"home": home, "anywhere": anywhere},
    start="home",
    rewards={
        "distance": distance_to_target,
        "near": near,
        "at_target": at_target,
        "pitch_error": pitch_error,
        "roll_error": roll_error,
        "action_change": action_change,
    },
    terminations={},
    goal=reached,
    scene=add_table,
    commands=(
        Command(name="x", unit="m", low=0.05, high=0.42),
        Command(name="y", unit="m", low=-0.35, high=0.35),
        Command(name="z", unit="m", low=0.05, high=0.35),
        Command(name="pitch", unit="rad", low=-0.5, high=2.0),
        Command(name="roll", unit="rad", low=-1.5, high=1.5),
    ),
    draw_command=draw_pose,
    metrics={
        "distance_m": distance_to_target,
        "pitch_error_rad": pitch_error,
        "roll_error_rad": roll_error,
    },
)
