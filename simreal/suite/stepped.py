"""What the environment asks of simulations of a task, however they are stepped."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simreal.observation import Float32Array
from simreal.state import Ids
from simreal.suite.model_fields import Changes

Given = tuple[Float32Array, NDArray[np.float64], NDArray[np.int64]]
"""(count, size) observations, (count,) rewards, and (count,) how each episode stands: see
`simulation.GOES_ON` and those beside it."""


class Stepped(Protocol):
    """`count` simulations of a task, each in an episode of its own.

    Attributes:
        is_batched: whether the physics of all of them is one batch.
    """

    is_batched: bool

    @property
    def count(self) -> int:
        """Number of simulations."""
        ...

    def begin(self, ids: Ids, seeds: Sequence[int], changes: Sequence[Changes]) -> Float32Array:
        """Begin episodes in some simulations.

        Args:
            ids: which, sorted.
            seeds: of everything random in each episode.
            changes: to the task's own model in each.

        Returns:
            (len(ids), size) first observations.
        """
        ...

    def step(self, action: NDArray[np.float64]) -> Given:
        """Let a control step pass.

        Args:
            action: (count, actions) within the task's bounds.
        """
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...
