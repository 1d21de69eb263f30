"""How well a policy that adapts while it runs (`adaptation: rma`) finds out in which world it is.

On episodes that the training has not seen, the estimator's latent is held against the
encoder's, entry by entry. What of each drawn parameter the two contain is read off by linear
regression from the encoder's latents, fitted on half of the episodes and judged on the others.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simreal.agents.adaptive import AdaptivePolicy
from simreal.agents.exported import exported, find_normalizer
from simreal.agents.memory import Actor, AdaptiveActor
from simreal.agents.normalizer import Normalizer
from simreal.episodes import Environment, Episode
from simreal.errors import UserError
from simreal.evaluate import percent, summarize, summary_json
from simreal.experiment import ExperimentConfig
from simreal.make_environment import make_environment
from simreal.report import COLOUR, Page, new_figure
from simreal.run import Run
from simreal.state import FloatArray
from simreal.train import load_agent

RIDGE = 1e-3
"""Of the regression, on latents of unit variance: those that hardly vary say nothing."""
HEADER = ("quantity", "share of the latent's variance", "R² of the encoder", "R² of the estimator")


class EntryRow(NamedTuple):
    """An entry of the latent: how much of the variance is its, and R² of its estimate."""

    share: float
    estimated: float


class ParameterRow(NamedTuple):
    """A drawn parameter: what share of the latent's variance follows it, and what tells it.

    `encoded` and `estimated` are R² of the parameter by regression from the encoder's latent and from
    the estimator's: what the policy was given to know, and what it finds out.
    """

    name: str
    share: float
    encoded: float
    estimated: float


@dataclass(frozen=True, slots=True)
class LatentReport:
    """What an estimator is worth.

    Attributes:
        episodes: that were run.
        after: control steps of an episode before which estimates do not count: a full history.
        explained: R² of all entries of the latent together.
        entries: one by one.
        parameters: one by one, those with the largest share first.
        by_time: (steps,) R² of the estimate at each step of the episodes that last so long.
        with_estimate: episodes with the estimated latent.
        with_truth: the same episodes with the encoder's, which no robot could have.
    """

    episodes: int
    after: int
    explained: float
    entries: list[EntryRow]
    parameters: list[ParameterRow]
    by_time: FloatArray
    with_estimate: list[Episode]
    with_truth: list[Episode]


class _Told(AdaptiveActor):
    """Acts with the encoder's latent, as no robot can."""

    def __init__(self, policy: AdaptivePolicy, normalizer: Normalizer, env: Environment) -> None:
        super().__init__(policy, normalizer)
        self._policy, self._env = policy, env

    def forward(
        self, observation: torch.Tensor, history: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        latent = _encoded(self._policy, self._env, observation)
        return self.given(latent, observation, history)


def _encoded(policy: AdaptivePolicy, env: Environment, observation: torch.Tensor) -> torch.Tensor:
    """(n, latent) what the encoder says now."""
    privileged = torch.from_numpy(env.privileged)
    with torch.no_grad():
        return policy.encode(torch.cat((observation, privileged), dim=1))


def latent_report(run: Run, episodes: int = 256, seed: int = 1_000_000) -> LatentReport:
    """Run a policy with its estimates, and with the truth, in the same worlds.

    Args:
        run: of an experiment with `adaptation: rma`, trained to its end.
        episodes: how many, from the task's own start.
        seed: of them.

    Raises:
        UserError: a run that does not adapt, or whose episodes are shorter than a history.
    """
    experiment = run.experiment()
    if not isinstance(experiment, ExperimentConfig) or experiment.adaptation is None:
        raise UserError(f"{run.path}: a policy that does not adapt: train it with -o adaptation=rma")
    agent, trained_in = load_agent(run)
    policy = agent.policy
    assert isinstance(policy, AdaptivePolicy)
    module = exported(agent, trained_in.contract)
    assert isinstance(module, AdaptiveActor)
    setting = experiment.arrived(trained_in.randomizer.schedule).from_start()
    env = make_environment(setting, episodes)
    actor, truth, draws, alive, with_estimate = _with_estimates(module, policy, env, seed)
    steps = policy.estimator.steps
    known = alive.copy()
    known[:steps] = False
    if not known.any():
        raise UserError(f"{run.path}: no episode lasts longer than the history of {steps} steps")
    spread = _variance(truth)
    squares = np.array([np.mean((actor - truth)[:, :, j][known] ** 2) for j in range(truth.shape[-1])])
    by_time = [
        1.0 - float(np.mean((actor[t] - truth[t])[alive[t]] ** 2)) / float(spread.mean())
        for t in range(len(alive))
        if alive[t].mean() > 0.5
    ]
    with_truth = _run(Actor(_Told(policy, find_normalizer(agent), env)), env, seed)
    return LatentReport(
        episodes,
        steps,
        1.0 - float(squares.sum() / spread.sum()),
        [EntryRow(*each) for each in zip(spread / spread.sum(), 1.0 - squares / spread, strict=True)],
        _parameter_rows(env.randomizer.columns, draws, truth[0], actor, known),
        np.array(by_time),
        with_estimate,
        with_truth,
    )


def _with_estimates(
    module: AdaptiveActor, policy: AdaptivePolicy, env: Environment, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_], list[Episode]]:
    """(steps, n, latent) estimates and truth, (n, columns) draws, (steps, n) whether it still runs."""
    act = Actor(module)
    observation = env.reset(seed)
    estimates, truths, lasting = [], [], []
    running = np.ones(env.count, dtype=bool)
    found: dict[int, Episode] = {}
    while running.any():
        (history,) = act.state(env.count)
        with torch.no_grad():
            estimates.append(module.estimator(torch.from_numpy(history)).numpy())
        truths.append(_encoded(policy, env, torch.from_numpy(observation)).numpy())
        lasting.append(running.copy())
        step = env.step(act(observation))
        observation = step.observation
        ended = np.flatnonzero(step.terminated | step.truncated)
        for row, episode in zip(ended.tolist(), step.episodes, strict=True):
            found.setdefault(row, episode)
        running[ended] = False
        act.begin(ended)
    done = [found[row] for row in range(env.count)]
    draws = np.array([list(episode.draw.values()) for episode in done])
    return np.array(estimates, float), np.array(truths, float), draws, np.array(lasting), done


