"""Push a cube with the SO-101 to a commanded place; a camera sees it, and no tracker reports it."""

from dataclasses import replace

import mujoco
import numpy as np

from simreal.state import FloatArray
from simreal.tasks import so101_push
from simreal.tasks.so101_cube import ASIDE, FARTHEST, NEAREST
from simreal.tasks.studio import add_studio
from simreal.tasks.tabletop import add_table_with_cube, cube_position
from simreal.tasks.task import Motion

CENTRE = np.array([0.5 * (NEAREST + FARTHEST), 0.0])
HALF_SIZE = np.array([0.5 * (FARTHEST - NEAREST), ASIDE])
"""m, of where cubes lie at first."""


def add_studio_with_cube(spec: mujoco.MjSpec) -> None:
    """Put a table with a cube under the robot, lamps and what stands about."""
    add_table_with_cube(spec)
    add_studio(spec, "table")


def cube_place(motion: Motion) -> FloatArray:
    """(count, 2) where on the table the cube is; within -1 to 1 at first."""
    place: FloatArray = (cube_position(motion)[:, :2] - CENTRE) / HALF_SIZE
    return place


TASK = replace(
    so101_push.TASK,
    name="so101_push_pixels",
    description="push a cube that a camera sees to a place with an SO-101 arm",
    scene=add_studio_with_cube,
    privileged={**so101_push.TASK.privileged, "cube_place": cube_place},
)
