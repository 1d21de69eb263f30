"""The recent past of measurements, from which a controller reads them late."""

import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.state import FloatArray, Ids


class DelayLine:
    """The last samples of a device in each of `count` simulations, which all step together.

    Attributes:
        longest: physics steps back to the oldest sample.
    """

    def __init__(self, longest: int, kinds: int, channels: int, count: int) -> None:
        """Hold zeros.

        Args:
            longest: physics steps back to the oldest sample.
            kinds: quantities that travel together, such as position and velocity.
            channels: of each quantity, such as joints; each may be late by a time of its own.
            count: number of simulations.
        """
        self.longest = longest
        # A ring: nothing moves when time passes but the place of the newest sample.
        self._ring = np.zeros((longest + 1, kinds, channels, count))
        self._newest = 0
        self._sample_size = kinds * channels * count
        self._places = np.arange(self._sample_size).reshape(kinds, channels, count)

    def fill(self, ids: Ids, sample: FloatArray) -> None:
        """Pretend that (kinds, channels, len(ids)) values have been there for ever."""
        self._ring[..., ids] = sample

    def take(self, ids: Ids, source: "DelayLine", rows: Ids) -> None:
        """Take over the past of other simulations; both lines must reach equally far back."""
        past = source._ring[source._from_newest()[:, None], :, :, rows]
        self._ring[self._from_newest()[:, None], :, :, ids] = past

    def _from_newest(self) -> NDArray[np.int64]:
        return (self._newest - np.arange(self.longest + 1)) % (self.longest + 1)

    def push(self, samples: FloatArray) -> None:
        """Take in the (substeps, kinds, channels, count) samples of successive physics steps."""
        length, fresh = self.longest + 1, len(samples)
        places = (self._newest + np.arange(1, fresh + 1)) % length
        self._ring[places[-length:]] = samples[-length:]
        self._newest = int(places[-1])

    def read(self, age: NDArray[np.int64] | None = None) -> FloatArray:
        """(kinds, channels, count) samples, a copy.

        Args:
            age: (channels, count) or (1, count), physics steps back from the newest; none is 0.

        Raises:
            UserError: an age beyond what is held.
        """
        if age is None:
            newest: FloatArray = self._ring[self._newest].copy()
            return newest
        if age.max() > self.longest or age.min() < 0:
            raise UserError(
                f"a measurement is {age.min()} to {age.max()} physics steps late, {self.longest} are "
                "remembered: its latency is beyond the range that the simulation was made for"
            )
        place = (self._newest - age) % (self.longest + 1)
        values: FloatArray = self._ring.reshape(-1).take(place * self._sample_size + self._places)
        return values
