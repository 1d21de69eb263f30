"""SIGINT, SIGTERM and SIGHUP as a flag, so that work ends where it can end cleanly."""

import errno
import os
import signal
import termios
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

    A flag within one that is raised is raised from its beginning.

    A terminal that is closed is no second one: the kernel and the shell each tell of it; what is printed
    from then on goes nowhere, and is no fault. What `nohup` started does not hear of it at all. Outside
    of the main thread signals are somebody else's, and the flag stays down.
    """
    flag = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before: dict[int, Any] = {}
    flag.requested = any(around.requested for around in _flags)
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
    if number == signal.SIGHUP:
        _print_nowhere()
    for flag in _flags:
        flag.requested = True
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.default_int_handler)


def _print_nowhere() -> None:
    """Let what was to be printed on a terminal that is gone be lost: each attempt would be an EIO."""
    for output in (1, 2):
        try:
            termios.tcgetattr(output)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, output)
                os.close(nowhere)
