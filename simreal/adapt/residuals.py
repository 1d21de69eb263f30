"""From predictions to numbers that are to be small: noise by channel, and outliers that count less."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.adapt.windows import Windows

Values = NDArray[np.float64]

HUBER = 3.0
"""Standard deviations beyond which a residual counts by its size and no longer by its square."""
WORST = 1e3
"""Residual, in standard deviations, of a simulation that has diverged."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of what the model leaves unexplained, by channel.

    Attributes:
        position: (joints,) rad or m.
        velocity: (joints,) rad/s or m/s; None where positions alone count, since velocities are suspect.
    """

    position: Values
    velocity: Values | None = None

    @property
    def channels(self) -> int:
        """Numbers per sample."""
        return len(self.position) * (1 if self.velocity is None else 2)


def errors(windows: Windows, predicted: Values, velocities: bool) -> Values:
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


def scaled(error: Values, noise: Noise) -> Values:
    """The same in standard deviations, diverged simulations far off."""
    deviation = noise.position
    if noise.velocity is not None:
        deviation = np.concatenate((deviation, noise.velocity))
    return np.nan_to_num(error / deviation, nan=WORST, posinf=WORST, neginf=-WORST).clip(-WORST, WORST)


def weights(residual: Values) -> Values:
    """Square roots of Huber's weights (Huber, Robust Statistics, 1981, section 7.8)."""
    size = np.maximum(np.abs(residual), HUBER)
    result: Values = np.sqrt(HUBER / size)
    return result


def loss(residual: Values) -> Values:
    """(candidates,) Huber's loss summed over all but the first axis."""
    size = np.abs(residual)
    each = np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER))
    total: Values = each.reshape(len(residual), -1).sum(axis=1)
    return total


def root_mean_square(error: Values, windows: Windows) -> Values:
    """(channels,) of (windows, samples, channels) errors over all measurements."""
    total = np.sum(error**2, axis=(0, 1))
    result: Values = np.sqrt(total / max(1, int(windows.valid.sum())))
    return result


def estimate_noise(error: Values, windows: Windows, joints: int) -> Noise:
    """Standard deviations of (windows, samples, channels) errors, outliers cut at ten medians."""
    measured = np.where(np.isfinite(error), error, np.inf)[windows.valid]
    middle = np.median(np.abs(measured), axis=0) / 0.6745
    whole = np.sqrt(np.mean(np.minimum(np.abs(measured), 10.0 * middle) ** 2, axis=0))
    deviation = np.maximum(whole, 1e-6)
    return Noise(deviation[:joints], deviation[joints:] if len(deviation) > joints else None)
