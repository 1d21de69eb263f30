"""What lifting and pushing a cube with the SO-101 share: how episodes begin, and what is near."""

import numpy as np

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.rotations import about_z
from simreal.state import FloatArray
from simreal.tasks.so101_kinematics import HOME, PAN_AXIS, pitch, pointing_down, roll
from simreal.tasks.tabletop import cube_position
from simreal.tasks.task import Motion

NEAREST, FARTHEST = 0.17, 0.27
"""m, along x, where a cube may lie."""
ASIDE = 0.10
"""m, to either side."""
LARGEST_HALF_SIZE = 0.0225
"""m, of half the edge of a cube that is drawn; each is let go above the table by what it is smaller."""
WIDE_OPEN = 0.7
"""rad, of the gripper: wider than the largest cube."""
BESIDE_FIXED_JAW = 0.010
"""m, by which the grasp site stays back from a cube of unknown size: the fixed jaw stays clear."""
TIP_BELOW_FRAME = 0.0036
"""m, from the gripper's frame to the tips along the direction in which it points."""
POINTING_DOWN = (0.10, 0.26)
"""m, from the axis of pan, between which the gripper can point down at the table."""


def arm_at_home(random: EpisodeRandom) -> FloatArray:
    """(n, 6) rad, within 0.05 rad of the default position."""
    return HOME + 0.1 * random.uniform("initial_arm", 6) - 0.05


def cube_on_table(random: EpisodeRandom) -> tuple[FloatArray, FloatArray]:
    """(n, 3) m and (n,) rad: a place of the cube and its yaw, all that a cube's symmetry tells apart."""
    drawn = random.uniform("initial_cube", 3)
    x = NEAREST + (FARTHEST - NEAREST) * drawn[:, 0]
    y = ASIDE * (2.0 * drawn[:, 1] - 1.0)
    yaw = 0.5 * np.pi * (drawn[:, 2] - 0.5)
    return np.stack([x, y, np.full_like(x, LARGEST_HALF_SIZE + 1e-3)], axis=1), yaw


def start(arm: FloatArray, place: FloatArray, yaw: FloatArray) -> Start:
    """Everything at rest: (n, 6) rad of the arm, (n, 3) m and (n,) rad of the cube."""
    pose = np.concatenate([place, about_z(yaw)], axis=1)
    return Start(arm, np.zeros_like(arm), pose[:, None], np.zeros((len(arm), 1, 6)))


def cube_apart(random: EpisodeRandom) -> Start:
    """The arm at home, the cube somewhere on the table before it: what the real machine meets."""
    place, yaw = cube_on_table(random)
    return start(arm_at_home(random), place, yaw)


def jaws_around_cube(random: EpisodeRandom) -> Start:
    """The open jaws around the cube, or up to 5 cm above that, pointing down: what grasping leads to."""
    place, yaw = cube_on_table(random)
    back = BESIDE_FIXED_JAW * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    above = 0.05 * np.maximum(2.0 * random.uniform("initial_height", 1) - 1.0, 0.0)
    grasp = np.concatenate([place[:, :2] - back, place[:, 2:] + above], axis=1)
    arm = pointing_down(grasp, yaw, np.full(len(yaw), WIDE_OPEN))
    return start(arm, place, yaw)


def jaws_beside_cube(random: EpisodeRandom) -> Start:
    """The closed jaws beside the cube, 5 to 8 cm from its centre, pointing down.

    In any direction, but for those in which the arm would have to bend or stretch further than it can.
    """
    place, yaw = cube_on_table(random)
    drawn = random.uniform("initial_side", 2)
    angle, away = 2.0 * np.pi * drawn[:, 0], 0.05 + 0.03 * drawn[:, 1]
    aside = away[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    reach = np.linalg.norm(place[:, :2] + aside - [PAN_AXIS, 0.0], axis=1, keepdims=True)
    aside *= np.where((reach < POINTING_DOWN[0]) | (reach > POINTING_DOWN[1]), -1.0, 1.0)
    tip = np.concatenate([place[:, :2] + aside, np.full((len(yaw), 1), LARGEST_HALF_SIZE)], axis=1)
    arm = pointing_down(tip, 0.0 * yaw, 0.0 * yaw)
    return start(arm, place, yaw)


def jaws_from_cube(motion: Motion) -> FloatArray:
    """(count,) m, from between the jaws to the cube's centre."""
    return np.asarray(np.linalg.norm(motion.sensor("grasp_position") - cube_position(motion), axis=1))


def cube_motion(motion: Motion) -> FloatArray:
    """(count, 12) where the cube is from the jaws in m, and the velocities of cube and joints."""
    physics = motion.simulated
    way = cube_position(motion) - motion.sensor("grasp_position")
    return np.concatenate([way, physics.free_velocity[:, 0, :3], motion.joint_velocity], axis=1)


def off_vertical(motion: Motion) -> FloatArray:
    """Squared angles in rad², by which the gripper does not point down, and its jaws are rolled."""
    joints = motion.joint_position
    angles: FloatArray = (pitch(joints) - 0.5 * np.pi) ** 2 + 0.25 * roll(joints) ** 2
    return angles


def tips_on_table(motion: Motion) -> FloatArray:
    """0 with the jaws' tips 5 mm above the table or more, 1 where they touch it.

    A gripper that leans on the table sticks to it, and its servos' targets lead ever further down.
    """
    height = motion.sensor("gripper_position")[:, 2] - TIP_BELOW_FRAME
    return np.asarray(np.clip(1.0 - height / 0.005, 0.0, 2.0))


def near_cube(motion: Motion) -> FloatArray:
    """1 with the cube between the jaws, 0.37 at 6 cm from it."""
    closeness: FloatArray = np.exp(-jaws_from_cube(motion) / 0.06)
    return closeness
