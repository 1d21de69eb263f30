"""Predicts logs with all members of a posterior, widens them until they cover, and judges on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from simreal.callbacks import Tell
from simreal.identification.ensemble import (
    MEMBERS,
    MOST_TRIALS,
    Draw,
    Ensemble,
    band,
    coverage,
    deviation,
    model_error,
    widen,
)
from simreal.identification.fitting import Cutting, Fitted, Prediction, predict_windows
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import told_by_joints
from simreal.identification.unknowns import Asked
from simreal.state import FloatArray


@dataclass(frozen=True, slots=True)
class Logs:
    """What is to be covered.

    Attributes:
        recordings: not fitted to.
        cutting: of them.
        between: shares of them within which windows lie.
    """

    recordings: Sequence[Recording]
    cutting: Cutting
    between: tuple[float, float] = (0.0, 1.0)


class Cover:
    """How much of logs the members of one fit's posterior cover."""

    def __init__(self, setup: Setup, asked: Sequence[Asked], fitted: Fitted, draw: Draw) -> None:
        """Prepare for a fit of some unknowns and the posterior around it."""
        self._setup, self._asked, self._draw = setup, asked, draw
        self._shares = told_by_joints(fitted)
        # Of a reading, some times the error that a cubic through many of them leaves.
        self._noise = 3.0 * np.median(fitted.simulator.windows.start_deviation[:, 0], axis=0)

    def widened(self, logs: Logs, tell: Tell | None = None) -> Ensemble:
        """Members widened until their band covers logs, and the model's error beside them.

        Args:
            logs: to be covered.
            tell: is told of each trial.
        """
        trials = count(1)

        def covered(factors: FloatArray) -> FloatArray:
            share = self._coverage(self._predict(self._draw(factors, MEMBERS), logs), None)
            if tell is not None:
                tell(
                    f"widening, trial {next(trials)} of at most {MOST_TRIALS}: deviations up to times "
                    f"{float(factors.max()):.3g} cover {100 * float(share.min()):.0f} % of the joint "
                    "that is covered least"
                )
            return share

        widening = widen(covered, self._shares)
        members = self._draw(widening.unknowns, MEMBERS)
        prediction = self._predict(members, logs)
        windows = prediction.windows
        error = model_error(
            prediction.predicted[..., 0, :],
            windows.position,
            windows.valid,
            self._noise,
            windows.time - windows.lead,
        )
        return Ensemble(members, widening, error, self._coverage(prediction, error))

    def judged(self, ensemble: Ensemble, logs: Logs) -> FloatArray:
        """(joints,) coverage of other logs."""
        return self._coverage(self._predict(ensemble.values, logs), ensemble.model_error)

    def edges(self, ensemble: Ensemble, logs: Logs) -> tuple[FloatArray, FloatArray]:
        """Lower and upper edge of the band on logs' windows, (windows, samples, joints)."""
        prediction = self._predict(ensemble.values, logs)
        return band(prediction.predicted[..., 0, :], self._spread(prediction, ensemble.model_error))

    def _predict(self, members: FloatArray, logs: Logs) -> Prediction:
        return predict_windows(
            self._setup,
            logs.recordings,
            self._asked,
            members,
            logs.cutting,
            logs.between,
            np.random.default_rng(1),
        )

    def _spread(self, prediction: Prediction, error: FloatArray | None) -> FloatArray:
        if error is None:
            return self._noise
        return deviation(self._noise, error, prediction.windows.time - prediction.windows.lead)

    def _coverage(self, prediction: Prediction, error: FloatArray | None) -> FloatArray:
        windows, positions = prediction.windows, prediction.predicted[..., 0, :]
        return coverage(positions, windows.position, windows.valid, self._spread(prediction, error))
