"""The whole way from logs to a posterior: fit, compare, know how well, widen, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from simreal.callbacks import Tell
from simreal.errors import UserError
from simreal.identification.ensemble import Draw, Ensemble, draw_members
from simreal.identification.fitting import Cutting, Prediction, predict_windows
from simreal.identification.groups import NOUNS
from simreal.identification.held_out import Split, split
from simreal.identification.inference import ROUNDS, draw_learned, learned_posterior
from simreal.identification.model_choice import Candidate, compare, simplest
from simreal.identification.pushes import mark_pushes
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import Uncertainty, of_steps, uncertainty
from simreal.identification.unknowns import Asked, Unknown, distinct_parts, resolve
from simreal.identification.widening import Cover, Logs
from simreal.randomization.posterior import BAND, Posterior, PosteriorParameter, Source
from simreal.state import FloatArray

SAMPLES = 200
"""Rows of the posterior."""


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
    samples: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def best(self) -> Candidate:
        """The chosen model."""
        return self.candidates[self.chosen]

    @property
    def deviations(self) -> FloatArray:
        """(unknowns,) standard deviations of what is written."""
        result: FloatArray = self.samples.std(axis=0)
        return result

    @property
    def run_off(self) -> int:
        """Held-out windows in which the simulation of the model that is offered ends in no numbers."""
        offered = self.nominal if self.nominal_suffices else self.best.prediction
        return int((~np.isfinite(offered.error[0])).any(axis=(1, 2)).sum())

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
        UserError: names or bounds that do not fit the robot, logs that do not suffice or lack velocities
            that shall count, or simulation-based inference of what differs by group of logs or by log.
    """
    varying = [(each.name, each.varies) for asked in nested for each in asked if each.varies is not None]
    if simulations is not None and varying:
        name, scope = varying[0]
        raise UserError(f"{name}@{scope}: --simulations knows no value that differs by {NOUNS[scope]}")
    if cutting.velocities:
        _refuse_without_velocities(recordings)
    say = tell or (lambda text: None)
    resolve([each for asked in nested for each in asked], setup.world(1, {}))  # refuses misfits at once
    parts = _split(setup, recordings, hold_out)
    for name, scope in varying:
        distinct_parts(name, scope, parts.fitted)
    nominal = predict_windows(setup, parts.held_out, (), np.zeros((1, 0)), cutting, parts.between)
    say(
        "losses are in noise that is estimated anew in the first iterations, and grow with the windows: "
        "they may rise"
    )
    candidates, nominal_score = compare(setup, parts, nested, cutting, nominal, say)
    chosen = simplest(candidates)
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


def _refuse_without_velocities(recordings: Sequence[Recording]) -> None:
    for each in recordings:
        if each.velocity is None:
            raise UserError(
                f"{each.name}: --velocities, but no joint_velocity by joint_position's clock"
            )


def _split(setup: Setup, recordings: Sequence[Recording], hold_out: Sequence[str]) -> Split:
    """What is fitted to and what judges, with the times at which something pushed the robot."""
    model = setup.compiled()
    marked = [mark_pushes(each, setup.robot.description, model) for each in recordings]
    return split(marked, hold_out)


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
            + errors_by_joint(found, without)
        )
    return lines


def errors_by_joint(found: Identification, values: FloatArray) -> str:
    """(channels,) errors of positions, by joint, for people."""
    joints = zip(found.setup.robot.description.joints, values, strict=False)  # velocities stand behind
    return ", ".join(f"{joint.name} {value:.3g} {joint.unit}" for joint, value in joints)


def _posterior_draws(
    best: Candidate, known: Uncertainty, simulations: int | None, say: Tell
) -> tuple[Draw, str]:
    fit, simulator = best.fitted.fit, best.fitted.simulator
    if simulations is None:
        return partial(draw_members, fit.values, known, simulator.unknowns), "by a block bootstrap"
    # What the model leaves unexplained counts as noise, so that its faults do not pass for knowledge.
    learned = learned_posterior(simulator, fit.noise.position, simulations, SAMPLES, tell=say)
    share = np.sqrt(3.0) * np.random.default_rng(0).uniform(-1.0, 1.0, learned.shape)
    learned = learned + of_steps(simulator) * share
    return (
        partial(draw_learned, fit.values, learned, simulator.unknowns),
        f"by simulation-based inference, {ROUNDS} rounds of {simulations} robots",
    )


def posterior(found: Identification, sources: Sequence[Source]) -> Posterior:
    """The file that training reads: whole rows, one number for each part that an unknown stands for."""
    unknowns = found.best.fitted.simulator.unknowns
    copies = [len(unknown.columns) for unknown in unknowns]
    rows = np.repeat(found.samples, copies, axis=1)
    windows = found.best.fitted.simulator.windows
    return Posterior(
        robot=found.setup.robot.name,
        parameters=posterior_parameters(unknowns),
        samples=tuple(tuple(map(float, row)) for row in rows),
        coverage=float(found.ensemble.widening.coverage.min()),
        sources=tuple(sources),
        provenance=(
            f"simreal identify: {len(windows)} windows of {windows.length:g} s, {found.split.how}; "
            f"posterior {found.method}; {describe_widening(found)}"
            + "".join(f"; {each.describe()}" for each in found.best.fitted.spreads)
        ),
    )


def posterior_parameters(unknowns: Sequence[Unknown]) -> tuple[PosteriorParameter, ...]:
    """Of a posterior's file, one for each part that an unknown stands for."""
    return tuple(
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
        f"{100 * BAND:.0f} % is the model's error, which grows with each second of prediction and is "
        f"not drawn: {'; '.join(told)}"
    )
