"""Finds what a policy depends on, by replaying the same numbered episodes with other draws.

Common random numbers: start and noise do not stand between two values of a parameter.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import episode_seed
from simreal.episodes import Episode
from simreal.evaluate import Candidate, run_given, summarize
from simreal.experiment import BaseExperiment
from simreal.make_environment import make_environment
from simreal.sensitivity.columns import Column, find_columns, thinned, widened
from simreal.sensitivity.results import (
    WORST_COLUMNS,
    Attribution,
    Pair,
    Sensitivity,
    Sweep,
    worst_pairs,
)
from simreal.state import FloatArray
from simreal.statistics import Interval, mean_interval, paired_interval, share_interval

EPISODES = 72
"""At each point of a sweep."""
POINTS = 7
"""Values for each column."""
BASE_SETS = 5
"""Episodes in which all columns are drawn, for each one at a point of a sweep."""
PAIR_POINTS = 4
PAIR_EPISODES = 32
MOST_FAILURES = 64
"""Failures that are looked into; more only take time."""
CHANCES = 4
"""Replays of a failure with another start and noise."""
HALVES = ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2)))
"""Episodes that choose points, and episodes that judge them."""

Listen = Callable[[int, int], None]
"""Hears the number of episodes done, and how many there will be at most."""


class _Bench:
    """Replays the evaluation's episodes with draws of our own, and counts them."""

    def __init__(self, candidate: Candidate, seed: int, wide: BaseExperiment, listen: Listen | None):
        self._candidate = candidate
        self._seed = seed
        self._wide = wide
        self._listen = listen
        self._done = 0
        self.planned = 0
        self.draws: FloatArray = np.zeros((0, 0))

    def run_base(self, number: int) -> list[Episode]:
        """The evaluation's own episodes, from number 0 on; their draws are what all others vary."""
        episodes = self._run(np.arange(number), None, self._candidate.experiment)
        self.draws = np.array([list(episode.draw.values()) for episode in episodes])
        return episodes

    def run(self, numbers: NDArray[np.integer], draws: FloatArray) -> list[Episode]:
        """Run numbered episodes with (episodes, columns) draws."""
        return self._run(numbers, draws, self._wide)

    def _run(
        self, numbers: NDArray[np.integer], draws: FloatArray | None, experiment: BaseExperiment
    ) -> list[Episode]:
        seeds = episode_seed(self._seed, numbers)
        episodes = run_given(self._candidate.act, experiment, seeds, draws, None, self._tell)
        self._done += len(episodes)
        return episodes

    def run_grid(self, axes: Sequence[tuple[Column, Sequence[float]]], number: int) -> list[Episode]:
        """The first episodes at each point of a grid; the last axis, then the episodes vary fastest."""
        cells = np.array(list(itertools.product(*(values for _, values in axes))))
        draws = np.tile(self.draws[:number], (len(cells), 1))
        draws[:, [column.index for column, _ in axes]] = np.repeat(cells, number, axis=0)
        return self.run(np.tile(np.arange(number), len(cells)), draws)

    def _tell(self, done: int) -> None:
        if self._listen is not None:
            self._listen(self._done + done, self.planned)


def analyse(
    candidate: Candidate,
    episodes: int = EPISODES,
    points: int = POINTS,
    seed: int = 0,
    patterns: Sequence[str] = (),
    beyond: float = 0.0,
    listen: Listen | None = None,
) -> Sensitivity:
    """Find what a policy depends on, at once; see `stages` for the arguments."""
    *_, last = stages(candidate, episodes, points, seed, patterns, beyond, listen)
    return last