def _run(act: Actor, env: Environment, seed: int) -> list[Episode]:
    observation = env.reset(seed)
    found: dict[int, Episode] = {}
    while len(found) < env.count:
        step = env.step(act(observation))
        observation = step.observation
        ended = np.flatnonzero(step.terminated | step.truncated)
        for row, episode in zip(ended.tolist(), step.episodes, strict=True):
            found.setdefault(row, episode)
        act.begin(ended)
    return [found[row] for row in range(env.count)]


def _variance(truth: FloatArray) -> FloatArray:
    """(latent,) variance over the worlds, of the first step; it is the same in all."""
    spread: FloatArray = np.maximum(truth[0].var(axis=0), 1e-12)
    return spread


def _parameter_rows(
    names: tuple[str, ...] | list[str],
    draws: FloatArray,
    truth: FloatArray,
    estimates: FloatArray,
    known: NDArray[np.bool_],
) -> list[ParameterRow]:
    """A row for each parameter that varies.

    Args:
        names: of the columns of `draws`.
        draws: (n, columns).
        truth: (n, latent).
        estimates: (steps, n, latent).
        known: (steps, n) where an estimate counts.
    """
    counts = known.sum(axis=0)
    mean = np.where(known[..., None], estimates, 0.0).sum(axis=0) / np.maximum(counts, 1)[:, None]
    judged = np.flatnonzero((np.arange(len(draws)) % 2 == 1) & (counts > 0))
    fitted = np.arange(0, len(draws), 2)
    spread = _variance(truth[None])
    rows = []
    for column, name in enumerate(names):
        values = draws[:, column]
        if np.ptp(values[fitted]) <= 0.0 or np.ptp(values[judged]) <= 0.0:
            continue
        correlation = _correlation(values, truth)
        share = float(np.sum(correlation**2 * spread) / spread.sum())
        told = [_told(values, truth, each, fitted, judged) for each in (truth, mean)]
        rows.append(ParameterRow(name, share, *told))
    return sorted(rows, key=lambda row: -row.share)


