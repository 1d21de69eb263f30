"""How long bytes wait in a pseudo-terminal: the share of a delay that no emulator and no driver makes.

The kernel hands on what was written by a worker of ordinary priority, which a busy machine keeps waiting
however urgent both ends are.
"""

import multiprocessing
import os
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from simreal.deploy.realtime import hurry

PERIOD = 0.02
"""s from one byte to the next."""
PATIENCE = 5.0
"""s for it to end."""


def _measure(pipe: Connection, priority: int) -> None:
    """Send bytes through a pseudo-terminal until told to end; tell the longest time in s."""
    hurry(priority)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    longest, told = 0.0, False
    while not told:
        begun = time.monotonic()
        os.write(ours, b"\0")
        os.read(theirs, 1)
        longest = max(longest, time.monotonic() - begun)
        told = pipe.poll(PERIOD)
    pipe.send(longest)


@contextmanager
def longest_wait(priority: int) -> Iterator[Callable[[], float]]:
    """Watch a pseudo-terminal from another process.

    Args:
        priority: of SCHED_FIFO, where it is allowed.

    Yields:
        What ends it, and gives the longest time in s that a byte took.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, priority))
    process.start()
    theirs.close()

    def end() -> float:
        ours.send("end")
        longest: float = ours.recv()
        return longest

    try:
        yield end
    finally:
        ours.close()
        process.join(PATIENCE)
        process.kill()
