"""Balance the pendulum of the Qube, which a camera sees and no encoder reports."""

from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks import qube_swingup
from simreal.tasks.qube_swingup import ARM, PENDULUM, angle_from_upright
from simreal.tasks.studio import add_studio
from simreal.tasks.task import Motion

FALLEN = 0.7
"""rad from upright, from where 4 V do not bring it back."""


def add_desk(spec: mujoco.MjSpec) -> None:
    """Put a desk under the robot, lamps, what stands about, and walls."""
    spec.worldbody.add_geom(name="desk", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0.6, 0.6, 0.05))
    add_studio(spec, "desk")


def held_upright(random: EpisodeRandom) -> Start:
    """As a hand lets go of it: within 0.1 rad of upright, the arm within 0.3 rad of its middle."""
    spread = 2.0 * random.uniform("initial", 4) - 1.0
    position = np.array([0.0, np.pi]) + spread[:, :2] * np.array([0.3, 0.1])
    return Start(position, spread[:, 2:] * 0.3)


def pendulum(motion: Motion) -> FloatArray:
    """(count, 2) angle from upright in units of 0.5 rad, and its rate in units of 5 rad/s."""
    angle = motion.joint_position[:, PENDULUM] - np.pi
    wrapped = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return np.stack([2.0 * wrapped, 0.2 * motion.joint_velocity[:, PENDULUM]], axis=1)


def fallen(motion: Motion) -> NDArray[np.bool_]:
    """The pendulum is beyond recovery."""
    return angle_from_upright(motion) > FALLEN


def arm(motion: Motion) -> FloatArray:
    """(count,) rad, of the arm from its middle."""
    return np.abs(motion.joint_position[:, ARM])


TASK = replace(
    qube_swingup.TASK,
    name="qube_pixels",
    description="balance the pendulum of a Quanser Qube that a camera sees",
    initial_states={"held_upright": held_upright},
    start="held_upright",
    terminations={**qube_swingup.TASK.terminations, "fallen": fallen},
    scene=add_desk,
    metrics={"angle_from_upright_rad": angle_from_upright, "arm_rad": arm},
    privileged={"pendulum": pendulum},
)