def stages(
    candidate: Candidate,
    episodes: int = EPISODES,
    points: int = POINTS,
    seed: int = 0,
    patterns: Sequence[str] = (),
    beyond: float = 0.0,
    listen: Listen | None = None,
) -> Iterator[Sensitivity]:
    """Find what a policy depends on, bit by bit.

    Args:
        candidate: the policy.
        episodes: at each point of a sweep, at least 2; the base set has five times as many.
        points: values for each column.
        seed: of the evaluation: the base set is what `simreal evaluate` runs.
        patterns: shell-style, of the columns to look at; all if absent.
        beyond: share of a range's width to go on at both ends.
        listen: hears how many episodes are done, and how many there will be at most.

    Yields:
        What is known so far: first the failures, then one more column each, ranked among those
        before it, then one more pair each. The last is complete.

    Raises:
        UserError: a pattern that matches nothing, nothing varies, or all columns at once cannot go
            as far beyond; before the first episode.
    """
    columns = find_columns(candidate.experiment, patterns, points, beyond)
    wide = widened(candidate.experiment, columns)
    make_environment(wide.from_start(), 1, threads=1)  # refused now, if columns go too far together
    bench = _Bench(candidate, seed, wide, listen)
    planned, replays = _planned(columns, episodes), 2 + CHANCES + len(columns)
    bench.planned = planned + MOST_FAILURES * replays
    base = bench.run_base(BASE_SETS * episodes)
    failures = sum(not episode.success for episode in base)
    bench.planned = planned + min(failures, MOST_FAILURES) * replays
    known = Sensitivity(
        candidate.name, seed, episodes, summarize(base), [], [], _attribute(bench, base, columns)
    )
    yield known
    for column in columns:
        sweeps = sorted([*known.sweeps, _sweep(bench, column, episodes)], key=_rank, reverse=True)
        known = replace(known, sweeps=sweeps)
        yield known
    alone = np.array([episode.success for episode in base], dtype=float)
    for first, second in itertools.combinations(known.sweeps[:WORST_COLUMNS], 2):
        pairs = [*known.pairs, _pair(bench, first, second, alone)]
        pairs.sort(key=lambda pair: pair.gap.value, reverse=True)
        known = replace(known, pairs=pairs)
        yield known


def _planned(columns: Sequence[Column], episodes: int) -> int:
    """Episodes, at most, without the replays of failures."""
    pairs = worst_pairs(len(columns))
    points = min(PAIR_POINTS, max(len(column.values) for column in columns))
    return (
        BASE_SETS * episodes
        + episodes * sum(len(column.values) for column in columns)
        + pairs * points**2 * min(episodes, PAIR_EPISODES)
    )


def _rank(sweep: Sweep) -> tuple[float, float]:
    """What is sure of the drops; where that is nothing of success, the return decides."""
    return max(0.0, sweep.drop.low), sweep.return_drop.low


def _sweep(bench: _Bench, column: Column, number: int) -> Sweep:
    episodes = bench.run_grid([(column, column.values)], number)
    groups = [episodes[first : first + number] for first in range(0, len(episodes), number)]
    success = np.array([[episode.success for episode in group] for group in groups], dtype=float)
    returns = np.array([[episode.episode_return for episode in group] for group in groups])
    return Sweep(
        column,
        list(zip(column.values, map(summarize, groups), strict=True)),
        success,
        paired_interval(drops(success).tolist()),
        mean_interval(drops(returns).tolist()),
    )


def drops(values: FloatArray) -> FloatArray:
    """What each episode loses from the best point to the worst, the two chosen by other episodes.

    The best of several noisy points looks better than it is, and the worst worse. So each half of the
    episodes chooses for the other.

    Args:
        values: (points, episodes).

    Returns:
        (episodes,) differences.
    """
    differences = np.empty(values.shape[1])
    for choosing, judging in HALVES:
        means = values[:, choosing].mean(axis=1)
        differences[judging] = values[means.argmax(), judging] - values[means.argmin(), judging]
    return differences


def _pair(bench: _Bench, first: Sweep, second: Sweep, alone: FloatArray) -> Pair:
    number = min(first.success.shape[1], PAIR_EPISODES)
    values = [thinned(each.column.values, PAIR_POINTS) for each in (first, second)]
    episodes = bench.run_grid([(first.column, values[0]), (second.column, values[1])], number)
    both = np.array([episode.success for episode in episodes], dtype=float)
    outcomes = (
        alone[:number],
        first.success_at(values[0])[:, None, :number],
        second.success_at(values[1])[None, :, :number],
        both.reshape(len(values[0]), len(values[1]), number),
    )
    return Pair(
        first.column,
        second.column,
        values[0],
        values[1],
        outcomes[-1].mean(axis=-1),
        _predicted(*outcomes[:-1]),
        paired_interval(gaps(*outcomes).tolist()),
    )


