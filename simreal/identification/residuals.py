"""From predictions to numbers that are to be small: noise by channel, and outliers that count less."""

from dataclasses import dataclass

import numpy as np

from simreal.identification.windows import Windows
from simreal.state import FloatArray

HUBER = 3.0
"""Standard deviations beyond which a residual counts by its size and no longer by its square."""
WORST = 1e3
"""Residual, in standard deviations, of a simulation that has diverged."""
SMALLEST_SHARE = 0.2
"""Of the noise of all windows, what that of a group of them is at least: none counts alone."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of what the model leaves unexplained, by channel.

    Attributes:
        position: (joints,) rad or m.
        velocity: (joints,) rad/s or m/s; None where positions alone count, since velocities are suspect.
        by_window: (windows, 1, channels) the same for each window, by its group: a model explains slow
            motion better than fast, and what it can explain tells more. None where all are alike.
    """

    position: FloatArray
    velocity: FloatArray | None = None
    by_window: FloatArray | None = None

    @property
    def channels(self) -> int:
        """Numbers per sample."""
        return len(self.position) * (1 if self.velocity is None else 2)


def errors(windows: Windows, predicted: FloatArray, velocities: bool) -> FloatArray:
    """Predicted less measured, in SI.

    Args:
        windows: with the measurements.
        predicted: (candidates, windows, samples, 2, joints).
        velocities: whether they count.

    Returns:
        (candidates, windows, samples, channels): of positions, then of velocities. Zero where there is
        no measurement, not a number where a simulation has diverged.
    """
    error = predicted[..., 0, :] - windows.position
    if velocities:
        assert windows.velocity is not None
        error = np.concatenate((error, predicted[..., 1, :] - windows.velocity), axis=-1)
    return np.where(windows.valid[..., None], error, 0.0)


def scaled(error: FloatArray, noise: Noise) -> FloatArray:
    """The same in standard deviations, diverged simulations far off."""
    deviation = noise.position
    if noise.by_window is not None:
        deviation = noise.by_window
    elif noise.velocity is not None:
        deviation = np.concatenate((deviation, noise.velocity))
    return np.nan_to_num(error / deviation, nan=WORST, posinf=WORST, neginf=-WORST).clip(-WORST, WORST)


def weights(residual: FloatArray) -> FloatArray:
    """Square roots of Huber's weights (Huber, Robust Statistics, 1981, section 7.8)."""
    size = np.maximum(np.abs(residual), HUBER)
    result: FloatArray = np.sqrt(HUBER / size)
    return result


def loss(residual: FloatArray) -> FloatArray:
    """(candidates, windows) Huber's loss summed over all but the first two axes."""
    size = np.abs(residual)
    each = np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER))
    total: FloatArray = each.reshape(*each.shape[:2], -1).sum(axis=2)
    return total


def root_mean_square(error: FloatArray, windows: Windows) -> FloatArray:
    """(channels,) of (windows, samples, channels) errors over all measurements."""
    total = np.sum(error**2, axis=(0, 1))
    result: FloatArray = np.sqrt(total / max(1, int(windows.valid.sum())))
    return result


def estimate_noise(error: FloatArray, windows: Windows, joints: int) -> Noise:
    """Standard deviations of (windows, samples, channels) errors, for each group of windows, too."""
    finite = np.where(np.isfinite(error), error, np.inf)
    deviation = np.maximum(_deviation(finite[windows.valid]), 1e-6)
    velocity = deviation[joints:] if len(deviation) > joints else None
    groups = np.array(windows.groups)
    if len(set(windows.groups)) == 1:
        return Noise(deviation[:joints], velocity)
    by_window = np.empty((len(windows), 1, len(deviation)))
    for group in set(windows.groups):
        rows = groups == group
        own = _deviation(finite[rows][windows.valid[rows]])
        by_window[rows] = np.maximum(own, SMALLEST_SHARE * deviation)
    return Noise(deviation[:joints], velocity, by_window)


def _deviation(measured: FloatArray) -> FloatArray:
    """(channels,) of (samples, channels), outliers cut at ten medians."""
    middle = np.median(np.abs(measured), axis=0) / 0.6745
    whole: FloatArray = np.sqrt(np.mean(np.minimum(np.abs(measured), 10.0 * middle) ** 2, axis=0))
    return whole
