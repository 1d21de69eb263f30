"""Walk a Unitree Go2 at the velocity and yaw rate that are asked of it."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.rotations import about_z, down_in_body
from simreal.state import FloatArray
from simreal.tasks.task import Motion, Task, action_change

LEGS = ("FL", "FR", "RL", "RR")
POSTURE = np.array([0.1, 0.8, -1.5, -0.1, 0.8, -1.5, 0.1, 1.0, -1.5, -0.1, 1.0, -1.5])
"""rad, of hip, thigh and calf of each leg: the robot's default posture."""
STANDING_HEIGHT = 0.3235
"""m, of the trunk in that posture, with the front feet on the ground."""
SAG = np.array([0.03, 0.0, -0.245, -0.03, 0.0, -0.245, 0.03, 0.0, -0.205, -0.03, 0.0, -0.205])
SAG_HEIGHT = -0.04
"""rad and m that it sinks below that posture once its motors hold its weight at full gains (measured on
this model after 1.5 s; on half gains it would sink to its knees)."""
HIPS, CALVES = slice(0, None, 3), slice(2, None, 3)
CALF_TRAVEL = (-2.7227, -0.83776)
NEAR_STOP = 0.1
"""rad from the ends of a calf's travel, where running against the stop begins to count."""
AT_END = 0.999
"""Of an action's range of 1: from there on it asks for more than it can have."""
TRACKING_WIDTH = 0.25
"""(m/s)² and (rad/s)², as all public tasks for this robot have it."""
SWING_HEIGHT = 0.08
"""m, of a foot's centre in mid-swing."""
TILT_LIMIT = -0.5
"""Of the z component of down in the trunk's axes: 60 degrees."""
TOUCH = 1.0
"""N, from which on a contact counts."""
STANDING_SHARE = 0.1
"""Of the commands: to stand still."""


def ground(spec: mujoco.MjSpec) -> None:
    """A plane, if there is no terrain; the feet's own friction decides."""
    if any(geom.type == mujoco.mjtGeom.mjGEOM_HFIELD for geom in spec.worldbody.geoms):
        return
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05], rgba=[0.35, 0.4, 0.45, 1]
    )


def standing(random: EpisodeRandom) -> Start:
    """At rest in the default posture, facing anywhere."""
    heading = 2.0 * np.pi * random.uniform("heading", 1)[:, 0]
    number = len(heading)
    place = np.zeros((number, 1, 7))
    place[:, 0, 2] = STANDING_HEIGHT
    place[:, 0, 3:] = about_z(heading)
    return Start(np.tile(POSTURE, (number, 1)), np.zeros((number, 12)), place, np.zeros((number, 1, 6)))


def risen(random: EpisodeRandom) -> Start:
    """At rest as a robot is that has risen: sunk by up to 1.5 times its usual sag."""
    start = standing(random)
    share = 1.5 * random.uniform("initial", 1)
    start.joint_position = start.joint_position + share * SAG
    assert start.free_position is not None
    start.free_position[:, 0, 2] += share[:, 0] * SAG_HEIGHT
    return start


def moving(random: EpisodeRandom) -> Start:
    """In motion already, the joints off their posture: what a walk passes through."""
    start = standing(random)
    spread = 2.0 * random.uniform("initial", 12 + 6) - 1.0
    start.joint_position = start.joint_position + 0.2 * spread[:, :12]
    assert start.free_position is not None
    start.free_position[:, 0, 2] += 0.03
    start.free_velocity = 0.5 * spread[:, None, 12:]
    return start


def some_stand_still(
    random: EpisodeRandom, low: FloatArray, high: FloatArray, number: NDArray[np.integer]
) -> FloatArray:
    """Draw velocities evenly, and zero for a share of the episodes."""
    drawn = random.uniform("command", 4, number)
    moves = drawn[:, 3:] >= STANDING_SHARE
    asked: FloatArray = moves * (low + (high - low) * drawn[:, :3])
    return asked


def down(motion: Motion) -> FloatArray:
    """(count, 3) where down is in the trunk's axes."""
    return down_in_body(motion.simulated.free_position[:, 0, 3:])


def velocity(motion: Motion) -> FloatArray:
    """(count, 3) m/s of the trunk, along its own axes."""
    return motion.sensor("base_linear_velocity")


def turning(motion: Motion) -> FloatArray:
    """(count, 3) rad/s of the trunk, about its own axes."""
    return motion.simulated.free_velocity[:, 0, 3:]


def feet(motion: Motion, what: str) -> FloatArray:
    """(count, 4, dimension) of a sensor that each foot has."""
    return np.stack([motion.sensor(f"{leg}_foot_{what}") for leg in LEGS], axis=1)


def touching(motion: Motion) -> FloatArray:
    """(count, 4) 1 where a foot stands on the ground."""
    return (feet(motion, "contact")[..., 0] > TOUCH).astype(np.float64)


def velocity_error(motion: Motion) -> FloatArray:
    """(count,) m/s between what is asked and what is done, in the plane."""
    error: FloatArray = np.linalg.norm(motion.command[:, :2] - velocity(motion)[:, :2], axis=1)
    return error


def yaw_rate_error(motion: Motion) -> FloatArray:
    """(count,) rad/s likewise."""
    return np.abs(motion.command[:, 2] - turning(motion)[:, 2])


def velocity_tracking(motion: Motion) -> FloatArray:
    """1 where the velocity is as asked."""
    return np.exp(-(velocity_error(motion) ** 2) / TRACKING_WIDTH)