def _predicted(alone: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """(rows, columns) success, if each lowers it by the same factor with the other and without."""
    product: FloatArray = first.mean(axis=-1) * second.mean(axis=-1)
    return np.minimum(product / max(float(alone.mean()), 1e-12), 1.0)


def gaps(alone: FloatArray, first: FloatArray, second: FloatArray, both: FloatArray) -> FloatArray:
    """How far success of a pair lies below what the single effects predict, where that is farthest.

    Each half of the episodes chooses the cell for the other. A value is an episode's share in the gap
    to first order (the delta method): their mean is the gap, and their spread its uncertainty.

    Args:
        alone: (episodes,) success with neither column held.
        first: (rows, 1, episodes) with the first held.
        second: (1, columns, episodes) with the second held.
        both: (rows, columns, episodes).

    Returns:
        (episodes,).
    """
    outcomes = (alone, first, second, both)
    differences = np.empty(both.shape[-1])
    for halves in HALVES:
        chosen, judged = (_shares_of_gap(*(each[..., half] for each in outcomes)) for half in halves)
        cell = np.unravel_index(chosen.mean(axis=-1).argmax(), both.shape[:-1])
        differences[halves[1]] = judged[cell]
    return differences


def _shares_of_gap(
    alone: FloatArray, first: FloatArray, second: FloatArray, both: FloatArray
) -> FloatArray:
    """(rows, columns, episodes) values whose means over the episodes are the gaps."""
    a, b = first.mean(axis=-1, keepdims=True), second.mean(axis=-1, keepdims=True)
    o = max(float(alone.mean()), 1e-12)
    linear = (b / o) * first + (a / o) * second - (a * b / o**2) * alone
    shares: FloatArray = np.where(a * b > o, 1.0, linear) - both
    return shares


def _attribute(bench: _Bench, base: Sequence[Episode], columns: Sequence[Column]) -> Attribution:
    """Replay failed episodes with one thing changed."""
    failed = np.flatnonzero([not episode.success for episode in base])
    examined = failed[:MOST_FAILURES]
    succeeds = _counterfactuals(bench, examined, len(base), columns)
    succeeds = succeeds[:, ~succeeds[0]]
    together, chance, alone = succeeds[1], succeeds[2 : 2 + CHANCES], succeeds[2 + CHANCES :]
    mends, luck = alone.sum(axis=0), chance.mean(axis=0)
    repeated = luck.size

    def share(flags: NDArray[np.bool_] | FloatArray) -> Interval:
        return share_interval(float(flags.sum()), repeated)

    named = {column.name: flags for column, flags in zip(columns, alone, strict=True)}
    return Attribution(
        failures=len(failed),
        examined=len(examined),
        repeated=repeated,
        columns={name: share(flags) for name, flags in named.items()},
        beyond_chance={name: paired_interval((flags - luck).tolist()) for name, flags in named.items()},
        none_alone=share(mends == 0),
        several=share(mends > 1),
        together=share(together),
        chance=share(luck),
    )


def _counterfactuals(
    bench: _Bench, failed: NDArray[np.integer], unused: int, columns: Sequence[Column]
) -> NDArray[np.bool_]:
    """Whether failed episodes succeed with something changed.

    Returns:
        (2 + chances + columns, failed): nothing changed, all columns nominal, the start and noise of
        other episodes, from number `unused` on, and each column nominal.
    """
    replays = 2 + CHANCES + len(columns)
    if not failed.size:
        return np.zeros((replays, 0), dtype=bool)
    draws = np.tile(bench.draws[failed], (replays, 1, 1))
    numbers = np.tile(failed, (replays, 1))
    numbers[2 : 2 + CHANCES] += unused * np.arange(1, CHANCES + 1)[:, None]
    for place, column in enumerate(columns, 2 + CHANCES):
        draws[1, :, column.index] = draws[place, :, column.index] = column.nominal
    episodes = bench.run(numbers.ravel(), draws.reshape(numbers.size, -1))
    return np.array([episode.success for episode in episodes]).reshape(numbers.shape)
