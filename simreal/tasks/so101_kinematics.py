"""Where the SO-101 has its gripper, and which joints put it there: for drawing what can be reached.

The arm turns about a vertical axis at its shoulder (pan); lift, elbow and wrist move it in the plane
that it points along; the last joint rolls the gripper about the direction in which it points. So its
five joints give a position, a pitch and a roll, and no more. Lengths follow from
robots/so101/model.xml with all joints at zero.
"""

import numpy as np

from simreal.state import FloatArray

PAN, LIFT, ELBOW, WRIST_FLEX, WRIST_ROLL, GRIPPER = range(6)
HOME = np.array([0.0, -0.35, 0.25, 1.5, 0.05, 0.5])
"""rad, the default position in robots/so101/robot.yaml."""
PAN_AXIS = 0.0388353
"""m, where the axis of pan stands on the base's x axis."""
SHOULDER = np.array([0.0303992, 0.1166])
"""m, the lift's axis: out from that of pan, and up."""
UPPER_ARM = np.array([0.028, 0.11257])
"""m, from there to the elbow's axis, out and up at zero; and so on."""
FOREARM = np.array([0.1349, 0.0052])
WRIST = np.array([0.0611, 0.0])
"""m, from the wrist's axis to the gripper's frame, along the direction in which it points."""
ROLL_AT_ZERO = -0.0486795
"""rad, of the gripper where wrist_roll reads zero."""
SIDEWAYS = -0.0001778
"""m, the gripper's frame to the left of the plane through the axis of pan."""
GRIPPER_FRAME = np.array([-0.0079, -0.000218, -0.0981274])
"""m, the site of that name in the gripper's frame."""
GRASP = np.array([0.0077, -0.000218, -0.088])
"""m, the site between the jaws in the gripper's frame."""


def pitch(joint_position: FloatArray) -> FloatArray:
    """(n,) rad below the horizontal, at which (n, 6) joint positions make the gripper point."""
    angle: FloatArray = joint_position[:, LIFT : WRIST_FLEX + 1].sum(axis=1)
    return angle


def roll(joint_position: FloatArray) -> FloatArray:
    """(n,) rad, by which the jaws are turned out of the arm's plane."""
    angle: FloatArray = joint_position[:, WRIST_ROLL] + ROLL_AT_ZERO
    return angle


def site_position(joint_position: FloatArray, site: FloatArray) -> FloatArray:
    """Where a point of the gripper is.

    Args:
        joint_position: (n, 6) rad.
        site: (3,) m, the point in the gripper's frame.

    Returns:
        (n, 3) m, in the base's frame.
    """
    wrist, pitched = _wrist(joint_position)
    rolled = roll(joint_position)
    upwards = site[0] * np.cos(rolled) - site[1] * np.sin(rolled)
    left = site[0] * np.sin(rolled) + site[1] * np.cos(rolled) + SIDEWAYS
    along = np.stack([WRIST[0] - site[2] + 0.0 * upwards, upwards], axis=1)
    in_plane = wrist + _turned_down(along, pitched)
    azimuth = -joint_position[:, PAN]
    x = in_plane[:, 0] * np.cos(azimuth) - left * np.sin(azimuth)
    y = in_plane[:, 0] * np.sin(azimuth) + left * np.cos(azimuth)
    return np.stack([PAN_AXIS + x, y, in_plane[:, 1]], axis=1)


def lowest_axis(joint_position: FloatArray) -> FloatArray:
    """(n,) m, height of the lower of the elbow's and the wrist's axis."""
    elbow = SHOULDER + _turned_down(UPPER_ARM, joint_position[:, LIFT])
    wrist, _ = _wrist(joint_position)
    height: FloatArray = np.minimum(elbow[:, 1], wrist[:, 1])
    return height


def pointing_down(position: FloatArray, yaw: FloatArray, opening: FloatArray) -> FloatArray:
    """Joints that hold the grasp site somewhere, with the gripper pointing straight down.

    Two links in a plane, the elbow up: the law of cosines.

    Args:
        position: (n, 3) m, of the grasp site; for what is too far away, the arm is stretched.
        yaw: (n,) rad, direction from the fixed jaw to the moving one, about the vertical from x.
        opening: (n,) rad, of the gripper's joint.

    Returns:
        (n, 6) rad.
    """
    towards = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    across = np.stack([-towards[:, 1], towards[:, 0]], axis=1)
    axis = position[:, :2] - GRASP[0] * towards - GRASP[1] * across - [PAN_AXIS, 0.0]
    azimuth = np.arctan2(axis[:, 1], axis[:, 0])
    reach = np.hypot(axis[:, 0], axis[:, 1])
    height = position[:, 2] + WRIST[0] - GRASP[2]
    lift, elbow = _two_links(np.stack([reach, height], axis=1) - SHOULDER)
    wrist_flex = 0.5 * np.pi - lift - elbow
    return np.stack(
        [-azimuth, lift, elbow, wrist_flex, yaw - azimuth - ROLL_AT_ZERO, opening + 0.0 * lift], axis=1
    )


def _two_links(wrist: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lift and elbow, (n,) rad, that put the wrist's axis at (n, 2) m from the lift's, out and up."""
    upper, fore = np.hypot(*UPPER_ARM), np.hypot(*FOREARM)
    distance = np.hypot(wrist[:, 0], wrist[:, 1])
    cosine = (distance**2 - upper**2 - fore**2) / (2.0 * upper * fore)
    bend = np.arccos(np.clip(cosine, -1.0, 1.0))
    upper_direction = np.arctan2(wrist[:, 1], wrist[:, 0]) + np.arctan2(
        fore * np.sin(bend), upper + fore * np.cos(bend)
    )
    upper_at_zero = np.arctan2(UPPER_ARM[1], UPPER_ARM[0])
    fore_at_zero = np.arctan2(FOREARM[1], FOREARM[0])
    return upper_at_zero - upper_direction, bend - (upper_at_zero - fore_at_zero)


def _wrist(joint_position: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The wrist's axis, (n, 2) m out and up in the arm's plane, and the gripper's pitch, (n,) rad."""
    lift, elbow = joint_position[:, LIFT], joint_position[:, ELBOW]
    upper = _turned_down(UPPER_ARM, lift)
    return SHOULDER + upper + _turned_down(FOREARM, lift + elbow), pitch(joint_position)


def _turned_down(vector: FloatArray, angle: FloatArray) -> FloatArray:
    """(..., 2) vectors, out and up, turned towards down by (n,) rad."""
    out, up = vector[..., 0], vector[..., 1]
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.stack([out * cosine + up * sine, up * cosine - out * sine], axis=-1)
