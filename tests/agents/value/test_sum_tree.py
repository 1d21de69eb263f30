"""The tree against brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simreal.agents.value.sum_tree import SumTree

priorities = st.integers(1, 70).flatmap(
    lambda n: arrays(np.float64, n, elements=st.floats(0.0, 1e6, allow_subnormal=False))
)


@given(priorities, st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=1, max_size=50))
def test_it_finds_where_a_running_sum_passes(values: np.ndarray, shares: list[float]) -> None:
    tree = SumTree(len(values))
    tree.update(np.arange(len(values)), values)
    assert np.isclose(tree.total, values.sum())
    if tree.total == 0.0:
        return
    sums = np.array(shares) * tree.total
    found = tree.find(sums)
    assert (values[found] > 0.0).all()
    running = np.concatenate([[0.0], np.cumsum(values)])
    slack = 1e-9 * running[-1]
    assert (running[found] <= sums + slack).all()
    assert (sums <= running[found + 1] + slack).all()


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(0.0, 10.0)), max_size=60))
def test_the_last_update_of_a_place_counts(updates: list[tuple[int, float]]) -> None:
    tree, expected = SumTree(13), np.zeros(13)
    for place, value in updates:
        tree.update(np.array([place]), np.array([value]))
        expected[place] = value
    np.testing.assert_array_equal(tree.priority(np.arange(13)), expected)
    assert np.isclose(tree.total, expected.sum())


def test_draws_follow_the_priorities() -> None:
    values = np.array([1.0, 0.0, 3.0, 6.0])
    tree = SumTree(4)
    tree.update(np.arange(4), values)
    sums = np.random.default_rng(0).uniform(0.0, tree.total, 100_000)
    counts = np.bincount(tree.find(sums), minlength=4) / 100_000
    np.testing.assert_allclose(counts, values / 10.0, atol=0.006)
