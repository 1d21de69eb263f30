"""The whole way from logs to a posterior: fit, compare, know how well, widen, write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simreal.adapt.ensemble import MEMBERS, RATE, Draw, Ensemble, coverage, draw_members, widen
from simreal.adapt.fitting import Cutting, Fitted, Prediction, fit_model, predict_windows
from simreal.adapt.inference import ROUNDS, draw_learned, learned_posterior
from simreal.adapt.recording import Recording
from simreal.adapt.simulator import Setup
from simreal.adapt.uncertainty import Uncertainty, uncertainty
from simreal.adapt.unknowns import Asked
from simreal.errors import UserError, nearest
from simreal.files import digest
from simreal.randomization.posterior import Posterior, PosteriorParameter, Source

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
        first = Recording(
            one.name,
            one.group,
            one.command_time,
            one.command,
            one.time[:part],
            one.position[:part],
            None if one.velocity is None else one.velocity[:part],
        )
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
        uncertainty: of the chosen fit.
        draw: robots of the posterior.
        method: by which the posterior was found, in words.
        ensemble: widened until it covers what was held out.
        predicted: (members, windows, samples, joints) positions of the ensemble on held-out windows.
        noise: (joints,) of a measurement.
    """

    setup: Setup
    split: Split
    cutting: Cutting
    candidates: list[Candidate]
    chosen: int
    nominal: Prediction
    uncertainty: Uncertainty
    draw: Draw
    method: str
    ensemble: Ensemble
    predicted: Values
    noise: Values

    @property
    def best(self) -> Candidate:
        """The chosen model."""
        return self.candidates[self.chosen]

    @property
    def deviations(self) -> Values:
        """(unknowns,) standard deviations of the values, before widening."""
        result: Values = np.sqrt(np.diag(self.uncertainty.bounded_covariance))
        return result


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
        UserError: names that do not fit the robot, or logs that do not suffice.
    """
    say = tell or (lambda text: None)
    parts = split(recordings, hold_out)
    candidates = _compare(setup, parts, nested, cutting, say)
    chosen = _simplest(candidates)
    best = candidates[chosen]
    say("uncertainty")
    known = uncertainty(best.fitted)
    noise = 3.0 * np.median(best.fitted.simulator.windows.start_deviation[:, 0], axis=0)
    draw, method = _posterior_draws(best, known, simulations, say)
    say("widening until held-out windows are covered")
    ensemble, predicted = calibrate(setup, parts, best, draw, cutting, noise)
    nominal = predict_windows(setup, parts.held_out, (), np.zeros((1, 0)), cutting, parts.between)
    return Identification(
        setup,
        parts,
        cutting,
        candidates,
        chosen,
        nominal,
        known,
        draw,
        method,
        ensemble,
        predicted,
        noise,
    )


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
    setup: Setup, parts: Split, nested: Sequence[Sequence[Asked]], cutting: Cutting, say: Tell
) -> list[Candidate]:
    found: list[tuple[tuple[Asked, ...], Fitted, Prediction]] = []
    asked: tuple[Asked, ...] = ()
    given: Mapping[str, float] | None = None
    for number, added in enumerate(nested, 1):
        asked = (*asked, *added)

        def tell(text: str, number: int = number) -> None:
            say(f"model {number} of {len(nested)}: {text}")

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
    return _scored(found)


def _scored(found: list[tuple[tuple[Asked, ...], Fitted, Prediction]]) -> list[Candidate]:
    deviation = np.min([fitted.fit.noise.position for _, fitted, _ in found], axis=0)
    joints = len(deviation)
    errors = [
        np.mean(
            np.minimum(np.nan_to_num(each.error[0, ..., :joints], nan=1e3) / deviation, 1e3) ** 2,
            axis=(1, 2),
        )
        for _, _, each in found
    ]
    best = int(np.argmin([each.mean() for each in errors]))
    candidates = []
    for (asked, fitted, prediction), each in zip(found, errors, strict=True):
        excess = each - errors[best]
        blocks = np.array_split(excess, max(2, min(20, len(excess))))
        means = np.array([block.mean() for block in blocks if block.size])
        error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
        candidates.append(Candidate(asked, fitted, prediction, float(each.mean()), error))
    return candidates


def _simplest(candidates: Sequence[Candidate]) -> int:
    """The first model that is no more than one standard error of the difference behind the best."""
    best = min(each.score for each in candidates)
    return next(
        index for index, each in enumerate(candidates) if each.score - best <= each.standard_error
    )


def calibrate(
    setup: Setup, parts: Split, best: Candidate, draw: Draw, cutting: Cutting, noise: Values
) -> tuple[Ensemble, Values]:
    """Widen the ensemble of a fit until its band covers the held-out windows; with its predictions."""

    def predict(factor: float) -> tuple[Values, Prediction]:
        members = draw(factor, MEMBERS)
        return members, predict_windows(
            setup,
            parts.held_out,
            best.asked,
            members,
            cutting,
            parts.between,
            np.random.default_rng(1),
        )

    def covered(factor: float) -> Values:
        _, prediction = predict(factor)
        windows = prediction.windows
        positions = prediction.predicted[..., 0, :]
        return coverage(positions, windows.position, windows.valid, noise)

    factor, share = widen(covered)
    members, prediction = predict(factor)
    return Ensemble(members, factor, share), prediction.predicted[..., 0, :]


def posterior(found: Identification, logs: Sequence[Path], samples: int = SAMPLES) -> Posterior:
    """The file that training reads: whole rows, one number for each part that an unknown stands for."""
    best = found.best
    unknowns = best.fitted.simulator.unknowns
    members = found.draw(found.ensemble.factor, samples)
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
    rows = np.repeat(members, copies, axis=1)
    windows = best.fitted.simulator.windows
    shares = ", ".join(f"{100 * share:.0f} %" for share in found.ensemble.coverage)
    return Posterior(
        robot=found.setup.robot.name,
        parameters=parameters,
        samples=tuple(tuple(map(float, row)) for row in rows),
        sources=tuple(Source(file=path.name, sha256=digest(path)) for path in logs),
        provenance=(
            f"simreal identify: {len(windows)} windows of {windows.length:g} s, {found.split.how}; "
            f"posterior {found.method}, deviations times {found.ensemble.factor:.3g} so that "
            f"{100 * RATE:.0f} % of what was held out is covered (reached: {shares})"
        ),
    )
