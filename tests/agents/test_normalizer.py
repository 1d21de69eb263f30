"""Running statistics against NumPy's, over any cutting into chunks."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simreal.agents.normalizer import CLIP, Normalizer

matrices = st.integers(2, 60).flatmap(
    lambda rows: arrays(np.float32, (rows, 3), elements=st.floats(-1e3, 1e3, width=32))
)


@given(observations=matrices, cuts=st.sets(st.integers(1, 59)))
def test_statistics_are_those_of_all_chunks_together(observations: np.ndarray, cuts: set[int]) -> None:
    normalizer = Normalizer(3)
    for chunk in np.split(observations, sorted(cut for cut in cuts if cut < len(observations))):
        normalizer.update(chunk)
    exact = observations.astype(np.float64)
    np.testing.assert_allclose(normalizer.mean.numpy(), exact.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(normalizer.variance.numpy(), exact.var(axis=0), rtol=1e-9, atol=1e-6)
    assert normalizer.count == len(observations)


def test_a_large_offset_costs_no_precision() -> None:
    rng = np.random.default_rng(0)
    observations = 1e6 + rng.standard_normal((10_000, 3))
    normalizer = Normalizer(3)
    for chunk in np.array_split(observations, 37):
        normalizer.update(chunk)
    np.testing.assert_allclose(normalizer.variance.numpy(), observations.var(axis=0), rtol=1e-6)


def test_what_it_has_seen_comes_out_with_mean_zero_and_deviation_one() -> None:
    rng = np.random.default_rng(1)
    observations = (
        np.array([3, -2, 0.1]) + np.array([0.1, 5, 1]) * rng.standard_normal((5000, 3))
    ).astype(np.float32)
    normalizer = Normalizer(3)
    normalizer.update(observations)
    normalised = normalizer(torch.from_numpy(observations)).numpy()
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=1e-4)


def test_it_begins_as_the_identity_and_cuts_what_is_far_out() -> None:
    normalizer = Normalizer(2)
    found = normalizer(torch.tensor([[0.5, -1.5], [1e9, -1e9]])).numpy()
    np.testing.assert_allclose(found, [[0.5, -1.5], [CLIP, -CLIP]], rtol=1e-6)


def test_a_column_that_never_changes_gives_zero() -> None:
    normalizer = Normalizer(2)
    normalizer.update(np.tile([[4.0, 0.0]], (50, 1)))
    assert torch.equal(normalizer(torch.tensor([[4.0, 0.0]])), torch.zeros(1, 2))


def test_statistics_are_saved_with_the_module_and_not_trained() -> None:
    normalizer, other = Normalizer(2), Normalizer(2)
    normalizer.update(np.random.default_rng(0).standard_normal((20, 2)))
    other.load_state_dict(normalizer.state_dict())
    observation = torch.tensor([[0.3, -0.4]])
    assert torch.equal(other(observation), normalizer(observation))
    assert not list(normalizer.parameters())
