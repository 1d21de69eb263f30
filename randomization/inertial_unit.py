"""What stands between the true motion of an IMU and what the controller reads: errors and delay."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.randomization.delay_line import DelayLine
from simreal.randomization.device import Device
from simreal.randomization.quantities import Quantities
from simreal.rotations import multiply, small_rotation
from simreal.state import FloatArray, Ids

CHANNELS = 10
"""Orientation w, x, y, z, angular velocity, linear acceleration."""
ORIENTATION, ANGULAR_VELOCITY, LINEAR_ACCELERATION = slice(0, 4), slice(4, 7), slice(7, 10)
NOISES = ("orientation_noise", "gyro_noise", "gyro_drift", "accelerometer_noise")
BIASES = ("orientation_bias", "gyro_bias", "accelerometer_bias")


def inertial_defaults() -> dict[str, FloatArray]:
    """The quantities of `InertialUnit` where nothing is randomized.

    ``orientation_bias`` rad, rotation vector of a constant error in the axes of the IMU, as of its
    filter; ``orientation_noise`` rad, standard deviation about each axis; ``gyro_bias`` and
    ``gyro_noise`` rad/s; ``gyro_drift`` rad/s/sqrt(s), of a random walk of the bias that begins at
    zero with each episode; ``accelerometer_bias`` and ``accelerometer_noise`` m/s²; all (3,).
    """
    return {name: np.zeros(3) for name in (*NOISES, *BIASES)}


class InertialUnit(Device):
    """The IMU of `count` simulated robots, read at each physics step.

    The physics' sensors tell where the motion was as a physics step began, so that a reading is one
    physics step older than that of an encoder. A real one takes about as long to filter.
    """

    def __init__(self, quantities: Quantities, count: int, timestep: float, longest: int) -> None:
        """Make ideal ones.

        Args:
            quantities: live values of `inertial_defaults`.
            count: number of simulations.
            timestep: s, between readings.
            longest: physics steps back to the oldest reading that will be asked for.
        """
        super().__init__(DelayLine(longest, 1, CHANNELS, count))
        self._quantities = quantities
        self._timestep = timestep
        self._drift = np.zeros((count, 3))

    def reset(self, ids: Ids, truth: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes at (len(ids), `CHANNELS`) true readings; see the base class."""
        self._drift[ids] = 0.0
        first = self._measure(truth[:, None], random, np.zeros(len(ids), dtype=np.int64), ids)
        self._line.fill(ids, first[:, 0].T[None])

    def take(self, ids: Ids, source: Self, rows: Ids) -> None:
        """See the base class."""
        super().take(ids, source, rows)
        self._drift[ids] = source._drift[rows]

    def advance(self, truth: FloatArray, random: EpisodeRandom, step: NDArray[np.integer]) -> None:
        """Take in (count, substeps, `CHANNELS`) true readings; see the base class."""
        measured = self._measure(truth, random, step, np.arange(len(truth)))
        self._line.push(measured.transpose(1, 2, 0)[:, None])

    def read(self, age: NDArray[np.int64] | None) -> dict[str, FloatArray]:
        """Orientation, angular velocity and linear acceleration; see the base class."""
        reading = self._line.read(age)[0].T
        return {
            "orientation": reading[:, ORIENTATION],
            "angular_velocity": reading[:, ANGULAR_VELOCITY],
            "linear_acceleration": reading[:, LINEAR_ACCELERATION],
        }

    def _measure(
        self, true: FloatArray, random: EpisodeRandom, step: NDArray[np.integer], ids: Ids
    ) -> FloatArray:
        """(n, substeps, `CHANNELS`) readings with their errors."""
        values = self._quantities.get
        if not self._quantities.any_of(*NOISES, *BIASES):
            return true
        measured = true.copy()
        normal = self._draw(random, true.shape[1], step)
        error = self._error("orientation", normal, ids)
        if error is not None:
            turned = multiply(true[..., ORIENTATION], small_rotation(error))
            measured[..., ORIENTATION] = turned
        for place, name in ((ANGULAR_VELOCITY, "gyro"), (LINEAR_ACCELERATION, "accelerometer")):
            error = self._error(name, normal, ids)
            if error is not None:
                measured[..., place] += error
        drift = values("gyro_drift")
        if drift is not None:
            duration = true.shape[1] * self._timestep
            self._drift[ids] += (step > 0)[:, None] * (
                np.sqrt(duration) * drift[ids] * normal["gyro_drift"][:, 0]
            )
            measured[..., ANGULAR_VELOCITY] += self._drift[ids, None]
        return measured

    def _draw(
        self, random: EpisodeRandom, substeps: int, step: NDArray[np.integer]
    ) -> dict[str, FloatArray]:
        """(n, substeps, 3) standard normal numbers for each noise that is on."""
        return {
            name: random.normal(name, 3 * substeps, step).reshape(-1, substeps, 3)
            for name in NOISES
            if self._quantities.get(name) is not None
        }

    def _error(self, name: str, normal: dict[str, FloatArray], ids: Ids) -> FloatArray | None:
        """(n, substeps or 1, 3) bias and noise of a quantity, if it has any."""
        values, error = self._quantities.get, None
        if (bias := values(f"{name}_bias")) is not None:
            error = bias[ids, None]
        if (noise := values(f"{name}_noise")) is not None:
            noisy = noise[ids, None] * normal[f"{name}_noise"]
            error = noisy if error is None else error + noisy
        return error
