"""A device that measures beside the joints' encoders, and whose readings arrive late."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.randomization.delay_line import DelayLine
from simreal.state import FloatArray, Ids


class Device(ABC):
    """One of each of `count` simulated robots, read at each physics step."""

    def __init__(self, line: DelayLine) -> None:
        """Let readings travel along a line."""
        self._line = line

    @abstractmethod
    def reset(self, ids: Ids, truth: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes at (len(ids), ...) true readings, as if they had always been."""

    @abstractmethod
    def advance(self, truth: FloatArray, random: EpisodeRandom, step: NDArray[np.integer]) -> None:
        """Take in a control step of (count, substeps, ...) true readings.

        Args:
            truth: after each physics step.
            random: of the episodes.
            step: (count,) control steps since each episode began, from 1.
        """

    @abstractmethod
    def read(self, age: NDArray[np.int64] | None) -> dict[str, FloatArray]:
        """What `RobotState` has of it, by its attributes; (1, count) physics steps old."""

    def take(self, ids: Ids, source: Self, rows: Ids) -> None:
        """Go on in some simulations as others would."""
        self._line.take(ids, source._line, rows)
