"""SIGINT and SIGTERM as a flag, so that work ends where it can end cleanly."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Interrupt:
    """Whether a signal has asked to end."""

    requested: bool = False


@contextmanager
def interrupt_flag() -> Iterator[Interrupt]:
    """Note the first SIGINT or SIGTERM in a flag; a second one acts as usual.

    Outside of the main thread signals are somebody else's, and the flag stays down.
    """
    flag = Interrupt()
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        flag.requested = True
        restore()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:
        before.clear()
    try:
        yield flag
    finally:
        restore()
