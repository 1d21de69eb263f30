"""A table to which an arm is clamped, a cube that lies on it, and where a cube is."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.state import FloatArray
from simreal.tasks.task import Motion

CUBE = "cube"
CUBE_HALF_SIZE = 0.015
"""m."""
CUBE_DENSITY = 1000.0
"""kg/m³: about that of a solid printed cube; 27 g at 30 mm."""
TABLE_BIT, ROBOT_BIT = 2, 1
"""Of contype: what a table is, and a robot's own geoms are; conaffinity says what a geom meets."""
REACH = 0.40
"""m from the base, beyond which a cube cannot be fetched back."""
TOO_CLOSE = 0.07
"""m, at which a cube lies against the base."""


def add_table(spec: mujoco.MjSpec) -> None:
    """Put a table under the robot, at the height of its base."""
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0.6, 0.6, 0.05),
        contype=TABLE_BIT,
        conaffinity=ROBOT_BIT,
        friction=(0.6, 0.005, 0.0001),
        rgba=(0.55, 0.5, 0.45, 1.0),
    )


def add_table_with_cube(spec: mujoco.MjSpec) -> None:
    """Put a table under the robot, and a cube that lies freely on it and that a tracker sees."""
    add_table(spec)
    body = spec.worldbody.add_body(name=CUBE, pos=(0.22, 0.0, CUBE_HALF_SIZE))
    body.add_freejoint(name=CUBE)
    body.add_geom(
        name=CUBE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[CUBE_HALF_SIZE] * 3,
        mass=CUBE_DENSITY * (2.0 * CUBE_HALF_SIZE) ** 3,
        contype=0,
        conaffinity=TABLE_BIT | ROBOT_BIT,
        condim=4,
        friction=(0.6, 0.005, 0.0001),
        rgba=(0.75, 0.15, 0.12, 1.0),
    )
    for name, kind in (
        (f"{CUBE}_position", mujoco.mjtSensor.mjSENS_FRAMEPOS),
        (f"{CUBE}_orientation", mujoco.mjtSensor.mjSENS_FRAMEQUAT),
    ):
        # xbody: the cube's own frame. That of its inertia may turn when its size is drawn.
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_XBODY, objname=CUBE)


def cube_position(motion: Motion) -> FloatArray:
    """(count, 3) m, of the cube's centre."""
    place: FloatArray = motion.simulated.free_position[:, 0, :3]
    return place


def cube_lost(motion: Motion) -> NDArray[np.bool_]:
    """The cube lies where the arm cannot fetch it."""
    place = cube_position(motion)
    away = np.hypot(place[:, 0], place[:, 1])
    return (away > REACH) | (away < TOO_CLOSE) | (place[:, 2] < 0.0)