def _correlation(values: FloatArray, latent: FloatArray) -> FloatArray:
    """(latent,) correlation of a parameter with each entry."""
    centred, entries = values - values.mean(), latent - latent.mean(axis=0)
    scale = np.linalg.norm(centred) * np.linalg.norm(entries, axis=0)
    found: FloatArray = centred @ entries / np.maximum(scale, 1e-12)
    return found


def _told(
    values: FloatArray,
    truth: FloatArray,
    given: FloatArray,
    fitted: NDArray[np.intp],
    judged: NDArray[np.intp],
) -> float:
    """R² of a parameter on some worlds, by ridge regression on the encoder's latents of others."""
    centre, scale = truth[fitted].mean(axis=0), truth[fitted].std(axis=0) + 1e-9
    inputs = (truth[fitted] - centre) / scale
    mean = values[fitted].mean()
    square = inputs.T @ inputs + RIDGE * len(fitted) * np.eye(inputs.shape[1])
    weight = np.linalg.solve(square, inputs.T @ (values[fitted] - mean))
    guess = mean + (given[judged] - centre) / scale @ weight
    rest = np.mean((values[judged] - guess) ** 2)
    return 1.0 - float(rest / values[judged].var())


def table(report: LatentReport) -> list[tuple[str, str, str, str]]:
    """`HEADER`'s columns: the latent, its entries, and the parameters in it."""
    rows = [("latent", "100 %", "", f"{report.explained:.2f}")]
    rows += [
        (f"latent[{place}]", f"{100 * each.share:.1f} %", "", f"{each.estimated:.2f}")
        for place, each in enumerate(report.entries)
    ]
    rows += [
        (each.name, f"{100 * each.share:.1f} %", f"{each.encoded:.2f}", f"{each.estimated:.2f}")
        for each in report.parameters
    ]
    return rows


def as_json(report: LatentReport) -> dict[str, Any]:
    """The report for programs."""
    return {
        "episodes": report.episodes,
        "after_steps": report.after,
        "explained": report.explained,
        "entries": [each._asdict() for each in report.entries],
        "parameters": [each._asdict() for each in report.parameters],
        "explained_by_step": report.by_time.tolist(),
        "with_estimate": summary_json(summarize(report.with_estimate)),
        "with_truth": summary_json(summarize(report.with_truth)),
    }


def success_rows(report: LatentReport) -> list[tuple[str, str, str]]:
    """What acts, success and return: with the estimate, and with the encoder's latent."""
    both = (
        ("the estimator's, as on the robot", report.with_estimate),
        ("the encoder's, which no robot has", report.with_truth),
    )
    return [
        (name, percent(each.success.value), f"{each.mean_return.value:.1f}")
        for name, episodes in both
        for each in (summarize(episodes),)
    ]


def page(report: LatentReport, name: str, rate: float) -> Page:
    """The report for people; `rate` is that of control, in Hz."""
    made = Page(f"What {name} finds out of its world")
    made.text(
        f"{report.episodes} episodes from the task's start, with parameters drawn as in training, which "
        f"it did not see. Estimates count after {report.after} control steps, a full history."
    )
    made.table(("latent in use", "success", "return"), success_rows(report))
    made.table(HEADER, table(report))
    made.text(
        "The share of a parameter is what of the latent's variance follows it linearly. Its R² is by "
        "linear regression, fitted on the encoder's latents of half of the episodes: the encoder's "
        "says what the policy was given to know, the estimator's what it finds out. Parameters that do "
        "not matter to the policy have neither.",
        note=True,
    )
    figure, (axis,) = new_figure(1, 1)
    axis.plot(np.arange(len(report.by_time)) / rate, report.by_time, color=COLOUR)
    axis.axhline(1.0, color="#bbb", linewidth=0.8)
    axis.set_ylim(-0.5, 1.05)
    axis.set_xlabel("time in the episode, s")
    axis.set_ylabel("R² of the latent")
    made.picture(figure)
    return made
