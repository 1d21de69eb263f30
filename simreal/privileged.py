"""What critic or encoder see in training, and no robot knows: true motion and drawn parameters."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simreal.experiment import PARAMETERS_DRAWN
from simreal.observation import Float32Array
from simreal.randomization.randomizer import Randomizer
from simreal.tasks import Motion, Task


class Privileged:
    """Gathers the privileged quantities of an experiment."""

    def __init__(self, names: Sequence[str], task: Task, randomizer: Randomizer) -> None:
        """Gather those of the given names; `parameters`, all that was drawn, come last."""
        self._functions = {name: task.privileged[name] for name in names if name != PARAMETERS_DRAWN}
        self._with_draws = PARAMETERS_DRAWN in names
        space = randomizer.space
        self._low = space.low
        self._width = np.where(space.high > space.low, space.high - space.low, 1.0)

    def columns(self, names: Sequence[str], motion: Motion) -> list[int]:
        """Where some quantities of the task stand in what `see` gives.

        Args:
            names: of those that are gathered.
            motion: any.
        """
        sizes = [function(motion).shape[1] for function in self._functions.values()]
        ends = np.cumsum(sizes)
        places = {
            name: range(int(end) - size, int(end))
            for name, size, end in zip(self._functions, sizes, ends, strict=True)
        }
        return [place for name in names for place in places[name]]

    def see(self, motion: Motion, draws: NDArray[np.float64]) -> Float32Array:
        """(count, size) numbers, parameters as their place between the ends of their ranges, -1 to 1.

        Args:
            motion: of all simulations.
            draws: (count, columns) of their episodes.
        """
        parts = [function(motion) for function in self._functions.values()]
        if self._with_draws:
            parts.append(2.0 * (draws - self._low) / self._width - 1.0)
        if not parts:
            return np.zeros((len(draws), 0), dtype=np.float32)
        return np.concatenate(parts, axis=1).astype(np.float32)
