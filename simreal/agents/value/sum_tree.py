"""A tree of sums: draws places in proportion to their priorities, in logarithmic time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simreal.state import FloatArray

Places = NDArray[np.int64]


class SumTree:
    """Priorities of `capacity` places; each inner node holds the sum of its two children.

    A node is the sum of its children as they are now, so that rounding does not pile up.
    """

    def __init__(self, capacity: int) -> None:
        """All priorities are zero."""
        self._leaves = 1 << max(0, capacity - 1).bit_length()
        self._nodes = np.zeros(2 * self._leaves)
        self.capacity = capacity

    @property
    def total(self) -> float:
        """Sum of all priorities."""
        return float(self._nodes[1])

    def priority(self, places: Places) -> FloatArray:
        """(n,) priorities of places."""
        return self._nodes[self._leaves + places]

    def update(self, places: Places, priorities: FloatArray) -> None:
        """Set priorities; of a place that is named twice, the last one counts.

        Args:
            places: (n,) from 0 to capacity - 1.
            priorities: (n,) not negative.
        """
        _update(self._nodes, self._leaves, places, np.asarray(priorities, dtype=np.float64))

    def find(self, sums: FloatArray) -> Places:
        """The places at which the running sum of priorities, in their order, exceeds given sums.

        Args:
            sums: (n,) in [0, total).

        Returns:
            (n,) places, none of which has priority zero if the total is positive.
        """
        found: Places = _find(self._nodes, self._leaves, np.asarray(sums, dtype=np.float64))
        return found


@njit(cache=True)
def _update(nodes: FloatArray, leaves: int, places: Places, priorities: FloatArray) -> None:
    for each in range(places.size):
        node = leaves + places[each]
        nodes[node] = priorities[each]
        while node > 1:
            node //= 2
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1]


@njit(cache=True)
def _find(nodes: FloatArray, leaves: int, sums: FloatArray) -> Places:
    found = np.empty(sums.size, np.int64)
    for each in range(sums.size):
        rest, node = sums[each], 1
        while node < leaves:
            node *= 2
            # Rounding may lead past the last priority: a child without any is never entered.
            if (rest >= nodes[node] or nodes[node] == 0.0) and nodes[node + 1] > 0.0:
                rest -= nodes[node]
                node += 1
        found[each] = node - leaves
    return found
