"""The whole way from logs to a posterior: fit, compare, know how well, widen, write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError, nearest
from simreal.identification.ensemble import RATE, Draw, Ensemble, draw_members
from simreal.identification.fitting import Cutting, Fitted, Prediction, fit_model, predict_windows
from simreal.identification.inference import ROUNDS, draw_learned, learned_posterior
from simreal.identification.pushes import mark_pushes
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import Uncertainty, uncertainty
from simreal.identification.unknowns import Asked
from simreal.identification.widening import Cover, Logs
from simreal.randomization.posterior import Posterior, PosteriorParameter, sources_of

Values = NDArray[np.float64]
Tell = Callable[[str], None]

SAMPLES = 200
"""Rows of the posterior."""
LAST_PART = 0.7
"""Of a single recording, the share that is fitted to; the rest is held out."""


@dataclass(frozen=True, slots=True)
class Split:
    """What is fitted to, and what is held out to judge by: never a random choice of windows.

    Attributes:
        fitted: recordings to fit.
        held_out: recordings to predict.
        between: shares of those within which predicted windows lie.
        how: in words.
    """

    fitted: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    between: tuple[float, float]
    how: str


def split(recordings: Sequence[Recording], hold_out: Sequence[str]) -> Split:
    """Hold out whole groups of recordings, of an excitation and a day, by patterns of their names.

    Without patterns: the last group; of one group, its last recording; of one recording, its end.

    Raises:
        UserError: a pattern that matches nothing, or everything.
    """
    groups = list(dict.fromkeys(each.group for each in recordings))
    if hold_out:
        chosen = [each for each in recordings if _matches(each, hold_out)]
        for pattern in hold_out:
            if not any(_matches(each, [pattern]) for each in recordings):
                known = [*groups, *(each.name for each in recordings)]
                raise UserError(f"--hold-out {pattern}: no such log: {nearest(pattern, known)}")
        if len(chosen) == len(recordings):
            raise UserError("--hold-out: holds out every log; at least one is needed to fit to")
        how = "held out: " + ", ".join(dict.fromkeys(each.group for each in chosen))
    elif len(groups) > 1:
        chosen = [each for each in recordings if each.group == groups[-1]]
        how = f"held out: {groups[-1]}"
    elif len(recordings) > 1:
        chosen = [recordings[-1]]
        how = f"held out: {recordings[-1].name}, the last log; all are of one excitation and day"
    else:
        one = recordings[0]
        part = round(LAST_PART * len(one.time))
        velocity = None if one.velocity is None else one.velocity[:part]
        first = replace(one, time=one.time[:part], position=one.position[:part], velocity=velocity)
        return Split((first,), (one,), (LAST_PART, 1.0), f"held out: the last 30 % of {one.name}")
    rest = tuple(each for each in recordings if all(each is not other for other in chosen))
    return Split(rest, tuple(chosen), (0.0, 1.0), how)


def _matches(recording: Recording, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(text, pattern) or pattern in text
        for pattern in patterns
        for text in (recording.group, recording.name)
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model among nested ones.

    Attributes:
        asked: its unknowns.
        fitted: to the recordings that are fitted.
        prediction: of those held out.
        score: mean over held-out windows of the squared error, in variances of the best fit.
        standard_error: of the score's excess over the best model's, from blocks of windows.
    """

    asked: tuple[Asked, ...]
    fitted: Fitted
    prediction: Prediction
    score: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Identification:
    """What came of it.

    Attributes:
        setup: of the robot.
        split: of the recordings.
        cutting: of both parts.
        candidates: nested models, from the smallest to the largest.
        chosen: index of the simplest within one standard error of the best.
        nominal: the model as it is, predicting the same windows.
        nominal_score: of it, and the standard error of its excess over the best model's.
        uncertainty: of the chosen fit.
        method: by which the posterior was found, in words.
        ensemble: widened until it covers what was held out.
        samples: (rows, unknowns) of the posterior, as they are written.
        low: (windows, samples, joints) lower edge of the ensemble's band on held-out windows.
        high: likewise.
    """

    setup: Setup
    split: Split
    cutting: Cutting
    candidates: list[Candidate]
    chosen: int
    nominal: Prediction
    nominal_score: tuple[float, float]
    uncertainty: Uncertainty
    method: str
    ensemble: Ensemble
    samples: Values
    low: Values
    high: Values

    @property
    def best(self) -> Candidate:
        """The chosen model."""
        return self.candidates[self.chosen]

    @property
    def deviations(self) -> Values:
        """(unknowns,) standard deviations of what is written."""
        result: Values = self.samples.std(axis=0)
        return result

    @property
    def nominal_suffices(self) -> bool:
        """Whether no model predicts better than the one as it is, by more than a standard error."""
        score, error = self.nominal_score
        return score - min(each.score for each in self.candidates) <= error


