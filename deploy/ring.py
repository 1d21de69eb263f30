"""A ring of fixed-size records in shared memory: one writer that never waits, readers in any process.

The writer is the control loop. Of the readers one may be the keeper, whose pace counts: where it falls a
whole ring behind, new records are dropped and counted, so that what it keeps has no gap but at the end.
Every other reader only looks on; where it falls behind, it goes on with the newest records.
"""

import mmap
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = np.dtype(
    [("put", "<i8"), ("kept", "<i8"), ("dropped", "<i8"), ("has_keeper", "<i8"), ("slots", "<i8")]
)
HEADER_BYTES = 64
SEQUENCE = "sequence"
"""Field that every record must have: the writer's, number of the record plus one."""


class Ring:
    """The writer's end.

    Attributes:
        records: (slots,) of the given type, to be filled at the place that `claim` gives.
        dropped: records that found no room.
    """

    def __init__(self, dtype: np.dtype[Any], slots: int, kept: bool = False) -> None:
        """Make a ring.

        Args:
            dtype: of a record, with a field `sequence` of type i8.
            slots: how many records it holds.
            kept: whether there will be a keeper.
        """
        size = HEADER_BYTES + slots * dtype.itemsize
        self._file = os.memfd_create("simreal-ring")
        os.ftruncate(self._file, size)
        memory = mmap.mmap(self._file, size)
        self._header = np.frombuffer(memory, HEADER, 1)[0]
        self.records: NDArray[Any] = np.frombuffer(memory, dtype, slots, HEADER_BYTES)
        self._sequence = self.records[SEQUENCE]
        self._put, self._slots, self._kept = 0, slots, kept
        self._header["slots"], self._header["has_keeper"] = slots, kept
        # Taking an uncontended lock keeps stores in order on processors that reorder them.
        self._fence = threading.Lock()

    @property
    def dropped(self) -> int:
        """Records that found no room."""
        return int(self._header["dropped"])

    def fileno(self) -> int:
        """The file descriptor by which another process attaches a `RingReader`."""
        return self._file

    def claim(self) -> int | None:
        """The place to fill next; None, and counted, where the keeper is too far behind."""
        if self._kept and self._put - self._header["kept"] >= self._slots:
            self._header["dropped"] += 1
            return None
        place = self._put % self._slots
        self._sequence[place] = 0
        return place

    def publish(self) -> None:
        """Let readers see the place that was claimed last."""
        with self._fence:
            self._sequence[self._put % self._slots] = self._put + 1
            self._put += 1
        self._header["put"] = self._put

    def close(self) -> None:
        """Give up the file; readers keep what they have mapped. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class RingReader:
    """A reader's end, in the writer's process or another.

    Attributes:
        missed: records that were overwritten before they were read.
    """

    def __init__(self, file: int, dtype: np.dtype[Any], keeper: bool = False) -> None:
        """Attach.

        Args:
            file: descriptor of the ring; it may be closed afterwards.
            dtype: of a record, the writer's.
            keeper: whether this is the reader whose pace counts; there is one at most.
        """
        memory = mmap.mmap(file, os.fstat(file).st_size)
        self._header = np.frombuffer(memory, HEADER, 1)[0]
        slots = int(self._header["slots"])
        self._records: NDArray[Any] = np.frombuffer(memory, dtype, slots, HEADER_BYTES)
        self._keeper = keeper
        self._next = 0 if keeper else max(0, int(self._header["put"]) - slots)
        self.missed = 0

    @property
    def dropped(self) -> int:
        """Records that the writer dropped since the keeper was too far behind."""
        return int(self._header["dropped"])

    def take(self, most: int = 1024) -> NDArray[Any]:
        """Copies of the next records, oldest first; none if there is nothing new.

        Args:
            most: at once.
        """
        put, slots = int(self._header["put"]), len(self._records)
        if put - self._next > slots:
            self.missed += put - slots - self._next
            self._next = put - slots
        count = min(put - self._next, most)
        numbers = np.arange(self._next, self._next + count)
        taken = self._records[numbers % slots]
        # Overwritten while they were copied: gone, and with them all that are older.
        valid = (taken[SEQUENCE] == numbers + 1) & (
            self._records[SEQUENCE][numbers % slots] == numbers + 1
        )
        lost = 0 if valid.all() else int(np.flatnonzero(~valid)[-1]) + 1
        self.missed += lost
        self._next += count
        if self._keeper:
            self._header["kept"] = self._next
        return taken[lost:]
