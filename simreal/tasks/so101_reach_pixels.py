"""Bring the SO-101's gripper over a ball on the table, which a camera sees and nobody tells."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.state import FloatArray
from simreal.tasks.so101_reach import distance_to_target, home, near, pitch_error
from simreal.tasks.studio import add_studio
from simreal.tasks.tabletop import add_table
from simreal.tasks.task import Motion, Task, action_change

BALL = "ball"
RADIUS = 0.02
"""m."""
ABOVE = 0.06
"""m over the table, where the gripper's frame is to be: two centimetres over the ball."""
WITHIN = 0.03
"""m."""


def add_ball(spec: mujoco.MjSpec) -> None:
    """Put a table under the robot, with a ball that nothing touches, lamps and what stands about."""
    add_table(spec)
    add_studio(spec, "table")
    ball = spec.worldbody.add_body(name=BALL, mocap=True, pos=(0.22, 0.0, RADIUS))
    ball.add_geom(
        name=BALL,
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[RADIUS, 0.0, 0.0],
        contype=0,
        conaffinity=0,
        rgba=(0.8, 0.1, 0.1, 1.0),
    )


def at_ball(motion: Motion) -> FloatArray:
    """1 over the ball, 0.37 at 1.5 cm from there."""
    closeness: FloatArray = np.exp(-((distance_to_target(motion) / 0.015) ** 2))
    return closeness


def over_ball(motion: Motion) -> NDArray[np.bool_]:
    """The gripper's frame is within 3 cm of the place over the ball."""
    return distance_to_target(motion) < WITHIN


def asked(motion: Motion) -> FloatArray:
    """(count, 5) the place over the ball, and how the gripper is to point."""
    return motion.command


TASK = Task(
    name="so101_reach_pixels",
    robot="so101",
    description="bring the gripper of an SO-101 arm over a ball that a camera sees",
    initial_states={"home": home},
    start="home",
    rewards={
        "distance": distance_to_target,
        "near": near,
        "at_ball": at_ball,
        "pitch_error": pitch_error,
        "action_change": action_change,
    },
    terminations={},
    goal=over_ball,
    scene=add_ball,
    marks={BALL: ("x", "y")},
    commands=(
        Command(name="x", unit="m", low=0.16, high=0.28),
        Command(name="y", unit="m", low=-0.14, high=0.14),
        Command(name="z", unit="m", low=ABOVE, high=ABOVE),
        Command(name="pitch", unit="rad", low=1.4, high=1.4),
        Command(name="roll", unit="rad", low=0.0, high=0.0),
    ),
    metrics={"distance_m": distance_to_target},
    privileged={"asked": asked},
)