def identify(
    setup: Setup,
    recordings: Sequence[Recording],
    nested: Sequence[Sequence[Asked]],
    cutting: Cutting,
    hold_out: Sequence[str] = (),
    tell: Tell | None = None,
    simulations: int | None = None,
) -> Identification:
    """Find parameters of a robot from recordings of it.

    Args:
        setup: how it stood.
        recordings: of it.
        nested: what each model adds to the unknowns of the one before.
        cutting: into windows.
        hold_out: patterns of groups or logs to judge by.
        tell: is told how far it is.
        simulations: robots in each round of simulation-based inference; if absent, the posterior is an
            ellipsoid around the fit.

    Raises:
        UserError: names that do not fit the robot, logs that do not suffice or lack velocities that
            shall count, or simulation-based inference of what varies by group of logs.
    """
    if simulations is not None and (varying := [a.name for each in nested for a in each if a.varies]):
        raise UserError(
            f"{varying[0]}@group: --simulations knows no value that differs by group of logs"
        )
    for each in recordings if cutting.velocities else ():
        if each.velocity is None:
            raise UserError(
                f"{each.name}: --velocities, but no joint_velocity by joint_position's clock"
            )
    say = tell or (lambda text: None)
    model = setup.compiled()
    marked = [mark_pushes(each, setup.robot.description, model) for each in recordings]
    parts = split(marked, hold_out)
    nominal = predict_windows(setup, parts.held_out, (), np.zeros((1, 0)), cutting, parts.between)
    say(
        "losses are in noise that is estimated anew in the first iterations, and grow with the windows: "
        "they may rise"
    )
    candidates, nominal_score = _compare(setup, parts, nested, cutting, nominal, say)
    chosen = _simplest(candidates)
    best = candidates[chosen]
    say("uncertainty")
    known = uncertainty(best.fitted)
    draw, method = _posterior_draws(best, known, simulations, say)
    cover = Cover(setup, best.asked, best.fitted, draw)
    logs = Logs(parts.held_out, cutting, parts.between)
    ensemble = cover.widened(logs, say)
    say("edges of the band")
    low, high = cover.edges(ensemble, logs)
    return Identification(
        setup=setup,
        split=parts,
        cutting=cutting,
        candidates=candidates,
        chosen=chosen,
        nominal=nominal,
        nominal_score=nominal_score,
        uncertainty=known,
        method=method,
        ensemble=ensemble,
        samples=draw(ensemble.widening.unknowns, SAMPLES),
        low=low,
        high=high,
    )


def describe_pushes(found: Identification) -> list[str]:
    """A line for each log in which something pushed, and what that does to the held-out error."""
    recordings = {each.name: each for each in (*found.split.fitted, *found.split.held_out)}
    lines = [
        f"{name}: something pushed that is not in the log, at "
        + ", ".join(f"{begin:.1f} to {end:.1f} s" for begin, end in each.pushed)
        for name, each in recordings.items()
        if each.pushed
    ]
    if lines:
        lines.append(
            "no window with a push was fitted to; held-out errors and scores are of all windows"
        )
    pushed = found.best.prediction.windows.pushed
    if pushed.any():
        without = found.best.prediction.root_mean_square(~pushed)[0]
        lines.append(
            f"held-out error without the {int(pushed.sum())} of {len(pushed)} windows with a push: "
            + ", ".join(f"{value:.4g}" for value in without)
        )
    return lines


def _posterior_draws(
    best: Candidate, known: Uncertainty, simulations: int | None, say: Tell
) -> tuple[Draw, str]:
    fit, simulator = best.fitted.fit, best.fitted.simulator
    if simulations is None:
        return partial(draw_members, fit.values, known, simulator.unknowns), "by a block bootstrap"
    # What the model leaves unexplained counts as noise, so that its faults do not pass for knowledge.
    learned = learned_posterior(simulator, fit.noise.position, simulations, SAMPLES, tell=say)
    return (
        partial(draw_learned, fit.values, learned, simulator.unknowns),
        f"by simulation-based inference, {ROUNDS} rounds of {simulations} robots",
    )


