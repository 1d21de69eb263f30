"""The terminal's keyboard: keys change what is asked by steps, the space bar stops the robot."""

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Sequence

from simreal.contract import Command
from simreal.deploy.command_source import Wish
from simreal.deploy.commands.steering import Steering
from simreal.errors import UserError

PAIRS = (("w", "s"), ("a", "d"), ("q", "e"), ("i", "k"), ("j", "l"), ("u", "o"))
"""Keys that raise and lower the first, second, ... command."""
STEPS = 10
"""From the middle of a range to its end."""
STOP = " "
ZERO = "0"
WISHES = {"\r": Wish.RUN, "\n": Wish.RUN, "h": Wish.HOLD, "c": Wish.CLEAR, "x": Wish.END}
HELP = "Enter runs, h holds, SPACE STOPS AT ONCE, c clears a fault, x ends, 0 asks for nothing"


class Keyboard:
    """Hears a terminal whose keys come one by one, and leaves it as it was."""

    def __init__(self, file: int) -> None:
        """Take the file descriptor of a terminal.

        Raises:
            UserError: it is none.
        """
        try:
            self._before = termios.tcgetattr(file)
            tty.setcbreak(file, termios.TCSANOW)
        except termios.error:
            raise UserError("--commands keyboard: standard input is no terminal") from None
        self._file: int | None = file
        self._blocking = os.get_blocking(file)
        os.set_blocking(file, False)

    def listen(self, steering: Steering, now: float) -> bool:
        """See `Ear`; a terminal that has hung up is lost."""
        if self._file is None:
            return False
        try:
            keys = os.read(self._file, 256)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for key in keys.decode(errors="ignore"):
            press(steering, key)
        return bool(keys)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._file is not None:
            with contextlib.suppress(OSError, termios.error):
                os.set_blocking(self._file, self._blocking)
                termios.tcsetattr(self._file, termios.TCSANOW, self._before)
            self._file = None


def press(steering: Steering, key: str) -> None:
    """What one key does."""
    if key == STOP:
        steering.stop("the space bar was pressed")
    elif key == ZERO:
        steering.values = steering.neutral()
    elif key in WISHES:
        steering.want(WISHES[key])
    for place, (up, down) in enumerate(PAIRS[: len(steering.names)]):
        if key in (up, down):
            step = (steering.high[place] - steering.low[place]) / (2.0 * STEPS)
            steering.set(place, steering.values[place] + (step if key == up else -step))


def open_keyboard(commands: Sequence[Command]) -> Steering:
    """The keyboard of the terminal in which this runs.

    Raises:
        UserError: standard input is no terminal.
    """
    return Steering(commands, Keyboard(sys.stdin.fileno()))


def describe(commands: Sequence[Command]) -> str:
    """Which key does what, for the person."""
    steering = [f"{up}/{down} {c.name}" for (up, down), c in zip(PAIRS, commands, strict=False)]
    return "; ".join((*steering, HELP))
