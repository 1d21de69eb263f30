"""Fits a model to recordings, and predicts others with it: the steps that identification is made of."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.callbacks import Tell
from simreal.column_names import parameter_of
from simreal.errors import UserError
from simreal.identification.groups import Spread, pooled
from simreal.identification.least_squares import MOST_ITERATIONS, Derivatives, Fit, Search
from simreal.identification.population import ROUGH, search_population
from simreal.identification.recording import Recording
from simreal.identification.residuals import Noise, errors
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import Asked, Unknown, starts
from simreal.identification.windows import Windows, cut
from simreal.state import FloatArray

LEAD = 0.05
"""s before a window to predict, from which its start is estimated."""
SHORT = 0.5
"""Share of the windows' length with which a search begins: far from the truth, long windows mislead."""
SHORT_ITERATIONS = 12


@dataclass(frozen=True, slots=True)
class Cutting:
    """How recordings are cut into windows.

    Attributes:
        length: s.
        stride: s from one to the next for a fit; the length if absent.
        velocities: whether the velocities that the robot reports count.
    """

    length: float
    stride: float | None = None
    velocities: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what was found.

    Attributes:
        simulator: of the windows that it was fitted to.
        fit: the result; of what varies by group of logs, or by log, the mean.
        spreads: of what varies.
        derivatives: by all values that were fitted, of what varies by those of each group or log.
        pooling: (unknowns, values) weight of each of those in what the unknown is told to be.
        at_bounds: unknowns that the search would have taken further; of what varies, those of a group
            or log.
        at_ends: unknowns at zero, or another bound beyond which there is no robot; likewise.
    """

    simulator: Simulator
    fit: Fit
    spreads: tuple[Spread, ...]
    derivatives: Derivatives
    pooling: FloatArray
    at_bounds: list[str]
    at_ends: list[str]

    @property
    def by_name(self) -> dict[str, float]:
        """Unknown to value."""
        return dict(zip(self.simulator.names, map(float, self.fit.values), strict=True))


def fit_model(
    setup: Setup,
    recordings: Sequence[Recording],
    asked: Sequence[Asked],
    cutting: Cutting,
    given: Mapping[str, float] | None = None,
    tell: Tell | None = None,
    iterations: int = MOST_ITERATIONS,
) -> Fitted:
    """Find the unknowns on all windows without a push: on short ones first, unless values are given.

    Raises:
        UserError: names that do not fit the robot, or recordings shorter than a window, or none of which
            is without a push.
    """
    resolution = setup.robot.config.sensing.encoder_resolution
    windows = _unpushed(cut(recordings, cutting.length, cutting.stride, resolution))
    # A log without a window tells nothing of a value of its own.
    windows = windows.without_others()
    recordings = windows.recordings
    simulator = Simulator(setup, windows, asked, by_part=True)
    values = starts(simulator.unknowns, given)
    if given is None:
        stride = cutting.stride or cutting.length
        short = _unpushed(cut(recordings, SHORT * cutting.length, stride, resolution))
        beginner = Simulator(setup, short, asked, by_part=True)
        told = _staged(tell, short, SHORT_ITERATIONS)
        if any(parameter_of(unknown.name) in ROUGH for unknown in beginner.unknowns):
            values = search_population(beginner, values, cutting.velocities, _staged(tell, short))
        values = Search(beginner, cutting.velocities, told).run(values, None, SHORT_ITERATIONS).values
    told = _staged(tell, windows, iterations)
    fit = Search(simulator, cutting.velocities, told).run(values, None, iterations)
    one = pooled(fit, simulator.unknowns)
    return Fitted(
        Simulator(setup, windows, asked),
        one.fit,
        one.spreads,
        fit.derivatives,
        one.pooling,
        *_stopped(simulator.unknowns, fit.values),
    )


def _stopped(unknowns: Sequence[Unknown], values: FloatArray) -> tuple[list[str], list[str]]:
    """Names of those at bounds that might be wider, and at bounds that are the physical end."""
    at_bounds: dict[str, None] = {}
    at_ends: dict[str, None] = {}
    for unknown, value in zip(unknowns, values, strict=True):
        near = 1e-3 * (unknown.high - unknown.low)
        sides = zip((value - unknown.low, unknown.high - value), unknown.ends, strict=True)
        for distance, is_end in sides:
            if distance < near:
                (at_ends if is_end else at_bounds)[unknown.name] = None
    return list(at_bounds), list(at_ends)


def _staged(tell: Tell | None, windows: Windows, iterations: int | None = None) -> Tell | None:
    """Says on which windows a search is, and how long one of its iterations takes."""
    if tell is None:
        return None
    say, before = tell, time.monotonic()
    most = "" if iterations is None else f", at most {iterations} iterations"

    def told(text: str) -> None:
        nonlocal before
        now = time.monotonic()
        say(f"{len(windows)} windows of {windows.length:g} s{most}: {text} ({now - before:.1f} s)")
        before = now

    return told


def _unpushed(windows: Windows) -> Windows:
    kept = ~windows.pushed
    if not kept.any():
        raise UserError(
            f"{windows.recordings[0].name}: something pushed in each window of {windows.length:g} s; "
            "nothing is left to fit to: see simreal check-log"
        )
    return windows if kept.all() else windows.rows(kept)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Windows that were predicted from their starts.

    Attributes:
        windows: the leads' measurements not valid any more.
        predicted: (candidates, windows, samples, 2, joints).
        error: (candidates, windows, samples, channels), predicted less measured.
    """

    windows: Windows
    predicted: FloatArray
    error: FloatArray

    def root_mean_square(self, rows: NDArray[np.bool_] | slice = slice(None)) -> FloatArray:
        """(candidates, channels) over all valid measurements, or those of some windows."""
        total = np.sum(np.nan_to_num(self.error[:, rows], nan=np.inf) ** 2, axis=(1, 2))
        result: FloatArray = np.sqrt(total / max(1, int(self.windows.valid[rows].sum())))
        return result