def _compare(
    setup: Setup,
    parts: Split,
    nested: Sequence[Sequence[Asked]],
    cutting: Cutting,
    nominal: Prediction,
    say: Tell,
) -> tuple[list[Candidate], tuple[float, float]]:
    found: list[tuple[tuple[Asked, ...], Fitted, Prediction]] = []
    asked: tuple[Asked, ...] = ()
    given: Mapping[str, float] | None = None
    for number, added in enumerate(nested, 1):
        asked = (*asked, *added)

        def tell(text: str, number: int = number) -> None:
            say(f"model {number} of {len(nested)}, {text}")

        fitted = fit_model(setup, parts.fitted, asked, cutting, given, tell)
        given = fitted.by_name
        values = fitted.fit.values[None]
        found.append(
            (
                asked,
                fitted,
                predict_windows(setup, parts.held_out, asked, values, cutting, parts.between),
            )
        )
    deviation = np.min([fitted.fit.noise.position for _, fitted, _ in found], axis=0)
    scores = _scores([nominal, *(prediction for _, _, prediction in found)], deviation)
    candidates = [Candidate(*each, *score) for each, score in zip(found, scores[1:], strict=True)]
    return candidates, scores[0]


def _scores(predictions: Sequence[Prediction], deviation: Values) -> list[tuple[float, float]]:
    """Mean square over windows of each, and the standard error of its excess over the best model's.

    The first is the model as it is, which is held against the best of the others.
    """
    joints = len(deviation)
    errors = [
        np.mean(
            np.minimum(np.nan_to_num(each.error[0, ..., :joints], nan=1e3) / deviation, 1e3) ** 2,
            axis=(1, 2),
        )
        for each in predictions
    ]
    best = min(errors[1:], key=np.mean)
    scores = []
    for each in errors:
        excess = each - best
        blocks = np.array_split(excess, max(2, min(20, len(excess))))
        means = np.array([block.mean() for block in blocks if block.size])
        error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
        scores.append((float(each.mean()), error))
    return scores


def _simplest(candidates: Sequence[Candidate]) -> int:
    """The first model that is no more than one standard error of the difference behind the best."""
    best = min(each.score for each in candidates)
    return next(
        index for index, each in enumerate(candidates) if each.score - best <= each.standard_error
    )


def posterior(found: Identification, logs: Sequence[Path]) -> Posterior:
    """The file that training reads: whole rows, one number for each part that an unknown stands for."""
    unknowns = found.best.fitted.simulator.unknowns
    parameters = tuple(
        PosteriorParameter(
            name=column,
            unit=unknown.unit,
            operation=unknown.operation,
            low=unknown.low,
            high=unknown.high,
        )
        for unknown in unknowns
        for column in unknown.columns
    )
    copies = [len(unknown.columns) for unknown in unknowns]
    rows = np.repeat(found.samples, copies, axis=1)
    windows = found.best.fitted.simulator.windows
    return Posterior(
        robot=found.setup.robot.name,
        parameters=parameters,
        samples=tuple(tuple(map(float, row)) for row in rows),
        sources=sources_of(logs),
        provenance=(
            f"simreal identify: {len(windows)} windows of {windows.length:g} s, {found.split.how}; "
            f"posterior {found.method}; {describe_widening(found)}"
            + "".join(f"; {each.describe()}" for each in found.best.fitted.spreads)
        ),
    )


def describe_widening(found: Identification) -> str:
    """How far deviations were widened and what the model lacks, by joint, for people."""
    ensemble = found.ensemble
    joints = zip(
        found.setup.robot.description.joints,
        ensemble.widening.joints,
        ensemble.widening.coverage,
        ensemble.model_error,
        strict=True,
    )
    told = [
        f"{joint.name} times {factor:.3g}, which covers {100 * share:.0f} %, and model error "
        f"{error:.2g} {joint.unit} by each second of a prediction"
        for joint, factor, share, error in joints
    ]
    return (
        "deviations widened as far as that helps to cover what was held out; what is lacking to "
        f"{100 * RATE:.0f} % is the model's error, which grows with each second of prediction and is "
        f"not drawn: {'; '.join(told)}"
    )
