"""Numbers of each simulation that the engine's model has no field for, such as a sensor's noise."""

from collections.abc import Mapping

import numpy as np

from simreal.physics.interface import as_rows
from simreal.state import FloatArray, Ids


class Quantities:
    """Arrays of shape (count, ...) by name. One exists once it is asked for: the rest costs nothing."""

    def __init__(self, count: int, defaults: Mapping[str, FloatArray]) -> None:
        """Declare them.

        Args:
            count: number of simulations.
            defaults: name to the (...) values of a robot on which nothing is randomized.
        """
        self._count = count
        self._arrays: dict[str, FloatArray] = {}
        self.defaults = dict(defaults)

    def __getitem__(self, name: str) -> FloatArray:
        """The live, writable array of a name."""
        if name not in self._arrays:
            default = self.defaults[name]
            self._arrays[name] = np.broadcast_to(default, (self._count, *default.shape)).copy()
        return self._arrays[name]

    def get(self, name: str) -> FloatArray | None:
        """The array of a name, or None where nobody has asked for it."""
        return self._arrays.get(name)

    def of(self, name: str, ids: Ids | slice = slice(None)) -> FloatArray:
        """(n, ...) values of some simulations, or the (1, ...) default of all where nobody has asked."""
        values = self.get(name)
        return self.defaults[name][None] if values is None else values[ids]

    @property
    def names(self) -> set[str]:
        """Of those that exist."""
        return set(self._arrays)

    def any_of(self, *names: str) -> bool:
        """Whether somebody has asked for one of these."""
        return not self._arrays.keys().isdisjoint(names)

    def take(self, ids: Ids, source: "Quantities", rows: Ids) -> None:
        """Copy rows of all that exists in another."""
        here, there = as_rows(ids), as_rows(rows)
        for name, values in source._arrays.items():
            self[name][here] = values[there]
