"""Push a cube over the table with the SO-101 to a commanded place, and leave it there."""

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.state import FloatArray
from simreal.tasks.so101_cube import (
    cube_apart,
    cube_motion,
    jaws_around_cube,
    jaws_beside_cube,
    off_vertical,
    tips_on_table,
)
from simreal.tasks.tabletop import CUBE, add_table_with_cube, cube_lost, cube_position
from simreal.tasks.task import Motion, Task, action_change

WITHIN = 0.025
"""m."""
DONE = 0.012
"""m, from where on it does not matter any more where the jaws are."""
BEHIND = 0.035
"""m, from a cube's centre to the middle of jaws that push it."""
LOW = 0.022
"""m, height of the grasp site over the table when pushing: the tips are 1.4 cm lower."""


def distance_to_target(motion: Motion) -> FloatArray:
    """(count,) m over the table, from the cube's centre."""
    apart = cube_position(motion)[:, :2] - motion.command
    return np.asarray(np.hypot(apart[:, 0], apart[:, 1]))


def behind_cube(motion: Motion) -> FloatArray:
    """1 with the jaws where they push the cube to its target, 0.37 at 5 cm from there; 1 once done."""
    cube, distance = cube_position(motion), distance_to_target(motion)
    direction = (motion.command - cube[:, :2]) / np.maximum(distance, 1e-6)[:, None]
    place = np.concatenate([cube[:, :2] - BEHIND * direction, np.full((len(cube), 1), LOW)], axis=1)
    away = np.linalg.norm(motion.sensor("grasp_position") - place, axis=1)
    closeness: FloatArray = np.where(distance < DONE, 1.0, np.exp(-away / 0.05))
    return closeness


def towards_target(motion: Motion) -> FloatArray:
    """1 with the cube at the target, 0.37 at 8 cm from it."""
    closeness: FloatArray = np.exp(-distance_to_target(motion) / 0.08)
    return closeness


def at_target(motion: Motion) -> FloatArray:
    """1 with the cube at the target, 0.37 at 2 cm from it."""
    closeness: FloatArray = np.exp(-((distance_to_target(motion) / 0.02) ** 2))
    return closeness


def there(motion: Motion) -> NDArray[np.bool_]:
    """The cube is within 2.5 cm of where it is wanted."""
    return distance_to_target(motion) < WITHIN


TASK = Task(
    name="so101_push",
    robot="so101",
    description="push a cube over the table to a place with an SO-101 arm",
    initial_states={
        "cube_apart": cube_apart,
        "jaws_beside_cube": jaws_beside_cube,
        "jaws_around_cube": jaws_around_cube,
    },
    start="cube_apart",
    rewards={
        "behind_cube": behind_cube,
        "towards_target": towards_target,
        "at_target": at_target,
        "off_vertical": off_vertical,
        "tips_on_table": tips_on_table,
        "action_change": action_change,
    },
    terminations={"cube_lost": cube_lost},
    goal=there,
    scene=add_table_with_cube,
    objects=(CUBE,),
    commands=(
        Command(name="x", unit="m", low=0.17, high=0.27),
        Command(name="y", unit="m", low=-0.10, high=0.10),
    ),
    metrics={"distance_m": distance_to_target},
    privileged={"cube_motion": cube_motion},
)
