"""Pick a cube up with the SO-101 and hold it at a commanded place above the table."""

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.state import FloatArray
from simreal.tasks.so101_cube import (
    LARGEST_HALF_SIZE,
    cube_apart,
    cube_motion,
    jaws_around_cube,
    jaws_from_cube,
    near_cube,
    off_vertical,
    tips_on_table,
)
from simreal.tasks.so101_kinematics import GRIPPER
from simreal.tasks.tabletop import CUBE, add_table_with_cube, cube_lost, cube_position
from simreal.tasks.task import Motion, Task, action_change

WITHIN = 0.025
"""m."""
FULL_SQUEEZE = 0.5
"""N·m of the gripper's servo, about 7 N at the jaws: enough for the heaviest cube."""


def distance_to_target(motion: Motion) -> FloatArray:
    """(count,) m, from the cube's centre."""
    return np.asarray(np.linalg.norm(cube_position(motion) - motion.command, axis=1))


def squeeze(motion: Motion) -> FloatArray:
    """How hard the jaws press while the cube is between them, up to 1: shows that closing pays."""
    press = -motion.simulated.actuator_force[:, GRIPPER] / FULL_SQUEEZE
    between = np.exp(-((jaws_from_cube(motion) / 0.025) ** 2))
    apart = motion.joint_position[:, GRIPPER] > 0.1
    pressed: FloatArray = between * apart * np.clip(press, 0.0, 1.0)
    return pressed


def raised(motion: Motion) -> FloatArray:
    """0 where the cube lies, 1 from 3 cm above that on."""
    height: FloatArray = (cube_position(motion)[:, 2] - LARGEST_HALF_SIZE) / 0.03
    return np.clip(height, 0.0, 1.0)


def towards_target(motion: Motion) -> FloatArray:
    """Of a raised cube: 1 at the target, 0.37 at 10 cm from it."""
    closeness: FloatArray = raised(motion) * np.exp(-distance_to_target(motion) / 0.1)
    return closeness


def at_target(motion: Motion) -> FloatArray:
    """1 with the cube at the target, 0.37 at 2 cm from it."""
    closeness: FloatArray = np.exp(-((distance_to_target(motion) / 0.02) ** 2))
    return closeness


def held(motion: Motion) -> NDArray[np.bool_]:
    """The cube is within 2.5 cm of where it is wanted, in the air."""
    return distance_to_target(motion) < WITHIN


TASK = Task(
    name="so101_lift",
    robot="so101",
    description="pick up a cube with an SO-101 arm and hold it at a place above the table",
    initial_states={"cube_apart": cube_apart, "jaws_around_cube": jaws_around_cube},
    start="cube_apart",
    rewards={
        "near_cube": near_cube,
        "squeeze": squeeze,
        "raised": raised,
        "towards_target": towards_target,
        "at_target": at_target,
        "off_vertical": off_vertical,
        "tips_on_table": tips_on_table,
        "action_change": action_change,
    },
    terminations={"cube_lost": cube_lost},
    goal=held,
    scene=add_table_with_cube,
    objects=(CUBE,),
    commands=(
        Command(name="x", unit="m", low=0.17, high=0.26),
        Command(name="y", unit="m", low=-0.10, high=0.10),
        Command(name="z", unit="m", low=0.07, high=0.15),
    ),
    metrics={"distance_m": distance_to_target, "raised": raised},
    privileged={"cube_motion": cube_motion},
)
