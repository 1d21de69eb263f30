"""What a replay gives: sums of rewards by hand, draws by priority."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from simreal.agents.value.experience import ExperienceReplay

SPACE = spaces.Box(-np.inf, np.inf, (1,), np.float32)


def replay(
    rewards: list[list[float]],
    dones: dict[tuple[int, int], bool],
    size: int = 20,
    **arguments: Any,
) -> ExperienceReplay:
    """Of two simulations; observed is the step's number; ``dones`` tell which end by a time limit."""
    made = ExperienceReplay(2 * size, SPACE, spaces.Discrete(3), "cpu", 2, **arguments)
    for step, pair in enumerate(rewards):
        ended = np.array([(step, env) in dones for env in range(2)])
        infos = [{"TimeLimit.truncated": dones.get((step, env), False)} for env in range(2)]
        here = np.full((2, 1), float(step), np.float32)
        made.add(here, here + 1.0, np.array([step % 3, 0]), np.array(pair), ended, infos)
    return made


def gathered(made: ExperienceReplay, step: int, env: int) -> tuple[float, float, float]:
    drawn = made._gather(np.array([2 * step + env]), np.ones(1))
    assert float(drawn.observations) == step % 100
    return float(drawn.rewards), float(drawn.next_observations), float(drawn.discounts)


REWARDS = [[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0], [16.0, 160.0]]


def test_three_steps_by_hand() -> None:
    made = replay(REWARDS, {}, n_steps=3, discount=0.5)
    assert gathered(made, 0, 0) == pytest.approx((1 + 1 + 1, 3.0, 0.125))
    assert gathered(made, 1, 1) == pytest.approx((20 + 20 + 20, 4.0, 0.125))


def test_an_episode_that_ends_for_good_leaves_nothing_after_it() -> None:
    made = replay(REWARDS, {(1, 0): False}, n_steps=3, discount=0.5)
    assert gathered(made, 0, 0) == pytest.approx((2.0, 2.0, 0.0))
    assert gathered(made, 1, 0) == pytest.approx((2.0, 2.0, 0.0))
    assert gathered(made, 0, 1) == pytest.approx((30.0, 3.0, 0.125))
    assert gathered(made, 2, 0) == pytest.approx((4 + 4 + 4, 5.0, 0.125))


def test_a_time_limit_is_bridged_by_the_value_of_where_it_stood() -> None:
    made = replay(REWARDS, {(1, 0): True}, n_steps=3, discount=0.5)
    assert gathered(made, 0, 0) == pytest.approx((2.0, 2.0, 0.25))


def test_what_is_not_stored_yet_is_not_read() -> None:
    made = replay(REWARDS, {}, n_steps=3, discount=0.5)
    assert gathered(made, 3, 0) == pytest.approx((8 + 8, 5.0, 0.25))
    assert gathered(made, 4, 0) == pytest.approx((16.0, 5.0, 0.5))


def test_a_ring_that_is_full_does_not_join_newest_and_oldest() -> None:
    rewards = [[float(step), 0.0] for step in range(13)]
    made = replay(rewards, {}, size=5, n_steps=3, discount=1.0)
    assert made.full
    drawn = made._gather(np.array([2 * 2]), np.ones(1))  # row 2 holds step 12, row 3 the oldest, 8
    assert float(drawn.rewards) == 12.0
    drawn = made._gather(np.array([2 * 4]), np.ones(1))
    assert float(drawn.rewards) == 9.0 + 10.0 + 11.0


def test_draws_and_weights_follow_the_errors() -> None:
    np.random.seed(0)
    made = replay([[0.0, 0.0]] * 20, {}, priority_exponent=0.5)
    errors = np.arange(40, dtype=np.float64)
    made.learnt(np.arange(40), errors)
    made.importance_exponent = 0.7
    counts = np.zeros(40)
    for _ in range(400):
        drawn = made.draw(100)
        counts += np.bincount(drawn.places, minlength=40)
    expected = np.sqrt(errors + 1e-6)
    expected /= expected.sum()
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=0.003)
    weights = (expected[drawn.places] * 40) ** -0.7
    np.testing.assert_allclose(drawn.weights[:, 0], weights / weights.max(), rtol=1e-5)


def test_a_new_transition_comes_with_the_largest_priority() -> None:
    made = replay([[0.0, 0.0]] * 3, {}, priority_exponent=1.0)
    made.learnt(np.array([0]), np.array([7.0]))
    made.add(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(2), np.zeros(2), np.zeros(2), [{}, {}])
    priorities, largest = made.stored_priorities()
    assert largest == pytest.approx(7.0)
    np.testing.assert_allclose(priorities, [7, 1, 1, 1, 1, 1, 7, 7], rtol=1e-5)
    other = replay([[0.0, 0.0]] * 4, {}, priority_exponent=1.0)
    other.restore_priorities(priorities, largest)
    np.testing.assert_array_equal(other.stored_priorities()[0], priorities)
