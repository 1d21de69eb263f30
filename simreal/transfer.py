"""How policies fare in another physics: each in MuJoCo, in MuJoCo perturbed, and in PyBullet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simreal.episodes import TIME_LIMIT
from simreal.evaluate import (
    Candidate,
    Summary,
    interval_json,
    load_candidate,
    number_text,
    run_episodes,
    share_text,
    summarize,
    summary_json,
)
from simreal.experiment import BaseExperiment
from simreal.other_engine import move_to_engine
from simreal.physics.engines import EngineName, find_engine
from simreal.randomization.schedules import FixedConfig
from simreal.statistics import Interval, share_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simreal.report import Page


@dataclass(frozen=True, slots=True)
class Condition:
    """A physics in which policies are judged.

    Attributes:
        name: for people.
        engine: which simulates.
        randomized: whether as the policy was trained; else all parameters are nominal.
    """

    name: str
    engine: EngineName
    randomized: bool

    def of(self, experiment: BaseExperiment) -> BaseExperiment:
        """An experiment under this condition."""
        if not self.randomized:
            plain = {"randomization": {}, "pins": {}, "schedule": FixedConfig()}
            experiment = experiment.model_copy(update=plain)
        return move_to_engine(experiment, self.engine).experiment


CONDITIONS = (
    Condition("MuJoCo nominal", "mujoco", randomized=False),
    Condition("MuJoCo perturbed", "mujoco", randomized=True),
    Condition("PyBullet nominal", "bullet", randomized=False),
)
HEADER = ("policy", "physics", "success", "not ended early", "return")


@dataclass(frozen=True, slots=True)
class Result:
    """A policy under one condition.

    Attributes:
        policy: its name.
        condition: its name.
        summary: of its episodes.
    """

    policy: str
    condition: str
    summary: Summary

    @property
    def lasted(self) -> Interval:
        """Share of the episodes that nothing ended before their time limit, such as a fall."""
        return share_interval(self.summary.ended_by.get(TIME_LIMIT, 0), self.summary.episodes)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Policies under all conditions.

    Attributes:
        episodes: of each policy under each condition.
        seed: of the evaluation; episode k begins alike for every policy and condition.
        results: policy by policy, in the order of `CONDITIONS`.
    """

    episodes: int
    seed: int
    results: list[Result]

    @property
    def policies(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(each.policy for each in self.results))

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics of all tasks."""
        return list(dict.fromkeys(name for each in self.results for name in each.summary.metrics))


def load_candidates(paths: Sequence[Path]) -> list[Candidate]:
    """Policies from run folders or exported files, with names that differ."""
    paths = list(dict.fromkeys(paths))
    candidates = [load_candidate(path) for path in paths]
    names = [candidate.name for candidate in candidates]
    return [
        replace(each, name=str(path)) if names.count(each.name) > 1 else each
        for path, each in zip(paths, candidates, strict=True)
    ]


def compare(
    candidates: Sequence[Candidate],
    episodes: int = 64,
    seed: int = 0,
    listen: Callable[[str, int], None] | None = None,
) -> Transfer:
    """Run every policy under every condition.

    Args:
        candidates: the policies.
        episodes: of each under each condition.
        seed: of the evaluation.
        listen: called with what is being run, and the number of all episodes that are done.

    Raises:
        UserError: PyBullet is not installed, or cannot simulate one of the robots; before the first
            episode.
    """
    for condition in CONDITIONS:
        find_engine(condition.engine)
    trials = [(each, place, place.of(each.experiment)) for each in candidates for place in CONDITIONS]
    results: list[Result] = []
    for candidate, condition, experiment in trials:

        def tell(done: int, what: str = f"{candidate.name}, {condition.name}") -> None:
            if listen is not None:
                listen(what, len(results) * episodes + done)

        found = run_episodes(candidate.act, experiment, episodes, seed, None, tell)
        results.append(Result(candidate.name, condition.name, summarize(found)))
    return Transfer(episodes, seed, results)


def header(transfer: Transfer) -> list[str]:
    """Of the table."""
    return [*HEADER, *transfer.metrics]


def rows(transfer: Transfer) -> list[list[str]]:
    """The table, one row for each policy and condition, with 95 % intervals."""
    return [
        [
            each.policy,
            each.condition,
            share_text(each.summary.success),
            share_text(each.lasted),
            number_text(each.summary.mean_return, ".1f"),
            *(
                number_text(each.summary.metrics[name], ".3g") if name in each.summary.metrics else "-"
                for name in transfer.metrics
            ),
        ]
        for each in transfer.results
    ]


def as_json(transfer: Transfer) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "episodes": transfer.episodes,
        "seed": transfer.seed,
        "results": [
            {
                "policy": each.policy,
                "physics": each.condition,
                "not_ended_early": interval_json(each.lasted),
                **summary_json(each.summary),
            }
            for each in transfer.results
        ],
    }


def add_transfer(page: "Page", transfer: Transfer) -> None:
    """A section with the table and a picture of it."""
    page.heading("Policies in other physics")
    page.text(
        f"{transfer.episodes} episodes each, from the same starts and with the same commands. Nominal: "
        "all parameters as in the model, without latencies and noise; a policy that was trained with "
        "them may do worse there. Perturbed: drawn as in the policy's own training. In brackets and as "
        "whiskers, 95 % intervals."
    )
    page.table(header(transfer), rows(transfer))
    page.picture(bars(transfer))
    ends = [
        (each.policy, each.condition, ", ".join(f"{k} {n}" for k, n in each.summary.ended_by.items()))
        for each in transfer.results
    ]
    page.table(("policy", "physics", "episodes ended by"), ends)


def bars(transfer: Transfer) -> "Figure":
    """Bars with intervals: a panel for each number, a group for each policy, a bar for each physics."""
    from simreal.report import new_figure

    panels = [*HEADER[2:], *transfer.metrics]
    columns = min(3, len(panels))
    count = -(-len(panels) // columns)
    figure, axes = new_figure(columns, count, height=1.6 + 0.45 * len(transfer.policies))
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes, panels, strict=False):
        _bars(axis, transfer, panel)
    axes[0].legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.08))
    return figure


def _interval(result: Result, panel: str) -> Interval:
    match panel:
        case "success":
            return result.summary.success
        case "not ended early":
            return result.lasted
        case "return":
            return result.summary.mean_return
    return result.summary.metrics.get(panel, share_interval(0, 0))


def _bars(axis: Any, transfer: Transfer, panel: str) -> None:
    from simreal.report import COLOUR, SECOND_COLOUR

    policies = transfer.policies
    height = 0.8 / len(CONDITIONS)
    colours = (COLOUR, "#8fb8c6", SECOND_COLOUR)
    for place, (condition, colour) in enumerate(zip(CONDITIONS, colours, strict=True)):
        found = [_interval(each, panel) for each in transfer.results if each.condition == condition.name]
        value, low, high = np.array(found).T
        at = np.arange(len(policies)) + (place - 1) * height
        reach = np.nan_to_num(np.maximum(0.0, [value - low, high - value]))
        axis.barh(at, value, 0.9 * height, xerr=reach, color=colour, label=condition.name, capsize=2)
        axis.plot(value, at, "|", color=colour, ms=5, mew=1.6)  # shows a bar of no length, too
    axis.set_yticks(range(len(policies)), policies)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.set_title(panel, fontsize=9)
    if panel in HEADER[2:4]:
        axis.set_xlim(0.0, 1.05)
