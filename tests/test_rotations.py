"""Tests of rotations against SciPy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.rotations import about_z, down_in_body, into_body, multiply, small_rotation

seeds = st.integers(0, 2**32 - 1)


def random_rotations(seed: int, count: int = 5) -> tuple[Rotation, NDArray[np.float64]]:
    """As SciPy has them, and as w, x, y, z."""
    rotations = Rotation.random(count, rng=np.random.default_rng(seed))
    return rotations, rotations.as_quat()[:, [3, 0, 1, 2]]


@given(seeds)
def test_a_product_turns_by_one_and_then_by_the_other(seed: int) -> None:
    (left, a), (right, b) = random_rotations(seed), random_rotations(seed + 1)
    expected = (left * right).as_matrix()
    found = Rotation.from_quat(multiply(a, b)[:, [1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(seeds)
def test_vectors_of_the_world_are_seen_in_the_bodys_axes(seed: int) -> None:
    rotations, quaternions = random_rotations(seed)
    vectors = np.random.default_rng(seed).normal(size=(5, 3))
    np.testing.assert_allclose(
        into_body(quaternions, vectors), rotations.inv().apply(vectors), atol=1e-12
    )
    down = rotations.inv().apply([0.0, 0.0, -1.0])
    np.testing.assert_allclose(down_in_body(quaternions), down, atol=1e-12)


@given(seeds, st.floats(0.0, 0.1))
def test_a_small_rotation_is_right_to_third_order(seed: int, angle: float) -> None:
    axis = np.random.default_rng(seed).normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    found = Rotation.from_quat(small_rotation(vector)[[1, 2, 3, 0]])
    assert (found.inv() * Rotation.from_rotvec(vector)).magnitude() <= angle**3 / 10 + 1e-12


@given(st.floats(-10.0, 10.0))
def test_a_turn_about_the_vertical_leaves_down_where_it_is(angle: float) -> None:
    np.testing.assert_allclose(down_in_body(about_z(np.array(angle))), [0.0, 0.0, -1.0], atol=1e-12)
