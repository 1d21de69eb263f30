"""SIGINT and SIGTERM as a flag, so that work ends where it can end cleanly."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Interrupt:
    """Whether a signal has asked to end."""

    requested: bool = False


_raised: list[Callable[[], None]] = []
"""What a signal does to each flag that stands, the innermost last."""


@contextmanager
def interrupt_flag() -> Iterator[Interrupt]:
    """Note the first SIGINT or SIGTERM in a flag, and in those around it; a second one acts as usual.

    Outside of the main thread signals are somebody else's, and the flag stays down.
    """
    flag = Interrupt()
    before: dict[int, Any] = {}

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    def note() -> None:
        flag.requested = True
        restore()

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    _raised.append(note)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, _note_all)
        yield flag
    finally:
        _raised.remove(note)
        restore()


def _note_all(number: int, frame: object) -> None:
    for note in reversed(_raised):
        note()
