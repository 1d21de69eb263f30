from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import approx_fprime, brentq

from simreal.randomization import beta
from simreal.randomization.doraemon import Doraemon, DoraemonConfig, Episodes, widen
from simreal.randomization.schedule_interface import Space
from simreal.state import FloatArray

Goal = Callable[[FloatArray], NDArray[np.bool_]]


def space_of(columns: int, nominal: float = 0.5) -> Space:
    return Space(
        columns=tuple(f"column {place}" for place in range(columns)),
        low=np.zeros(columns),
        high=np.ones(columns),
        nominal=np.full(columns, nominal),
        logarithmic=np.zeros(columns, dtype=np.bool_),
        held=np.zeros(columns, dtype=np.bool_),
        quantile=lambda uniform: uniform,
    )


def train(
    schedule: Doraemon, goal: Goal, episodes: int, seed: int = 0, batch: int = 50
) -> list[FloatArray]:
    """Run; the entropies after each update."""
    random = np.random.default_rng(seed)
    course = []
    for step in range(0, episodes, batch):
        size = (batch, len(schedule.space.columns))
        drawn = schedule.draw(random.random(size), random.random((batch, 2)))
        schedule.record(drawn.tags, drawn.values, goal(drawn.values))
        if schedule.update(step):
            course.append(schedule.entropies())
    return course


def success(schedule: Doraemon, goal: Goal, number: int = 20_000) -> float:
    """Of fresh draws."""
    uniform = np.random.default_rng(99).random((number, len(schedule.space.columns)))
    return float(goal(schedule.draw(uniform, np.ones((number, 2))).values).mean())


def always(values: FloatArray) -> NDArray[np.bool_]:
    return np.ones(len(values), dtype=np.bool_)


def near_the_middle(values: FloatArray) -> NDArray[np.bool_]:
    """Succeeds in the middle half of the first column; the others do not matter."""
    return np.abs(values[:, 0] - 0.5) < 0.25


def samples(parameters: FloatArray, number: int, goal: Goal, seed: int = 0) -> Episodes:
    uniform = np.random.default_rng(seed).random((number, parameters.shape[1]))
    positions = beta.quantile(parameters, uniform)
    statistics = beta.logarithms(positions)
    return Episodes(statistics, beta.log_density(parameters, statistics), goal(positions))


def test_importance_sampling_agrees_with_fresh_episodes() -> None:
    old, new = np.array([[4.0, 3.0], [4.0, 3.0]]), np.array([[3.0, 2.0], [2.0, 2.5]])
    episodes = samples(old, 100_000, near_the_middle)
    fresh = samples(new, 100_000, near_the_middle, seed=1).success.mean()
    assert abs(fresh - episodes.success.mean()) > 0.1  # else there is nothing to estimate
    assert episodes.estimate(new) == pytest.approx(fresh, abs=0.01)
    assert episodes.estimate(old) == pytest.approx(episodes.success.mean())


def test_the_gradient_of_the_estimate_is_that_of_finite_differences() -> None:
    old, new = np.array([[4.0, 3.0], [4.0, 3.0]]), np.array([[3.0, 2.0], [2.0, 2.5]])
    episodes = samples(old, 300, near_the_middle)
    numeric = approx_fprime(new.ravel(), lambda x: episodes.estimate(x.reshape(2, 2)), 1e-6)
    np.testing.assert_allclose(episodes.estimate_gradient(new).ravel(), numeric, atol=1e-5)


@pytest.mark.parametrize("columns", [1, 6, 30])
def test_an_update_keeps_its_bounds_and_uses_them(columns: int) -> None:
    config = DoraemonConfig()
    for alpha in (50.0, 10.0, 2.0):
        old = np.full((2, columns), alpha)
        episodes = samples(old, 1000, near_the_middle, seed=int(alpha))
        new = widen(old, episodes, config, target=0.6)
        gained = beta.entropy(new).sum() - beta.entropy(old).sum()
        divergence = beta.divergence(new, old)
        assert gained > 0
        assert divergence <= config.kl_bound * 1.01
        assert episodes.estimate(new) >= 0.6 * 0.99
        assert divergence > 0.9 * config.kl_bound or episodes.estimate(new) < 0.61


