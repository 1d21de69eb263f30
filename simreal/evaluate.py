"""Evaluation: return and success of a policy over numbered episodes, the same for every policy."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.column_names import axis_label
from simreal.contract import Contract
from simreal.contract_differences import refuse_differences
from simreal.deploy.policy import Policy, load_policy
from simreal.episode_random import SeedArray, episode_seed
from simreal.episodes import Environment, Episode, begin_episodes
from simreal.errors import UserError, missing_extra
from simreal.experiment import BaseExperiment, ExperimentConfig, parse_kept_experiment
from simreal.images import Images
from simreal.make_environment import make_environment
from simreal.observation import Float32Array
from simreal.other_engine import engine_of, move_to_engine
from simreal.physics.engines import EngineName
from simreal.robots.policies import find_policy
from simreal.statistics import Interval, mean_interval, share_interval
from simreal.tasks import refuse_sent_file

LARGEST_BATCH = 256
LARGEST_BULLET_BATCH = 32
"""A simulation of it takes 30 MB, and many are no faster than few."""
WHOLE_ROWS = 16
"""Batches are multiples of it: torch rounds the rows of an incomplete vector otherwise, so that an
episode would depend on the size of its batch (torch 2.13 on x86; onnxruntime does not)."""
Act = Callable[[Float32Array, Images], NDArray[np.floating[Any]]]
"""Maps (n, size) observations and what cameras show to (n, actuators) actions in [-1, 1]."""


@dataclass(frozen=True)  # without slots, for what is cached
class Candidate:
    """A policy to evaluate, from a run or from a file.

    Attributes:
        name: for people.
        act: the policy itself; one that carries something from step to step must be told by
            `begin_episodes` where episodes begin.
        experiment: what it was trained in.
        trained: contract of its training; None of what nobody trained.
    """

    name: str
    act: Act
    experiment: BaseExperiment
    trained: Contract | None = None

    @cached_property
    def contract(self) -> Contract:
        """Of its experiment, which is built for it."""
        return make_environment(self.experiment.from_start(), 1, threads=1).contract


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of episodes comes to, with 95 % intervals."""

    episodes: int
    mean_return: Interval
    success: Interval
    goal_share: Interval
    mean_length: float
    ended_by: dict[str, int]
    metrics: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Episodes of a policy, and what they come to.

    Attributes:
        candidate: the policy's name.
        seed: of the evaluation.
        pins: parameters that were held.
        episodes: one by one.
        summary: of all of them.
        curves: parameter to points of a sweep, if any was asked for.
        engine: which simulated.
        not_followed: those of the pins that hold at its nominal value what the engine cannot follow.
    """

    candidate: str
    seed: int
    pins: dict[str, float]
    episodes: list[Episode]
    summary: Summary
    curves: dict[str, list[tuple[float, Summary]]]
    engine: EngineName = "mujoco"
    not_followed: dict[str, float] = field(default_factory=dict)


def load_candidate(path: Path) -> Candidate:
    """A policy from a run folder or from an exported file.

    Raises:
        UserError: the path is neither.
    """
    path = find_policy(path)
    if path.is_dir():
        return _from_run(path)
    if not path.exists():
        raise UserError(f"{path}: no such run folder or .onnx file")
    policy = load_policy(path)
    experiment = experiment_of(policy, path)
    refuse_differences(policy.contract, make_environment(experiment, 1, threads=1).contract, str(path))
    act = policy.batch() if policy.contract.hidden_states else policy.act
    return Candidate(path.name, act, experiment, policy.contract)


def experiment_of(policy: Policy, path: Path) -> BaseExperiment:
    """The experiment that an exported policy was trained in.

    Raises:
        UserError: it has none, or a damaged one, or one whose task is in a file that nobody trusts.
    """
    if policy.experiment is None:
        raise UserError(f"{path}: holds no experiment, so that it cannot be evaluated")
    try:
        data = json.loads(policy.experiment)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise UserError(f"{path}: damaged experiment in its metadata")
    refuse_sent_file(str(data.get("task")), str(path))
    return parse_kept_experiment(data)


def _from_run(path: Path) -> Candidate:
    try:
        from simreal.agents.exported import acting, exported
        from simreal.run import Run
        from simreal.train import load_agent
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "train") from None
    run = Run.open(path)
    agent, env = load_agent(run)
    act = acting(exported(agent, env.contract))
    experiment = run.experiment().arrived(env.randomizer.schedule)
    return Candidate(path.name, act, experiment, run.contract())


def in_held_out_world(candidate: Candidate) -> Candidate:
    """The same policy in the visual world that its training never drew from.

    Raises:
        UserError: its experiment has none.
    """
    experiment = candidate.experiment
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{candidate.name}: an experiment of dm_control has no cameras of a policy's")
    held_out = experiment.in_held_out_world()
    return replace(candidate, name=f"{candidate.name}, held-out visual world", experiment=held_out)


def run_episodes(
    act: Act,
    experiment: BaseExperiment,
    episodes: int,
    seed: int,
    pins: Mapping[str, float] | None = None,
    listen: Callable[[int], None] | None = None,
) -> list[Episode]:
    """Run numbered episodes from the task's own start.

    Episode k of a seed is the same world for every policy and every number of episodes.

    Args:
        act: the policy.
        experiment: what to run it in.
        episodes: how many.
        seed: of the evaluation.
        pins: randomized parameters to hold at a value.
        listen: called at each step with the number of episodes done, running ones in part.
    """
    return run_given(act, experiment, episode_seed(seed, np.arange(episodes)), None, pins, listen)


def run_given(
    act: Act,
    experiment: BaseExperiment,
    seeds: SeedArray,
    draws: NDArray[np.float64] | None,
    pins: Mapping[str, float] | None = None,
    listen: Callable[[int], None] | None = None,
) -> list[Episode]:
    """Run particular episodes from the task's own start, in batches of nearly equal size.

    Args:
        act: the policy.
        experiment: what to run it in.
        seeds: (episodes,) of the episodes.
        draws: (episodes, columns) parameters to use; drawn from the seeds if absent.
        pins: randomized parameters to hold at a value, where no draws are given.
        listen: called with the number of episodes done.
    """
    largest = LARGEST_BULLET_BATCH if engine_of(experiment) == "bullet" else LARGEST_BATCH
    batches, count = whole_batches(len(seeds), largest)
    env = make_environment(experiment.from_start(), count, pins=pins)
    done: list[Episode] = []
    for part in np.array_split(np.arange(len(seeds)), batches):
        rows = np.resize(part, count)
        given = None if draws is None else draws[rows]
        observation = env.begin(np.arange(count), seeds[rows], given)
        begin_episodes(act)
        tell = None if listen is None else partial(_tell_share, listen, len(done), len(part))
        done += _first_episodes(env, act, observation, len(part), tell)
    return done


def whole_batches(episodes: int, largest: int = LARGEST_BATCH) -> tuple[int, int]:
    """In how many batches episodes are run, and how many simulations each has, all of them alike."""
    batches = math.ceil(episodes / largest)
    return batches, WHOLE_ROWS * math.ceil(episodes / batches / WHOLE_ROWS)


def _tell_share(listen: Callable[[int], None], before: int, running: int, share: float) -> None:
    """Episodes that run side by side end together: on the way, they count by how far they have come."""
    listen(before + int(running * min(share, 1.0)))


def _first_episodes(
    env: Environment,
    act: Act,
    observation: Float32Array,
    wanted: int,
    tell: Callable[[float], None] | None,
) -> list[Episode]:
    """The episode that is running in each of the first `wanted` simulations, to its end."""
    found: dict[int, Episode] = {}
    steps = 0
    while len(found) < wanted:
        step = env.step(act(observation, env.images))
        steps += 1
        if tell is not None:
            tell(steps / env.steps_of_episode)
        observation = step.observation
        for row, episode in zip(
            np.flatnonzero(step.terminated | step.truncated), step.episodes, strict=True
        ):
            if row < wanted:
                found.setdefault(int(row), episode)
    return [found[row] for row in range(wanted)]


def summarize(episodes: Sequence[Episode]) -> Summary:
    """What episodes come to."""
    causes: dict[str, int] = {}
    for episode in episodes:
        causes[episode.ended_by] = causes.get(episode.ended_by, 0) + 1
    return Summary(
        episodes=len(episodes),
        mean_return=mean_interval([episode.episode_return for episode in episodes]),
        success=share_interval(sum(e.success for e in episodes), len(episodes)),
        goal_share=mean_interval([episode.goal_share for episode in episodes]),
        mean_length=float(np.mean([episode.length for episode in episodes])),
        ended_by=causes,
        metrics={
            name: mean_interval([episode.metrics[name] for episode in episodes])
            for name in episodes[0].metrics
        },
    )


def evaluate(
    candidate: Candidate,
    episodes: int = 200,
    seed: int = 0,
    pins: Mapping[str, float] | None = None,
    vary: Mapping[str, Sequence[float]] | None = None,
    listen: Callable[[int], None] | None = None,
    engine: EngineName | None = None,
) -> Evaluation:
    """Evaluate a policy.

    Args:
        candidate: which.
        episodes: how many, for the whole and for each point of a sweep.
        seed: of the evaluation.
        pins: randomized parameters to hold at a value.
        vary: parameter to the values at which it is held, one after the other.
        listen: called with the number of episodes done so far.
        engine: in which, if not in that of the training. What it cannot follow is held at its nominal
            value.

    Raises:
        UserError: a pin or a sweep of a name that is not randomized, beyond what is physical, or
            beyond what the engine can follow; before the first episode.
    """
    pins, vary = dict(pins or {}), dict(vary or {})
    engine = engine or engine_of(candidate.experiment)
    experiment, not_followed = move_to_engine(candidate.experiment, engine, pins, vary)
    for name, values in vary.items():
        for end in (min(values), max(values)):
            make_environment(experiment, 1, seed, pins | {name: end}, threads=1)
    done = 0

    def episodes_with(extra: Mapping[str, float]) -> list[Episode]:
        nonlocal done
        before = done

        def tell(number: int) -> None:
            nonlocal done
            done = before + number
            if listen is not None:
                listen(done)

        return run_episodes(candidate.act, experiment, episodes, seed, pins | dict(extra), tell)

    whole = episodes_with({})
    curves = {
        name: [(value, summarize(episodes_with({name: value}))) for value in values]
        for name, values in vary.items()
    }
    held, summary = experiment.pins | pins, summarize(whole)
    return Evaluation(candidate.name, seed, held, whole, summary, curves, engine, not_followed)


def axis_labels(experiment: BaseExperiment) -> dict[str, str]:
    """The parameters that an experiment draws, by name, with what their values are in."""
    ranges = make_environment(experiment, 1, threads=1).randomizer.trained_ranges()
    return {each.name: axis_label(each.name, each.operation, each.unit) for each in ranges}


def percent(value: float) -> str:
    """A share for people."""
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"


def share_text(share: Interval) -> str:
    """A share with its interval for people, if it has one."""
    if math.isnan(share.low):
        return percent(share.value)
    return f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)})"


def number_text(number: Interval, form: str) -> str:
    """A number with its interval for people, if it has one, each in a form such as ``.1f``."""
    if math.isnan(number.low):
        return f"{number.value:{form}}"
    return f"{number.value:{form}} ({number.low:{form}} to {number.high:{form}})"


def summary_rows(summary: Summary) -> list[tuple[str, str]]:
    """A summary as rows of a table."""
    return [
        ("episodes", str(summary.episodes)),
        ("success", share_text(summary.success)),
        ("goal held in second half", percent(summary.goal_share.value)),
        ("return", number_text(summary.mean_return, ".1f")),
        ("mean length", f"{summary.mean_length:.0f} steps"),
        ("ended by", ", ".join(f"{name} {count}" for name, count in summary.ended_by.items())),
        *((name, number_text(each, ".3g")) for name, each in summary.metrics.items()),
    ]


def evaluation_rows(evaluation: Evaluation) -> list[tuple[str, str]]:
    """An evaluation as rows of a table."""
    rows = summary_rows(evaluation.summary)
    if evaluation.engine != "mujoco":
        rows.append(("engine", evaluation.engine))
    if evaluation.not_followed:
        held = ", ".join(f"{name} = {value:g}" for name, value in evaluation.not_followed.items())
        rows.append(("held, as the engine cannot follow", held))
    return rows


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation for programs."""
    return {
        "candidate": evaluation.candidate,
        "seed": evaluation.seed,
        "engine": evaluation.engine,
        "pins": evaluation.pins,
        "not_followed": evaluation.not_followed,
        **summary_json(evaluation.summary),
        "curves": {
            name: [{"value": value, **summary_json(summary)} for value, summary in points]
            for name, points in evaluation.curves.items()
        },
    }


def summary_json(summary: Summary) -> dict[str, Any]:
    """A summary for programs."""
    return {
        "episodes": summary.episodes,
        "mean_return": interval_json(summary.mean_return),
        "success": interval_json(summary.success),
        "goal_share": interval_json(summary.goal_share),
        "mean_length": summary.mean_length,
        "ended_by": summary.ended_by,
        "metrics": {name: interval_json(each) for name, each in summary.metrics.items()},
    }


def interval_json(interval: Interval) -> dict[str, float | None]:
    """JSON has no nan: a bound that a single episode leaves open is null."""
    return {key: value if math.isfinite(value) else None for key, value in interval._asdict().items()}
