"""What stands between the true motion of the joints and what their encoders count: errors and filter."""

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.randomization.quantities import Quantities
from simreal.robots.loader import SensingConfig
from simreal.state import FloatArray, Ids

Steps = NDArray[np.integer] | int

ALL = slice(None)


def encoder_defaults(config: SensingConfig, joints: int) -> dict[str, FloatArray]:
    """The quantities of `Encoders`, each (joints,), of a robot on which nothing is randomized.

    ``scale`` reading per true angle, about zero; ``bias`` rad or m, added; ``drift`` rad/sqrt(s) or
    m/sqrt(s), of a random walk that begins at zero with each episode; ``noise`` rad or m, standard
    deviation of white noise on each reading; ``filter_corner`` rad/s of the velocity filter, 0 where the
    velocity is read directly; ``saturation`` rad or m, the largest reading to either
    side; ``resolution`` rad or m per count, 0 reads continuously; ``velocity_noise`` rad/s or m/s,
    standard deviation of white noise on each reported velocity.
    """
    return {
        "scale": np.ones(joints),
        "bias": np.zeros(joints),
        "drift": np.zeros(joints),
        "noise": np.zeros(joints),
        "filter_corner": np.full(joints, config.velocity_filter or 0.0),
        "saturation": np.full(joints, np.inf),
        "resolution": np.full(joints, config.encoder_resolution),
        "velocity_noise": np.zeros(joints),
    }


