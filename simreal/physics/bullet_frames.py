"""Free bodies as MuJoCo and as Bullet tell of them.

MuJoCo: place of the body's frame, orientation of its axes w, x, y, z; velocity of the frame's origin
along the world's axes, angular velocity along the body's. Bullet: centre of mass, orientation of the
principal axes x, y, z, w; velocity of the centre of mass and angular velocity, along the world's axes.
"""

import numpy as np

from simreal.rotations import into_body, multiply
from simreal.state import FloatArray


def turn(orientation: FloatArray, vector: FloatArray) -> FloatArray:
    """(..., 3) vectors turned by (..., 4) quaternions w, x, y, z."""
    return into_body(reversed_turn(orientation), vector)


def reversed_turn(orientation: FloatArray) -> FloatArray:
    """(..., 4) inverse rotations."""
    inverse: FloatArray = orientation * np.array([1.0, -1.0, -1.0, -1.0])
    return inverse


def to_bullet(
    position: FloatArray, velocity: FloatArray, centre: FloatArray, frame: FloatArray
) -> FloatArray:
    """State of free bodies for Bullet.

    Args:
        position: (..., 7) of MuJoCo.
        velocity: (..., 6) of MuJoCo.
        centre: (..., 3) m, centre of mass in the body's frame.
        frame: (..., 4) principal axes in the body's frame.

    Returns:
        (..., 13): 3 of place, 4 of orientation, 3 of velocity and 3 of angular velocity.
    """
    place, turned = position[..., :3], position[..., 3:]
    lever = turn(turned, centre)
    spin = turn(turned, velocity[..., 3:])
    axes = np.roll(multiply(turned, frame), -1, axis=-1)
    moving = velocity[..., :3] + np.cross(spin, lever)
    return np.concatenate((place + lever, axes, moving, spin), axis=-1)


def from_bullet(
    bases: FloatArray, centre: FloatArray, frame: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(..., 7) positions and (..., 6) velocities of MuJoCo, from (..., 13) of Bullet."""
    axes = np.roll(bases[..., 3:7], 1, axis=-1)
    turned = multiply(axes, reversed_turn(frame))
    turned = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    lever = turn(turned, centre)
    moving, spin = bases[..., 7:10], bases[..., 10:]
    velocity = np.concatenate((moving - np.cross(spin, lever), into_body(turned, spin)), axis=-1)
    return np.concatenate((bases[..., :3] - lever, turned), axis=-1), velocity


def wrench_at_centre(force: FloatArray, position: FloatArray, centre: FloatArray) -> FloatArray:
    """Generalised force of a free joint as force and torque at the centre of mass.

    Args:
        force: (..., 6) N along the world's axes at the frame's origin, and N·m along the body's.
        position: (..., 7) of MuJoCo.
        centre: (..., 3) m, in the body's frame.

    Returns:
        (..., 6) N and N·m along the world's axes.
    """
    turned = position[..., 3:]
    torque = turn(turned, force[..., 3:]) - np.cross(turn(turned, centre), force[..., :3])
    return np.concatenate((force[..., :3], torque), axis=-1)
