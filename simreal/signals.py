"""Signals that ask to end as a flag, so that work ends where it can end cleanly."""

import errno
import os
import signal
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ASKS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVES_MOTORS = (signal.SIGQUIT, signal.SIGTSTP)
"""Ctrl-\\ and Ctrl-Z: who ends or stops at once lets motors go on with their last command."""


@dataclass(slots=True)
class Interrupt:
    """Whether a signal has asked to end."""

    requested: bool = False


_flags: list[Interrupt] = []
"""Those that stand."""
_noted: set[signal.Signals] = set()
"""Signals that raise them."""


@contextmanager
def interrupt_flag(signals: Sequence[signal.Signals] = ASKS_TO_END) -> Iterator[Interrupt]:
    """Note the first signal in a flag, and in those around it; a second one is a KeyboardInterrupt.

    A flag within one that is raised is raised from its beginning.

    A terminal that is closed is no second one: the kernel and the shell each tell of it; what is printed
    from then on goes nowhere, and is no fault. What `nohup` started does not hear of it at all. Outside
    of the main thread signals are somebody else's, and the flag stays down.

    Args:
        signals: that are noted.
    """
    flag = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before: dict[signal.Signals, Any] = {}
    flag.requested = any(around.requested for around in _flags)
    _flags.append(flag)
    try:
        for number in signals:
            ignored = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
            if number not in _noted and not ignored:
                before[number] = signal.signal(number, _note)
                _noted.add(number)
        yield flag
    finally:
        _flags.pop()
        while before:
            number, handler = before.popitem()
            signal.signal(number, handler)
            _noted.discard(number)


def _note(number: int, frame: object) -> None:
    if number == signal.SIGHUP:
        _print_nowhere()
    for flag in _flags:
        flag.requested = True
    for again in _noted - {signal.SIGHUP}:
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