def predict_windows(
    setup: Setup,
    recordings: Sequence[Recording],
    asked: Sequence[Asked],
    values: FloatArray,
    cutting: Cutting,
    between: tuple[float, float] = (0.0, 1.0),
    start_draws: np.random.Generator | None = None,
) -> Prediction:
    """Predict windows open loop, each from a start that is estimated from what was measured before it.

    Args:
        setup: of the robot.
        recordings: to predict.
        asked: the unknowns.
        values: (candidates, unknowns); the first is the one by which starts are estimated.
        cutting: of the recordings.
        between: shares of each recording within which windows lie.
        start_draws: draws each candidate's starts from their uncertainty, too.
    """
    resolution = setup.robot.config.sensing.encoder_resolution
    windows = cut(recordings, cutting.length, cutting.stride, resolution, between, LEAD)
    start = starts_from_leads(windows, values[0], lambda lead: Simulator(setup, lead, asked))
    all_starts = np.repeat(start[None], len(values), axis=0)
    if start_draws is not None:
        all_starts += windows.start_deviation * start_draws.standard_normal(all_starts.shape)
        all_starts[0] = start
    predicted = Simulator(setup, windows, asked).predict(values, all_starts)
    told = windows.only(windows.valid & ~windows.leads)
    return Prediction(told, predicted, errors(told, predicted, cutting.velocities))


def starts_from_leads(
    windows: Windows, values: FloatArray, simulator_of: Callable[[Windows], Simulator]
) -> FloatArray:
    """(windows, 2, joints) starts that fit the leads.

    Args:
        windows: with leads.
        values: (unknowns,) that hold.
        simulator_of: simulates such windows.
    """
    # Of a reading, some times the error that a cubic through many of them leaves.
    noise = Noise(np.maximum(3.0 * np.median(windows.start_deviation[:, 0], axis=0), 1e-5))
    return Search(simulator_of(windows.leading())).fit_starts(values, noise)