class Encoders:
    """Joint encoders of `count` simulated robots, read at each physics step.

    In the arrays inside, time leads and simulations come last, (substeps, joints, count): so that each
    operation runs along many simulations, and not along a few joints.
    """

    def __init__(
        self, config: SensingConfig, quantities: Quantities, count: int, joints: int, timestep: float
    ) -> None:
        """Read with the robot's own resolution and velocity filter.

        Args:
            config: the robot's own sensing.
            quantities: live values of `encoder_defaults`.
            count: number of simulations.
            joints: joints of each.
            timestep: s, between readings.
        """
        self._quantities = quantities
        self._own_resolution = np.full((count, joints), config.encoder_resolution)
        self._counts = config.encoder_resolution > 0
        self._filter_corner = config.velocity_filter
        self._timestep = timestep
        self._filtered = np.zeros((joints, count))
        self._drift = np.zeros((joints, count))

    def reset(
        self, ids: Ids, position: FloatArray, velocity: FloatArray, random: EpisodeRandom
    ) -> FloatArray:
        """Begin episodes at (len(ids), joints) positions and velocities; see `advance`.

        A velocity filter starts settled, as if the robot had been standing there before.

        Returns:
            (2, joints, len(ids)) first readings.
        """
        normal = self._draw(random, 1, position.shape[1], 0)
        samples = np.stack((position.T, velocity.T))[None]
        self._drift[:, ids] = 0.0
        self._read(samples[:, 0], normal, ids)
        if self._filter_corner is not None:
            self._filtered[:, ids] = samples[0, 0]
            samples[:, 1] = 0.0
        self._add_noise("velocity_noise", samples[:, 1], normal, ids)
        first: FloatArray = samples[0]
        return first

    def take(self, ids: Ids, source: "Encoders", rows: Ids) -> None:
        """Go on in some simulations as others would."""
        self._filtered[:, ids] = source._filtered[:, rows]
        self._drift[:, ids] = source._drift[:, rows]

    def advance(
        self,
        position: FloatArray,
        velocity: FloatArray,
        random: EpisodeRandom,
        step: NDArray[np.integer],
    ) -> FloatArray:
        """Read a control step of true motion, (count, substeps, joints).

        Returns:
            (substeps, 2, joints, count) positions and velocities, as they are reported.
        """
        count, substeps, joints = position.shape
        normal = self._draw(random, substeps, joints, step)
        samples = np.empty((substeps, 2, joints, count))
        samples[:, 0] = position.transpose(1, 2, 0)
        self._read(samples[:, 0], normal, ALL)
        if self._filter_corner is None:
            samples[:, 1] = velocity.transpose(1, 2, 0)
        else:
            self._differentiate(samples)
        self._add_noise("velocity_noise", samples[:, 1], normal, ALL)
        return samples

    def _draw(
        self, random: EpisodeRandom, substeps: int, joints: int, step: Steps
    ) -> dict[str, FloatArray]:
        """Standard normal numbers, (substeps, joints, n) for each noise and (1, joints, n) for drift.

        All in one draw, which costs less than three. A draw begins like every longer one, so that it
        ends with the last that is needed, and each quantity has its own numbers whatever the others are.
        """
        lengths = {"noise": substeps, "drift": 1, "velocity_noise": substeps}
        while lengths and self._quantities.get(list(lengths)[-1]) is None:
            lengths.popitem()
        if not lengths:
            return {}
        drawn = random.normal("encoder", sum(lengths.values()) * joints, step)
        blocks = drawn.T.reshape(-1, joints, len(drawn))
        edges = np.cumsum(list(lengths.values()))[:-1].tolist()
        return dict(zip(lengths, np.split(blocks, edges), strict=True))

    def _read(self, reading: FloatArray, normal: dict[str, FloatArray], ids: Ids | slice) -> None:
        """Turn (substeps, joints, n) true positions into readings, in place."""
        values = self._quantities.get
        if (scale := values("scale")) is not None:
            reading *= scale[ids].T
        if (bias := values("bias")) is not None:
            reading += bias[ids].T
        # Nothing has drifted yet at an episode's first reading.
        if (drift := values("drift")) is not None and ids is ALL:
            reading += self._walk(drift, normal["drift"][0], len(reading))
        self._add_noise("noise", reading, normal, ids)
        if (saturation := values("saturation")) is not None:
            np.minimum(reading, saturation[ids].T, out=reading)
            np.maximum(reading, -saturation[ids].T, out=reading)
        resolution = values("resolution")
        if resolution is not None or self._counts:
            _quantize(reading, (self._own_resolution if resolution is None else resolution)[ids].T)

    def _walk(self, drift: FloatArray, normal: FloatArray, substeps: int) -> FloatArray:
        """(substeps, joints, count) of a random walk, a Brownian motion at each control step's end.

        In between it is linear: one random number each step, and nobody sees the difference.
        """
        stride = normal * drift.T * np.sqrt(substeps * self._timestep)
        share = np.arange(1, substeps + 1) / substeps
        path: FloatArray = self._drift + share[:, None, None] * stride
        self._drift = path[-1]
        return path

    def _add_noise(
        self, name: str, signal: FloatArray, normal: dict[str, FloatArray], ids: Ids | slice
    ) -> None:
        if (deviation := self._quantities.get(name)) is not None:
            signal += normal[name] * deviation[ids].T

    def start_filter(self, position: FloatArray, velocity: FloatArray) -> None:
        """Begin in motion: the state that a velocity filter has where it reports these.

        Args:
            position: (count, joints) rad or m.
            velocity: (count, joints) rad/s or m/s, reported.
        """
        if self._filter_corner is not None:
            self._filtered[:] = position.T - velocity.T / self._corner

    @property
    def _corner(self) -> FloatArray | float:
        """rad/s of the velocity filter, (joints, count) where that is randomized."""
        values = self._quantities.get("filter_corner")
        assert self._filter_corner is not None
        return self._filter_corner if values is None else values.T

    def _differentiate(self, samples: FloatArray) -> None:
        """The filter w s / (s + w), forward Euler at the physics rate, as the Qube's server runs it."""
        corner = self._corner
        for reading, velocity in samples:
            np.subtract(reading, self._filtered, out=velocity)
            velocity *= corner
            self._filtered += self._timestep * velocity


def _quantize(reading: FloatArray, resolution: FloatArray) -> None:
    """Round to whole encoder counts, in place, where there is a resolution."""
    counts = resolution > 0
    if counts.all():
        reading /= resolution
        np.rint(reading, out=reading)
        reading *= resolution
    else:
        size = np.where(counts, resolution, 1.0)
        np.copyto(reading, np.rint(reading / size) * size, where=counts)
