"""Follow a line on the table with the SO-101's gripper, seen by a camera that looks down beside it."""

from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks.so101_kinematics import GRASP, PAN_AXIS, pointing_down, site_position
from simreal.tasks.so101_look import add_wrist_camera
from simreal.tasks.studio import add_studio
from simreal.tasks.tabletop import add_table
from simreal.tasks.task import Motion, Task, action_change

LINE = "line"
RADIUS, SWING, WAVES = 0.18, 0.02, 5.0
"""The line is a wave around the axis of pan: m, m, and waves on a full turn."""
WIDE = 1.1
"""rad to each side, where the line ends."""
PIECES = 28
HALF_WIDTH, HALF_HEIGHT = 0.006, 0.0005
"""m."""
HEIGHT = 0.06
"""m of the grasp site over the table."""
BEGIN = 0.6
"""rad to the right, where the gripper begins; it ends as far to the left."""
WITHIN = 0.01
"""m."""
ANGLES = np.linspace(-WIDE, WIDE, 601)


def points(angle: FloatArray) -> FloatArray:
    """(n, 2) m, of the line, around its centre, at (n,) rad to the left of ahead."""
    radius = RADIUS + SWING * np.sin(WAVES * angle)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


POINTS = points(ANGLES)


def add_line(spec: mujoco.MjSpec) -> None:
    """Put a table with a line under the robot, a camera before its gripper, and a studio around them."""
    add_table(spec)
    add_studio(spec, "table")
    add_wrist_camera(spec)
    line = spec.worldbody.add_body(name=LINE, mocap=True, pos=(PAN_AXIS, 0.0, HALF_HEIGHT))
    ends = points(np.linspace(-WIDE, WIDE, PIECES + 1))
    for number, (begin, end) in enumerate(pairwise(ends)):
        along = end - begin
        length = float(np.hypot(*along))
        line.add_geom(
            name=f"{LINE}{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.5 * length + HALF_WIDTH, HALF_WIDTH, HALF_HEIGHT],
            pos=[*(0.5 * (begin + end)), 0.0],
            quat=_about_vertical(float(np.arctan2(along[1], along[0]))),
            contype=0,
            conaffinity=0,
            rgba=(0.8, 0.1, 0.1, 1.0),
        )


def _about_vertical(angle: float) -> list[float]:
    """The quaternion of a turn."""
    return [float(np.cos(0.5 * angle)), 0.0, 0.0, float(np.sin(0.5 * angle))]


def at_its_right(random: EpisodeRandom) -> Start:
    """Pointing down, up to 1.5 cm nearer or further than the middle of the line, at rest."""
    drawn = random.uniform("initial", 2)
    angle, radius = -BEGIN + 0.1 * drawn[:, 0] - 0.05, RADIUS + 0.03 * drawn[:, 1] - 0.015
    place = np.stack(
        [PAN_AXIS + radius * np.cos(angle), radius * np.sin(angle), np.full(len(angle), HEIGHT)], axis=1
    )
    posture = pointing_down(place, angle, np.full(len(angle), 0.3))
    return Start(posture, np.zeros_like(posture))


def off_line(motion: Motion) -> FloatArray:
    """(count,) m between the place under the grasp site and the line."""
    grasp = site_position(motion.joint_position, GRASP)[:, :2] - motion.command
    apart = np.linalg.norm(grasp[:, None] - POINTS[None], axis=2)
    distance: FloatArray = apart.min(axis=1)
    return distance


def on_line(motion: Motion) -> FloatArray:
    """1 over the line, 0.37 at 8 mm from it."""
    closeness: FloatArray = np.exp(-((off_line(motion) / 0.008) ** 2))
    return closeness


def over_line(motion: Motion) -> NDArray[np.bool_]:
    """The grasp site is over the line, to a centimetre."""
    return off_line(motion) < WITHIN


TASK = Task(
    name="so101_line",
    robot="so101",
    description="follow a line on a table with an SO-101's gripper, seen from above",
    initial_states={"at_its_right": at_its_right},
    start="at_its_right",
    rewards={"off_line": off_line, "on_line": on_line, "action_change": action_change},
    terminations={},
    goal=over_line,
    success_share=0.8,
    scene=add_line,
    marks={LINE: ("x", "y")},
    commands=(
        Command(name="x", unit="m", low=PAN_AXIS - 0.015, high=PAN_AXIS + 0.015),
        Command(name="y", unit="m", low=-0.04, high=0.04),
    ),
    metrics={"off_line_m": off_line},
)
