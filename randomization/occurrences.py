"""Something that happens again and again in an episode, at times that follow from its seed."""

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.state import FloatArray, Ids

SHORTEST_GAP, LONGEST_GAP = 0.5, 1.5
"""Shares of the mean time between two occurrences, all in between equally likely. Exponential times
would bunch: a push while the robot still stumbles from the last one, and long episodes without any."""
ROUNDING = 1e-6
"""Control steps. A time that is a whole number of them stays that number."""


class Occurrences:
    """The present or next occurrence in each of `count` simulations; it begins with a control step.

    Attributes:
        start: (count,) control steps of the episode before it, a whole number; infinite for none.
        number: (count,) its number in the episode, from 1.
        luck: (count, size) numbers in [0, 1), of its own.
    """

    def __init__(self, stream: str, count: int, size: int = 0) -> None:
        """Let nothing occur yet.

        Args:
            stream: names what occurs.
            count: number of simulations.
            size: random numbers that an occurrence needs.
        """
        self._stream = stream
        self._due = np.full(count, np.inf)
        self.start = np.full(count, np.inf)
        self.number = np.zeros(count, dtype=np.int64)
        self.luck = np.zeros((count, size))

    def reset(self, ids: Ids, interval: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes whose first occurrence comes a gap after their beginning.

        Args:
            ids: simulations.
            interval: (len(ids),) mean control steps from start to start; infinite for none.
            random: of these episodes.
        """
        self._due[ids] = 0.0
        self.number[ids] = 0
        self._prepare(ids, interval, 0, random)

    def reset_at(self, ids: Ids, first: FloatArray) -> None:
        """Begin episodes whose first occurrence, without luck, comes after (len(ids),) control steps."""
        self.number[ids] = 1
        self._set(ids, first)

    def take(self, ids: Ids, source: "Occurrences", rows: Ids) -> None:
        """Go on in some simulations as in others."""
        self._due[ids] = source._due[rows]
        self.start[ids] = source.start[rows]
        self.number[ids] = source.number[rows]
        self.luck[ids] = source.luck[rows]

    def begun(self, step: NDArray[np.integer]) -> tuple[Ids, FloatArray]:
        """Where one has begun by a control step (count,), counted from 1.

        Returns:
            (n,) simulations, and the control steps for which it has lasted: 0 in its first.
        """
        age = step - self.start
        ids = (age >= 1.0).nonzero()[0]
        return ids, age[ids] - 1.0

    def move_on(
        self, ids: Ids, interval: FloatArray, step: NDArray[np.integer], random: EpisodeRandom
    ) -> None:
        """Turn to the next occurrence: after a gap, but not before the next control step.

        Args:
            ids: simulations in which one is over.
            interval: (len(ids),) as in `reset`.
            step: (count,) the present control step.
            random: of all episodes.
        """
        self._prepare(ids, interval, step[ids], EpisodeRandom(random.seeds[ids]))

    def _prepare(
        self, ids: Ids, interval: FloatArray, earliest: NDArray[np.integer] | int, random: EpisodeRandom
    ) -> None:
        number = self.number[ids] + 1
        drawn = random.uniform(self._stream, 1 + self.luck.shape[1], number)
        gap = interval * (SHORTEST_GAP + (LONGEST_GAP - SHORTEST_GAP) * drawn[:, 0])
        self.number[ids] = number
        self.luck[ids] = drawn[:, 1:]
        self._set(ids, np.maximum(self._due[ids] + gap, earliest))

    def _set(self, ids: Ids, due: FloatArray) -> None:
        self._due[ids] = due
        self.start[ids] = np.ceil(due - ROUNDING)
