"""Benchmarks of what randomization is for: robots that training has not seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.evaluate import Candidate, evaluate, interval_json, load_candidate, run_given, summarize
from simreal.make_environment import make_environment
from simreal.sensitivity.columns import Column, find_columns
from simreal.state import FloatArray


def outside_ranges(
    randomized: Path, plain: Path, worlds: int, beyond: float, seed: int
) -> dict[str, Any]:
    """Two policies on the same worlds outside of the ranges that the first was trained under.

    In each world every column lies in the bands beyond its range, as wide as a share of it; where one
    of the two bands is not physical, in the other. A choice has nothing beyond it.
    """
    candidates = {"randomized": load_candidate(randomized), "plain": load_candidate(plain)}
    experiment = candidates["randomized"].experiment.from_start()
    columns = find_columns(experiment, points=2, beyond=beyond)
    seeds = episode_seed(seed, np.arange(worlds))
    draws = make_environment(experiment, 1, threads=1).randomizer.draw(EpisodeRandom(seeds)).values
    for column in columns:
        draws[:, column.index] = _outside(column, seeds)
    pins = {each.name: each.values[-1] for each in columns}
    found: dict[str, dict[str, Any]] = {}
    for name, candidate in candidates.items():
        episodes = run_given(candidate.act, experiment, seeds, draws, pins)
        summary = summarize(episodes)
        found[name] = {
            "policy": candidate.name,
            "success": interval_json(summary.success),
            "goal_share": interval_json(summary.goal_share),
            "mean_return": interval_json(summary.mean_return),
        }
    rates = [found[name]["success"]["value"] or 0.0 for name in ("randomized", "plain")]
    return {
        "worlds": worlds,
        "beyond": beyond,
        "columns": {
            each.name: [each.values[0], each.low, each.high, each.values[-1]] for each in columns
        },
        **found,
        "ratio": rates[0] / rates[1] if rates[1] else None,
    }


def _outside(column: Column, seeds: SeedArray) -> FloatArray:
    """(worlds,) values in the bands beyond a range, either as likely."""
    luck = EpisodeRandom(seeds).uniform(f"outside/{column.name}", 2)
    bands = [(column.values[0], column.low), (column.high, column.values[-1])]
    bands = [(low, high) for low, high in bands if high > low] or [(column.low, column.high)]
    low, high = np.array(bands)[(luck[:, 0] * len(bands)).astype(int)].T
    values: FloatArray = low + (high - low) * luck[:, 1]
    return values


def compare_ranges(automatic: Path, by_hand: Path, episodes: int) -> dict[str, Any]:
    """Ranges at which a schedule arrived, against hand-set ones, with the success in each."""
    candidates = [load_candidate(automatic), load_candidate(by_hand)]
    ranges = [_ranges(candidate) for candidate in candidates]
    summaries = [evaluate(candidate, episodes).summary for candidate in candidates]
    columns = {
        name: {
            "automatic": list(ranges[0][name]),
            "by_hand": list(ends),
            "wider": _is_wider(ranges[0][name], ends),
        }
        for name, ends in ranges[1].items()
    }
    return {
        "episodes": episodes,
        "success": {
            "automatic": interval_json(summaries[0].success),
            "by_hand": interval_json(summaries[1].success),
        },
        "columns": columns,
        "wider_on_every_column": all(each["wider"] for each in columns.values()),
    }


def _ranges(candidate: Candidate) -> dict[str, tuple[float, float]]:
    ranges = make_environment(candidate.experiment, 1, threads=1).randomizer.trained_ranges()
    return {each.name: (each.low, each.high) for each in ranges}


def _is_wider(this: Sequence[float], that: Sequence[float]) -> bool:
    """Whether a range contains another and goes beyond it."""
    return this[0] <= that[0] and this[1] >= that[1] and (this[0] < that[0] or this[1] > that[1])
