"""The projection against the paper's definition, by quadrature and by hand."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from simreal.agents.value.projection import project

ATOMS = torch.linspace(-2.0, 2.0, 5)


def by_hand(probability: list[float], reward: float, discount: float) -> list[float]:
    found = project(
        torch.tensor([probability], dtype=torch.float32),
        torch.tensor([[reward]]),
        torch.tensor([[discount]]),
        ATOMS,
    )
    return [round(value, 6) for value in found[0].tolist()]


def test_between_two_atoms_it_is_shared() -> None:
    assert by_hand([0, 0, 1, 0, 0], 0.25, 0.9) == [0, 0, 0.75, 0.25, 0]
    assert by_hand([0, 0, 0, 1, 0], 0.0, 0.5) == [0, 0, 0.5, 0.5, 0]


def test_what_lies_beyond_goes_to_the_ends() -> None:
    assert by_hand([0.5, 0, 0, 0, 0.5], 3.0, 0.5) == [0, 0, 0, 0, 1.0]
    assert by_hand([0, 0, 0.3, 0.7, 0], -9.0, 1.0) == [1.0, 0, 0, 0, 0]


def test_after_the_end_of_an_episode_the_reward_alone_counts() -> None:
    assert by_hand([0.2, 0.2, 0.2, 0.2, 0.2], 1.0, 0.0) == [0, 0, 0, 1.0, 0]


@given(
    st.lists(st.floats(0.01, 1.0), min_size=51, max_size=51),
    st.floats(-3.0, 3.0),
    st.floats(0.0, 1.0),
)
def test_it_is_what_the_papers_definition_gives(
    weights: list[float], reward: float, discount: float
) -> None:
    """Each atom's share is the integral of its hat function over the moved distribution."""
    atoms = np.linspace(-10.0, 10.0, 51)
    probability = np.array(weights) / sum(weights)
    expected = np.zeros(51)
    for place, atom in enumerate(atoms):
        for mass, other in zip(probability, atoms, strict=True):
            moved = min(max(reward + discount * other, -10.0), 10.0)
            expected[place] += mass * max(0.0, 1.0 - abs(moved - atom) / 0.4)
    tensors = (
        torch.tensor(x, dtype=torch.float64)
        for x in (probability[None], [[reward]], [[discount]], atoms)
    )
    found = project(*tensors)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(), 1.0, atol=1e-12)


@given(st.floats(-3.0, 3.0), st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_it_is_the_integral_of_hat_functions_by_quadrature(
    reward: float, discount: float, seed: int
) -> None:
    """By parts: an atom's share is the mean of the moved distribution's cumulative function between it
    and the next atom, less that between it and the one before."""
    atoms = np.linspace(-2.0, 2.0, 11)
    probability = np.random.default_rng(seed).dirichlet(np.ones(11))
    moved = np.clip(reward + discount * atoms, -2.0, 2.0)
    middles = np.linspace(-2.0, 2.0, 20_001)[:-1] + 1e-4
    below = (probability * (moved <= middles[:, None])).sum(axis=1)
    means = below.reshape(10, -1).mean(axis=1)
    expected = np.diff(np.concatenate([[0.0], means, [1.0]]))
    tensors = (
        torch.tensor(x, dtype=torch.float64)
        for x in (probability[None], [[reward]], [[discount]], atoms)
    )
    np.testing.assert_allclose(project(*tensors)[0].numpy(), expected, atol=2e-3)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 0.9))
def test_within_the_atoms_the_mean_moves_as_returns_do(reward: float, discount: float) -> None:
    probability = torch.softmax(torch.linspace(-1.0, 2.0, 201, dtype=torch.float64), 0)[None]
    atoms = torch.linspace(-10.0, 10.0, 201, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    found = project(probability, reward * one, discount * one, atoms) @ atoms
    assert abs(float(found) - reward - discount * float(probability @ atoms)) < 1e-9