def test_too_wide_a_distribution_goes_where_success_is() -> None:
    config = DoraemonConfig()
    old = np.array([[1.2, 1.2], [1.2, 1.2]])
    episodes = samples(old, 2000, lambda values: values[:, 0] < 0.3)
    assert episodes.success.mean() < 0.4
    new = widen(old, episodes, config, target=0.7)
    assert beta.divergence(new, old) == pytest.approx(config.kl_bound, rel=0.02)
    fresh = samples(new, 20_000, lambda values: values[:, 0] < 0.3, seed=1)
    assert fresh.success.mean() > episodes.success.mean() + 0.1


def test_a_policy_that_always_succeeds_opens_everything() -> None:
    schedule = Doraemon(DoraemonConfig(), space_of(12))
    course = np.array(train(schedule, always, 7000)).mean(axis=1)
    assert (np.diff(course) > -1e-9).all()
    assert course[0] < -1.4
    assert schedule.entropy == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_widening_stops_at_the_widest_distribution_that_still_succeeds(seed: int) -> None:
    schedule = Doraemon(DoraemonConfig(), space_of(4))
    course = np.array(train(schedule, near_the_middle, 12_000, seed))
    assert (np.diff(course[:10].mean(axis=1)) > 0).all()
    assert success(schedule, near_the_middle) == pytest.approx(0.7, abs=0.05)

    def excess(alpha: float) -> float:
        middle = stats.beta(alpha, alpha)
        return float(middle.cdf(0.75) - middle.cdf(0.25) - 0.7)

    # By symmetry the best distribution of the column that matters is Beta(a, a) with a success of 0.7.
    widest = float(brentq(excess, 1.0, 10.0))
    settled = course[-10:].mean(axis=0)
    assert settled[0] == pytest.approx(stats.beta(widest, widest).entropy(), abs=0.05)
    assert (settled[1:] > -0.02).all()


def test_success_stays_near_its_bound_with_many_columns() -> None:
    def joint(values: FloatArray) -> NDArray[np.bool_]:
        return (np.abs(values - 0.5) < 0.4).all(axis=1)

    schedule = Doraemon(DoraemonConfig(), space_of(16))
    train(schedule, joint, 6000)
    assert 0.6 < success(schedule, joint) < 0.85
    assert schedule.entropy > -0.5


def test_nothing_moves_before_the_start_has_been_mastered() -> None:
    schedule = Doraemon(DoraemonConfig(), space_of(3))
    random = np.random.default_rng(5)
    assert train(schedule, lambda values: random.random(len(values)) < 0.5, 2000) == []
    # A policy that has learned is believed at once, whatever it did before.
    start = schedule.entropy
    course = np.mean(train(schedule, always, 1000), axis=1)
    assert len(course) == 1000 / 200
    assert (np.diff([start, *course]) > 0.1).all()


def test_a_time_without_any_success_moves_nothing() -> None:
    schedule = Doraemon(DoraemonConfig(episodes=200), space_of(3))
    train(schedule, always, 2000)
    before = schedule.entropy
    train(schedule, lambda values: ~always(values), 400)
    assert schedule.entropy == before


def test_a_policy_that_gets_worse_is_given_easier_worlds() -> None:
    schedule = Doraemon(DoraemonConfig(), space_of(2))
    train(schedule, always, 8000)
    opened = schedule.entropies()[0]
    train(schedule, near_the_middle, 6000)
    assert opened == pytest.approx(0.0, abs=1e-6)
    assert success(schedule, near_the_middle) > 0.62


def test_it_begins_close_around_nominal() -> None:
    for nominal, expected in ((0.5, 0.05), (0.0, 0.01)):
        schedule = Doraemon(DoraemonConfig(), space_of(1, nominal))
        uniform = np.random.default_rng(6).random((20_000, 1))
        values = schedule.draw(uniform, np.ones((20_000, 2))).values
        assert np.abs(values - nominal).mean() < 0.05
        assert values.std() == pytest.approx(expected, rel=0.1)
        low, high = schedule.ranges()
        assert ((values < low) | (values > high)).mean() == pytest.approx(0.02, abs=0.005)


def test_episodes_drawn_before_an_update_count_by_what_they_were_drawn_from() -> None:
    """Episodes that always end one update late must lead to the same place."""
    schedule = Doraemon(DoraemonConfig(), space_of(1))
    random = np.random.default_rng(7)
    waiting = []
    for step in range(300):
        waiting.append(schedule.draw(random.random((50, 1)), random.random((50, 2))))
        if len(waiting) > 6:
            drawn = waiting.pop(0)
            schedule.record(drawn.tags, drawn.values, near_the_middle(drawn.values))
        schedule.update(step)
    assert success(schedule, near_the_middle) == pytest.approx(0.7, abs=0.06)