def yaw_rate_tracking(motion: Motion) -> FloatArray:
    """1 where the yaw rate is as asked."""
    return np.exp(-(yaw_rate_error(motion) ** 2) / TRACKING_WIDTH)


def alive(motion: Motion) -> FloatArray:
    """1: that it goes on is worth something by itself."""
    return np.ones(len(motion.action))


def bouncing(motion: Motion) -> FloatArray:
    """Squared vertical velocity, (m/s)²."""
    return velocity(motion)[:, 2] ** 2


def rocking(motion: Motion) -> FloatArray:
    """Squared roll and pitch rates, (rad/s)²."""
    rates: FloatArray = (turning(motion)[:, :2] ** 2).sum(axis=1)
    return rates


def tilt(motion: Motion) -> FloatArray:
    """Squared sine of the angle from upright."""
    sine: FloatArray = (down(motion)[:, :2] ** 2).sum(axis=1)
    return sine


def effort(motion: Motion) -> FloatArray:
    """Squared torques, (N·m)²: what heats the motors."""
    squares: FloatArray = (motion.simulated.actuator_force**2).sum(axis=1)
    return squares


def joint_speed(motion: Motion) -> FloatArray:
    """Squared joint velocities, (rad/s)²."""
    squares: FloatArray = (motion.joint_velocity**2).sum(axis=1)
    return squares


def calf_stops(motion: Motion) -> FloatArray:
    """Squared rad by which calves come near the ends of their travel: no robot works against stops."""
    calves = motion.joint_position[:, CALVES]
    low, high = CALF_TRAVEL[0] + NEAR_STOP, CALF_TRAVEL[1] - NEAR_STOP
    beyond = np.maximum(low - calves, 0.0) + np.maximum(calves - high, 0.0)
    squares: FloatArray = (beyond**2).sum(axis=1)
    return squares


def saturation(motion: Motion) -> FloatArray:
    """Actions at an end of their range: the supervisor stops a robot whose policy stays there."""
    ends: FloatArray = (np.abs(motion.action) >= AT_END).sum(axis=1).astype(np.float64)
    return ends


def hips_spread(motion: Motion) -> FloatArray:
    """Squared hip angles, rad²: legs belong below the trunk."""
    angles: FloatArray = ((motion.joint_position - POSTURE)[:, HIPS] ** 2).sum(axis=1)
    return angles


def off_posture(motion: Motion) -> FloatArray:
    """Squared joint angles from the default posture where standing is asked, rad²."""
    asked = np.abs(motion.command).sum(axis=1) > 0.0
    angles: FloatArray = ((motion.joint_position - POSTURE) ** 2).sum(axis=1)
    return np.where(asked, 0.0, angles)


def foot_height(motion: Motion) -> FloatArray:
    """(count, 4) m of each foot's centre above the ground."""
    place = feet(motion, "position")
    height: FloatArray = place[..., 2] - motion.ground_height(place)
    return height


def dragging(motion: Motion) -> FloatArray:
    """Feet that move beside their height in mid-swing: that, squared, by speed, m²·m/s."""
    speed = np.linalg.norm(feet(motion, "velocity")[..., :2], axis=-1)
    error = (foot_height(motion) - SWING_HEIGHT) ** 2
    drag: FloatArray = (error * speed).sum(axis=1)
    return drag


def slipping(motion: Motion) -> FloatArray:
    """Squared speed of feet on the ground, (m/s)²."""
    squares = (feet(motion, "velocity")[..., :2] ** 2).sum(axis=-1)
    slip: FloatArray = (touching(motion) * squares).sum(axis=1)
    return slip


def fallen(motion: Motion) -> NDArray[np.bool_]:
    """The trunk touches the ground, or is tilted beyond the limit."""
    return (motion.sensor("base_contact")[:, 0] > TOUCH) | (down(motion)[:, 2] > TILT_LIMIT)


def follows(motion: Motion) -> NDArray[np.bool_]:
    """Velocity and yaw rate are near what is asked."""
    return (velocity_error(motion) < 0.35) & (yaw_rate_error(motion) < 0.5)


TASK = Task(
    name="go2_velocity",
    robot="go2",
    description="walk a Unitree Go2 at a commanded velocity and yaw rate",
    initial_states={"standing": standing, "risen": risen, "moving": moving},
    start="standing",
    rewards={
        "velocity_tracking": velocity_tracking,
        "yaw_rate_tracking": yaw_rate_tracking,
        "alive": alive,
        "bouncing": bouncing,
        "rocking": rocking,
        "tilt": tilt,
        "effort": effort,
        "joint_speed": joint_speed,
        "action_change": action_change,
        "calf_stops": calf_stops,
        "saturation": saturation,
        "hips_spread": hips_spread,
        "off_posture": off_posture,
        "dragging": dragging,
        "slipping": slipping,
    },
    terminations={"fallen": fallen},
    goal=follows,
    scene=ground,
    commands=(
        Command(name="forward_velocity", unit="m/s", low=-1.0, high=1.0),
        Command(name="left_velocity", unit="m/s", low=-0.5, high=0.5),
        Command(name="yaw_rate", unit="rad/s", low=-1.0, high=1.0),
    ),
    draw_command=some_stand_still,
    reversed_commands=("left_velocity", "yaw_rate"),
    metrics={"velocity_error_m_s": velocity_error, "yaw_rate_error_rad_s": yaw_rate_error},
    privileged={
        "velocity": velocity,
        "turning": turning,
        "down": down,
        "touching": touching,
        "foot_height": foot_height,
    },
)
