"""Random numbers that belong to an episode: pure functions of its seed, a stream and a step.

No state is carried from one draw to the next, so that an episode has the same draws in every batch,
at every place in it, and when it is replayed alone. The generator is SplitMix64 (Steele, Lea and
Flood, OOPSLA 2014), started at a hash of (seed, stream, step).
"""

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

SeedArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(value: SeedArray) -> SeedArray:
    """The finalizer of SplitMix64: a bijection in which every input bit moves every output bit."""
    # In place where it may: these arrays are small, and making one costs as much as filling it.
    value = value ^ (value >> np.uint64(30))
    value *= _MIX_1
    value ^= value >> np.uint64(27)
    value *= _MIX_2
    value ^= value >> np.uint64(31)
    return value


def stream_keys(names: Sequence[str]) -> SeedArray:
    """Streams prepared for `EpisodeRandom.uniform_of_each`."""
    return np.array([_stream_key(name) for name in names], dtype=np.uint64)


def _unit(bits: SeedArray) -> NDArray[np.float64]:
    """The upper 53 bits as a number in [0, 1)."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


@cache
def _stream_key(stream: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest()))


@cache
def _places(size: int) -> SeedArray:
    """(size, 1) what tells the numbers of one draw apart."""
    return np.arange(1, size + 1, dtype=np.uint64)[:, None] * _GOLDEN


@cache
def _normal_quantiles() -> NDArray[np.float64]:
    """(65536,) equally likely numbers whose mean is 0 and whose variance is 1."""
    quantiles = ndtri((np.arange(2**16) + 0.5) * 2.0**-16)
    table: NDArray[np.float64] = quantiles / quantiles.std()
    return table


def episode_seed(run_seed: int, episode: NDArray[np.integer]) -> SeedArray:
    """Seeds of numbered episodes of a run, (n,) uint64; the same for the same run and number."""
    root = _mix(np.array([run_seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64) + _GOLDEN)
    return _mix(root + _GOLDEN * (episode.astype(np.uint64) + np.uint64(1)))


class EpisodeRandom:
    """Draws for n episodes at once, one row each."""

    def __init__(self, seeds: SeedArray) -> None:
        """Draw for episodes with these seeds, (n,) uint64."""
        self.seeds = np.asarray(seeds, dtype=np.uint64)

    def uniform(
        self, stream: str, size: int, step: NDArray[np.integer] | int = 0
    ) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1).

        Args:
            stream: names what is drawn; streams are independent of each other.
            size: how many numbers for each episode.
            step: (n,) or one number; another step gives other numbers.

        Returns:
            (n, size).
        """
        return _unit(self._bits(stream, size, step)).T

    def _bits(self, stream: str, size: int, step: NDArray[np.integer] | int) -> SeedArray:
        """(size, n): episodes come last, for each operation to run along many of them."""
        steps = np.asarray(step).astype(np.uint64)
        key = _mix(_mix(self.seeds ^ _stream_key(stream)) + _GOLDEN * steps)
        return _mix(key + _places(size))

    def uniform_of_each(
        self, streams: SeedArray, step: NDArray[np.integer] | int = 0
    ) -> NDArray[np.float64]:
        """One uniform number from each of `stream_keys`, (n, streams): as `uniform(name, 1, step)`."""
        steps = np.asarray(step).astype(np.uint64)[..., None]
        return _unit(_mix(_mix(_mix(self.seeds[:, None] ^ streams) + _GOLDEN * steps) + _GOLDEN))

    def normal(self, stream: str, size: int, step: NDArray[np.integer] | int = 0) -> NDArray[np.float64]:
        """Standard normal numbers, (n, size), whose transpose lies in one piece.

        Four from each hash, as quantiles of a table: 65,536 different ones, none beyond 4.4 standard
        deviations, which is what noise needs. At every physics step of every simulation, logarithms
        and sines would cost more than the hash.
        """
        bits = self._bits(stream, (size + 3) // 4, step)
        lanes = bits.view(np.uint16).reshape(*bits.shape, 4).transpose(0, 2, 1)
        return _normal_quantiles().take(lanes.reshape(-1, bits.shape[1])[:size]).T
