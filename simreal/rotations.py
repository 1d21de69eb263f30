"""Rotations as unit quaternions w, x, y, z, from a body's axes to the world's; any leading shape."""

import numpy as np

from simreal.state import FloatArray


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """The rotation `right`, and then `left`: (..., 4)."""
    w, x, y, z = np.moveaxis(left, -1, 0)
    a, b, c, d = np.moveaxis(right, -1, 0)
    return np.stack(
        (
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        ),
        axis=-1,
    )


def small_rotation(vector: FloatArray) -> FloatArray:
    """The rotation about a (..., 3) vector by its length in rad, to second order."""
    half = 0.5 * vector
    quaternion = np.concatenate((np.ones((*vector.shape[:-1], 1)), half), axis=-1)
    unit: FloatArray = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return unit


def about_z(angle: FloatArray) -> FloatArray:
    """The rotation about the vertical by (...) rad, (..., 4)."""
    zero = np.zeros_like(angle)
    return np.stack((np.cos(0.5 * angle), zero, zero, np.sin(0.5 * angle)), axis=-1)


def down_in_body(orientation: FloatArray) -> FloatArray:
    """(..., 3) where down is in the body's axes: the third row of the rotation's matrix, negated."""
    w, x, y, z = (orientation[..., place] for place in range(4))
    # Written in place: on one robot, stacking takes as long as all the rest.
    down = np.empty((*orientation.shape[:-1], 3))
    down[..., 0] = 2.0 * (w * y - x * z)
    down[..., 1] = -2.0 * (y * z + w * x)
    down[..., 2] = 1.0 - 2.0 * (w * w + z * z)
    return down


def into_body(orientation: FloatArray, vector: FloatArray) -> FloatArray:
    """A (..., 3) vector of the world in the body's axes."""
    w, axis = orientation[..., :1], -orientation[..., 1:]
    across = 2.0 * np.cross(axis, vector)
    turned: FloatArray = vector + w * across + np.cross(axis, across)
    return turned
