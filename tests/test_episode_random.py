import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simreal.episode_random import EpisodeRandom, episode_seed, stream_keys

SEEDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6)
MANY = 20_000


def many(run_seed: int = 1) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(run_seed, np.arange(MANY)))


def array(seeds: list[int]) -> np.ndarray:
    return np.array(seeds, dtype=np.uint64)


@given(SEEDS, st.text(max_size=10), st.integers(1, 7), st.integers(0, 2**40), st.randoms())
def test_a_draw_is_the_episodes_own(seeds, stream, size, step, random) -> None:
    """The same in another batch, at another place, beside others, and when it is made again."""
    order = list(range(len(seeds)))
    random.shuffle(order)
    for draw in ("uniform", "normal"):
        together = getattr(EpisodeRandom(array(seeds)), draw)(stream, size, step)
        shuffled = getattr(EpisodeRandom(array(seeds)[order]), draw)(stream, size, step)
        assert together.shape == (len(seeds), size)
        assert (shuffled == together[order]).all()
        for row, seed in enumerate(seeds):
            alone = getattr(EpisodeRandom(array([seed])), draw)(stream, size, step)
            assert (alone[0] == together[row]).all()


@given(SEEDS, st.integers(0, 1000))
def test_episodes_at_different_steps_draw_each_for_its_own(seeds: list[int], first: int) -> None:
    random, steps = EpisodeRandom(array(seeds)), first + np.arange(len(seeds)) * 3
    together = random.normal("encoder", 4, steps)
    for row, step in enumerate(steps.tolist()):
        assert (random.normal("encoder", 4, step)[row] == together[row]).all()


def test_numbers_are_drawn_ahead_of_the_size_that_is_asked_for() -> None:
    random = many()
    assert (random.uniform("a", 3) == random.uniform("a", 8)[:, :3]).all()


def test_a_draw_leaves_nothing_behind() -> None:
    random = many()
    before = random.uniform("a", 2)
    random.normal("b", 5, step=3)
    random.uniform_of_each(stream_keys(["a", "c"]))
    assert (random.uniform("a", 2) == before).all()


def test_the_numbers_stay_what_they_are() -> None:
    """Recorded seeds must mean the same episodes in every later version."""
    seeds = episode_seed(7, np.array([0, 1]))
    assert seeds.tolist() == [13309476754707697221, 11984929618412882174]
    random = EpisodeRandom(seeds)
    assert random.uniform("mass", 1)[:, 0].tolist() == [0.38207910257946986, 0.9382788729705757]
    normal = random.normal("encoder", 1, step=5)[:, 0]
    np.testing.assert_allclose(normal, [-0.8846356135215389, -1.7524666364000114], rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**64 - 1, 2**63, -(2**70)])
def test_any_whole_number_is_a_run_seed(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seeds = episode_seed(seed, np.arange(1000))
    assert seeds.dtype == np.uint64
    assert len(set(seeds.tolist())) == 1000


def test_run_seeds_and_episode_numbers_are_not_interchangeable() -> None:
    seeds = np.stack([episode_seed(run, np.arange(300)) for run in range(300)])
    assert len(np.unique(seeds)) == seeds.size


def test_episode_seeds_do_not_depend_on_what_is_numbered_with_them() -> None:
    whole = episode_seed(5, np.arange(100))
    assert (episode_seed(5, np.array([99, 3])) == whole[[99, 3]]).all()


def test_uniform_numbers_are_uniform_over_episodes_and_within_one() -> None:
    random = many()
    across = random.uniform("a", 1)[:, 0]
    within = EpisodeRandom(array([12345])).uniform("a", MANY)[0]
    over_time = np.array([EpisodeRandom(array([12345])).uniform("a", 1, s)[0, 0] for s in range(2000)])
    for sample in (across, within, over_time):
        assert sample.min() >= 0.0
        assert sample.max() < 1.0
        assert stats.kstest(sample, "uniform").pvalue > 1e-3


def test_normal_numbers_are_normal() -> None:
    both = many().normal("a", 2)
    for sample in (both[:, 0], both[:, 1], EpisodeRandom(array([9])).normal("a", MANY)[0]):
        assert np.isfinite(sample).all()
        assert stats.kstest(sample, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(both.ravel())) < 0.1


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_normal_numbers_of_one_call_do_not_hang_together(size: int) -> None:
    sample = many().normal("a", size)
    assert sample.shape == (MANY, size)
    # Box and Muller's pairs share a radius: their squares would show it if an angle were wrong.
    for values in (sample, sample**2):
        correlation = np.atleast_2d(np.corrcoef(values, rowvar=False))
        assert np.abs(correlation - np.eye(size)).max() < 5 / np.sqrt(MANY)


def test_streams_steps_and_places_are_independent() -> None:
    random = many()
    columns = np.hstack(
        (
            random.uniform("mass", 2),
            random.uniform("masss", 1),
            random.uniform("", 1),
            random.uniform("mass", 2, step=1),
            random.uniform("mass", 1, step=2**40),
            many(run_seed=2).uniform("mass", 1),
        )
    )
    correlation = np.corrcoef(columns, rowvar=False)
    assert np.abs(correlation - np.eye(columns.shape[1])).max() < 5 / np.sqrt(MANY)


def test_neighbouring_seeds_are_as_different_as_any() -> None:
    """A recorded seed that someone counts up by hand must not give a similar episode."""
    values = EpisodeRandom(np.arange(MANY, dtype=np.uint64)).uniform("a", 1)[:, 0]
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 5 / np.sqrt(MANY)


def test_one_of_each_stream_is_what_the_streams_give_one_by_one() -> None:
    random, streams = many(), ["mass[arm]", "mass[pendulum]", "action_latency_ms"]
    each = random.uniform_of_each(stream_keys(streams))
    for column, stream in enumerate(streams):
        assert (each[:, [column]] == random.uniform(stream, 1)).all()
    assert random.uniform_of_each(stream_keys([])).shape == (MANY, 0)


def test_drawing_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        random = EpisodeRandom(array([0, 2**64 - 1]))
        random.uniform("a", 3, step=2**63)
        random.normal("a", 3, step=np.array([0, 2**62]))
        random.uniform_of_each(stream_keys(["a"]))
