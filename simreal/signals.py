"""SIGINT, SIGTERM and SIGHUP as a flag, so that work ends where it can end cleanly."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ASKS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Interrupt:
    """Whether a signal has asked to end."""

    requested: bool = False


_flags: list[Interrupt] = []
"""Those that stand."""


@contextmanager
def interrupt_flag() -> Iterator[Interrupt]:
    """Note the first signal in a flag, and in those around it; a second one is a KeyboardInterrupt.

    A terminal that is closed is no second one: the kernel and the shell each tell of it. What `nohup`
    started does not hear of it at all. Outside of the main thread signals are somebody else's, and the
    flag stays down.
    """
    flag = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before: dict[int, Any] = {}
    _flags.append(flag)
    try:
        if len(_flags) == 1:
            for number in ASKS_TO_END:
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, _note)
        yield flag
    finally:
        _flags.pop()
        while before:
            signal.signal(*before.popitem())


def _note(number: int, frame: object) -> None:
    for flag in _flags:
        flag.requested = True
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.default_int_handler)
