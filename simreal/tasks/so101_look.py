"""Turn the camera at the SO-101's wrist to a ball on the table: visual servoing, learnt in minutes."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks.so101_kinematics import HOME, PAN, WRIST_FLEX
from simreal.tasks.so101_reach_pixels import BALL, add_ball
from simreal.tasks.task import Motion, Task

CAMERA = "wrist"
SEEN = "ball_seen"
"""The sensor of where the ball is in the camera's frame, which looks along its -z axis."""
FIELD_OF_VIEW = 1.4
"""rad, vertical."""
WITHIN = 0.15
"""rad, about 9 degrees: a tenth of the image's height."""


def add_ball_and_camera(spec: mujoco.MjSpec) -> None:
    """Put a table with a ball under the robot, and a camera before its gripper."""
    add_ball(spec)
    add_wrist_camera(spec)
    spec.add_sensor(
        name=SEEN,
        type=mujoco.mjtSensor.mjSENS_FRAMEPOS,
        objtype=mujoco.mjtObj.mjOBJ_XBODY,
        objname=BALL,
        reftype=mujoco.mjtObj.mjOBJ_CAMERA,
        refname=CAMERA,
    )


def add_wrist_camera(spec: mujoco.MjSpec) -> None:
    """A camera before the gripper, that looks where it points."""
    camera = spec.body("gripper").add_camera(
        name=CAMERA, pos=(0.07, 0.0, -0.01), fovy=float(np.degrees(FIELD_OF_VIEW))
    )
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = (0.0, -1.0, 0.0, 1.0, 0.0, -0.1)


def turned_away(random: EpisodeRandom) -> Start:
    """At home but for the pan, up to 0.25 rad, and the wrist, bent up to 0.4 rad less; at rest."""
    drawn = random.uniform("initial", 2)
    posture = np.tile(HOME, (len(drawn), 1))
    posture[:, PAN] += 0.5 * drawn[:, 0] - 0.25
    posture[:, WRIST_FLEX] -= 0.4 * drawn[:, 1]
    return Start(posture, np.zeros_like(posture))


def off_centre(motion: Motion) -> FloatArray:
    """(count,) rad between where the camera looks and where the ball is."""
    seen = motion.sensor(SEEN)
    angle: FloatArray = np.arctan2(np.hypot(seen[:, 0], seen[:, 1]), -seen[:, 2])
    return angle


def centred(motion: Motion) -> FloatArray:
    """1 with the ball in the middle of the image, 0.37 at 0.12 rad from there."""
    closeness: FloatArray = np.exp(-((off_centre(motion) / 0.12) ** 2))
    return closeness


def in_the_middle(motion: Motion) -> NDArray[np.bool_]:
    """The ball is within `WITHIN` of the middle."""
    return off_centre(motion) < WITHIN


TASK = Task(
    name="so101_look",
    robot="so101",
    description="turn the camera at the wrist of an SO-101 arm to a ball",
    initial_states={"turned_away": turned_away},
    start="turned_away",
    rewards={"off_centre": off_centre, "centred": centred},
    terminations={},
    goal=in_the_middle,
    scene=add_ball_and_camera,
    marks={BALL: ("x", "y")},
    commands=(
        Command(name="x", unit="m", low=0.25, high=0.33),
        Command(name="y", unit="m", low=-0.08, high=0.08),
    ),
    metrics={"off_centre_rad": off_centre},
)
