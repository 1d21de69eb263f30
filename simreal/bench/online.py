"""Benchmark of policies that find out their world, where worlds lie beyond what training showed."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap, trim_mean

from simreal.callbacks import Tell
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.evaluate import load_candidate, run_episodes, run_given, summarize
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.files import write_text
from simreal.make_environment import make_environment
from simreal.run import Run
from simreal.sensitivity.columns import find_columns
from simreal.state import FloatArray
from simreal.transfer_bench.trainings import trained

ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": ("", ()),
    "history": ("_history", ()),
    "recurrent": ("", ("agent=recurrent_ppo",)),
    "rma": ("", ("adaptation=rma",)),
}
"""Name to what stands behind the experiment's name, and to overrides."""
BEYOND = (0.2, 0.4)
"""Nearest and farthest a target lies beyond a range, in shares of its width."""
TARGET = ("mass", "joint_damping", "joint_frictionloss", "action_latency_ms", "sensor_latency_ms")
"""Randomized entries of which a target lies beyond the range; the others are drawn as in training."""
WORLD_SEED = 77
SCORES = ("success", "goal_share", "return")
RESAMPLES = 10_000


def compare_online(
    folder: Path,
    experiment: str,
    arms: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    worlds: int,
    tell: Tell,
) -> dict[str, Any]:
    """Train arms with equal environment steps and judge each within and beyond the trained ranges.

    A run that is finished is not trained again, and one that was stopped goes on. What is known is
    written to ``results.json`` in the folder after each run.

    Args:
        folder: of the runs.
        experiment: with randomization; its name and ``_history`` is that of the history's.
        arms: keys of `ARMS`.
        seeds: of the trainings.
        steps: environment steps of each, all parts together.
        worlds: in which each is judged, the same for all.
        tell: hears of each run.
    """
    base = load_experiment(experiment)
    target = beyond_ranges(base, worlds)
    runs: list[dict[str, Any]] = []
    for seed in seeds:
        for arm in arms:
            suffix, overrides = ARMS[arm]
            given = [*overrides, f"train.total_steps={steps}"]
            config, path = load_experiment(experiment + suffix, given), folder / f"{arm}_{seed}"
            run = trained(seed, path, config, steps, lambda text: None)
            runs.append({"arm": arm, "seed": seed, **_judge(run, target)})
            tell(json.dumps(runs[-1]))
            found = _summary(base.task, steps, worlds, runs, arms, target)
            write_text(folder / "results.json", json.dumps(found, indent=2) + "\n")
    return found


class Target:
    """Worlds beyond what training showed.

    Attributes:
        seeds: (worlds,) of the episodes.
        draws: (worlds, columns).
        pins: column to its farthest value, for which simulations must have room.
        bands: column to the bands that its values lie in.
    """

    def __init__(
        self, seeds: SeedArray, draws: FloatArray, pins: dict[str, float], bands: dict[str, Any]
    ) -> None:
        """Take what is known."""
        self.seeds, self.draws, self.pins, self.bands = seeds, draws, pins, bands


def beyond_ranges(experiment: ExperimentConfig, worlds: int) -> Target:
    """Worlds with the columns of `TARGET` at `BEYOND` their ranges, on either side that is physical."""
    near, far = (
        {each.name: each for each in find_columns(experiment, TARGET, points=2, beyond=share)}
        for share in BEYOND
    )
    seeds = episode_seed(WORLD_SEED, np.arange(worlds))
    random = EpisodeRandom(seeds)
    draws = make_environment(experiment.from_start(), 1, threads=1).randomizer.draw(random).values
    pins, bands = {}, {}
    for name, outer in far.items():
        inner = near[name]
        sides = [(outer.values[0], inner.values[0]), (inner.values[-1], outer.values[-1])]
        sides = [(low, high) for low, high in sides if high > low]
        if not sides:
            continue
        luck = random.uniform(f"online/{name}", 2)
        low, high = np.array(sides)[(luck[:, 0] * len(sides)).astype(int)].T
        draws[:, outer.index] = low + (high - low) * luck[:, 1]
        pins[name], bands[name] = outer.values[-1], {"trained": [outer.low, outer.high], "in": sides}
    return Target(seeds, draws, pins, bands)


def _judge(run: Run, target: Target) -> dict[str, Any]:
    candidate = load_candidate(run.path)
    beyond = run_given(candidate.act, candidate.experiment, target.seeds, target.draws, target.pins)
    within = run_episodes(candidate.act, candidate.experiment, len(target.seeds), WORLD_SEED)
    found: dict[str, Any] = {"steps": run.facts().steps}
    for name, episodes in (("within", within), ("beyond", beyond)):
        summary = summarize(episodes)
        found[name] = {
            "success": summary.success.value,
            "goal_share": summary.goal_share.value,
            "return": summary.mean_return.value,
        }
    return found


def _summary(
    task: str,
    steps: int,
    worlds: int,
    runs: list[dict[str, Any]],
    arms: Sequence[str],
    target: Target,
) -> dict[str, Any]:
    def scores(arm: str, where: str, score: str) -> FloatArray:
        return np.array([each[where][score] for each in runs if each["arm"] == arm])

    trained = [arm for arm in arms if any(each["arm"] == arm for each in runs)]
    return {
        "task": task,
        "steps": steps,
        "worlds": worlds,
        "target": target.bands,
        "arms": {
            arm: {
                where: {score: interquartile(scores(arm, where, score)) for score in SCORES}
                for where in ("within", "beyond")
            }
            for arm in trained
        },
        "runs": runs,
    }


def interquartile(values: FloatArray) -> dict[str, float | None]:
    """Interquartile mean over seeds, bootstrapped 95 % interval (Agarwal et al., NeurIPS 2021)."""

    def mean(sample: FloatArray, axis: int = -1) -> Any:
        return trim_mean(sample, 0.25, axis=axis)

    value = float(mean(values))
    if len(values) < 2 or np.ptp(values) == 0.0:
        bound = None if len(values) < 2 else value
        return {"value": value, "low": bound, "high": bound}
    resampled = bootstrap(
        (values,),
        mean,
        n_resamples=RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    low, high = map(float, resampled.confidence_interval)
    return {"value": value, "low": low if math.isfinite(low) else None, "high": high}
