"""What stands between the true joint state and the one that is reported: encoder, filter, delay."""

import math

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.randomization.quantities import Quantities
from simreal.robots.loader import SensingConfig
from simreal.state import RobotState

Ids = NDArray[np.integer]

ALL = slice(None)
LONGEST_SENSOR_LATENCY = 1.0
"""s. A longer one would be a mistake of units more likely than a robot."""


class Sensing:
    """Joint sensors of `count` simulated robots, at the resolution of the physics step.

    Attributes:
        quantities: per simulation, written by randomization at each reset:
            ``latency`` (count, 1) s, from the motion to its arrival at the controller; acts in whole
            physics steps, to the nearest.
            ``noise`` (count, joints) rad or m, standard deviation of white noise on each encoder
            reading.
            ``bias`` (count, joints) rad or m, added to each encoder reading.
            ``resolution`` (count, joints) rad or m per encoder count; 0 reads continuously.
    """

    def __init__(
        self,
        config: SensingConfig,
        count: int,
        joints: int,
        timestep: float,
        longest_latency: float = 0.0,
    ) -> None:
        """Make ideal sensors with the robot's encoder and velocity filter.

        Args:
            config: the robot's own sensing.
            count: number of simulations.
            joints: joints of each.
            timestep: s, of the physics.
            longest_latency: s, the delay that must be held.

        Raises:
            UserError: a latency beyond `LONGEST_SENSOR_LATENCY`.
        """
        if longest_latency > LONGEST_SENSOR_LATENCY:
            raise UserError(
                f"sensor latency of {longest_latency * 1e3:g} ms: at most "
                f"{LONGEST_SENSOR_LATENCY * 1e3:g} ms can be simulated"
            )
        self.quantities = Quantities(
            count,
            {
                "latency": np.zeros(1),
                "noise": np.zeros(joints),
                "bias": np.zeros(joints),
                "resolution": np.full(joints, config.encoder_resolution),
            },
        )
        self._filter_corner = config.velocity_filter
        self._timestep = timestep
        self._filtered = np.zeros((count, joints))
        # Index 0 of the second axis is the newest reading; position and velocity side by side.
        self._held = np.zeros((count, math.ceil(longest_latency / timestep) + 1, 2 * joints))
        self._rows = np.arange(count)
        self._joints = joints

    def reset(
        self,
        ids: Ids,
        position: NDArray[np.float64],
        velocity: NDArray[np.float64],
        random: EpisodeRandom,
    ) -> None:
        """Begin episodes at (len(ids), joints) positions and velocities.

        A velocity filter starts settled, and the delay line is full of the first reading, as if the
        robot had been standing there before the episode began.
        """
        reading = self._read_encoders(position[:, None], random, 0, ids)[:, 0]
        if self._filter_corner is not None:
            self._filtered[ids] = reading
            velocity = np.zeros_like(reading)
        self._held[ids] = np.concatenate((reading, velocity), axis=1)[:, None, :]

    def take(self, ids: Ids, source: "Sensing", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self.quantities.take(ids, source.quantities, rows)
        self._filtered[ids] = source._filtered[rows]
        self._held[ids] = source._held[rows]

    def advance(
        self,
        position: NDArray[np.float64],
        velocity: NDArray[np.float64],
        random: EpisodeRandom,
        step: NDArray[np.integer],
    ) -> None:
        """Take in a control step of motion.

        Args:
            position: (count, substeps, joints) true positions after each physics step.
            velocity: (count, substeps, joints) true velocities.
            random: of the episodes, for the noise.
            step: (count,) control steps since each episode began, from 1.
        """
        reading = self._read_encoders(position, random, step)
        if self._filter_corner is not None:
            velocity = self._differentiate(reading, self._filter_corner)
        self._hold(np.concatenate((reading, velocity), axis=2))

    def _read_encoders(
        self,
        position: NDArray[np.float64],
        random: EpisodeRandom,
        step: NDArray[np.integer] | int,
        ids: Ids | slice = ALL,
    ) -> NDArray[np.float64]:
        """(n, substeps, joints) readings of true positions."""

        def quantity(name: str) -> NDArray[np.float64] | None:
            values = self.quantities.get(name)
            return None if values is None else values[ids][:, None, :]

        reading = position
        if (bias := quantity("bias")) is not None:
            reading = reading + bias
        if (noise := quantity("noise")) is not None:
            drawn = random.normal("encoder", position.shape[1] * self._joints, step)
            reading = reading + drawn.reshape(reading.shape) * noise
        resolution = quantity("resolution")
        if resolution is None:
            resolution = self.quantities.defaults["resolution"]
        return _quantize(reading, resolution)

    def _differentiate(self, reading: NDArray[np.float64], corner: float) -> NDArray[np.float64]:
        """The filter w s / (s + w), forward Euler at the physics rate, as the Qube's server runs it."""
        velocity = np.empty_like(reading)
        for substep in range(reading.shape[1]):
            velocity[:, substep] = corner * (reading[:, substep] - self._filtered)
            self._filtered += self._timestep * velocity[:, substep]
        return velocity

    def _hold(self, samples: NDArray[np.float64]) -> None:
        length, fresh = self._held.shape[1], samples.shape[1]
        kept = max(length - fresh, 0)
        if kept:
            self._held[:, fresh:] = self._held[:, :kept].copy()
        self._held[:, :fresh] = samples[:, ::-1][:, :length]

    def read(self, time: NDArray[np.float64]) -> RobotState:
        """What the controller knows now: (count, joints) readings, each as old as its latency."""
        latency = self.quantities.get("latency")
        age = 0 if latency is None else np.rint(latency[:, 0] / self._timestep).astype(np.int64)
        reading = self._held[self._rows, age]
        return RobotState(time, reading[:, : self._joints], reading[:, self._joints :])


def _quantize(value: NDArray[np.float64], resolution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to whole encoder counts, where there is a resolution."""
    continuous = resolution == 0
    if not continuous.any():
        return np.rint(value / resolution) * resolution
    step = np.where(continuous, 1.0, resolution)
    return np.where(continuous, value, np.rint(value / step) * step)
