"""A gamepad by Linux's input events: sticks ask, buttons wish, the right-hand button stops the robot."""

import contextlib
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simreal.contract import Command
from simreal.deploy.command_source import Wish
from simreal.deploy.commands.steering import Steering
from simreal.errors import UserError, missing_extra

INPUT_EVENT = struct.Struct("@llHHi")
"""struct input_event of linux/input.h: seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
SYN_DROPPED = 3
ABS_X, ABS_Y, ABS_RX = 0, 1, 3
BTN_SOUTH, BTN_EAST, BTN_SELECT, BTN_START, BTN_MODE = 0x130, 0x131, 0x13A, 0x13B, 0x13C
STICKS = (ABS_Y, ABS_X, ABS_RX)
"""Of the first, second and third command. Up and left are positive, as forward and left are."""
WISHES = {BTN_START: Wish.RUN, BTN_SOUTH: Wish.HOLD, BTN_SELECT: Wish.CLEAR, BTN_MODE: Wish.END}
HELP = (
    "left stick, right stick sideways; START runs, A holds, B STOPS AT ONCE, SELECT clears a fault, "
    "the middle button ends"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """The numbers that a stick gives.

    Attributes:
        low: at its one end.
        high: at its other end.
        flat: around the middle, which means rest.
    """

    low: int
    high: int
    flat: int = 0

    def share(self, value: int) -> float:
        """-1 to 1 of a reading, 0 at rest."""
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        beyond = max(0.0, abs(value - middle) - self.flat)
        return float(np.clip(np.sign(value - middle) * beyond / max(half - self.flat, 1.0), -1.0, 1.0))


class Gamepad:
    """Hears the events of an input device."""

    def __init__(self, file: int, axes: Mapping[int, Axis]) -> None:
        """Take its file descriptor, which is closed at the end, and its axes by code."""
        os.set_blocking(file, False)
        self._file: int | None = file
        self._axes = axes
        self._rest = b""

    def listen(self, steering: Steering, now: float) -> bool:
        """See `Ear`; a gamepad that is unplugged is lost."""
        if self._file is None:
            return False
        try:
            data = os.read(self._file, 64 * INPUT_EVENT.size)
        except BlockingIOError:
            return True
        except OSError:  # ENODEV: it was unplugged
            return False
        if not data:
            return False
        data = self._rest + data
        whole = len(data) - len(data) % INPUT_EVENT.size
        self._rest = data[whole:]
        for _, _, kind, code, value in INPUT_EVENT.iter_unpack(data[:whole]):
            self._take(steering, kind, code, value)
        return True

    def _take(self, steering: Steering, kind: int, code: int, value: int) -> None:
        if kind == EV_ABS and code in STICKS and code in self._axes:
            place = STICKS.index(code)
            if place < len(steering.names):
                share = -self._axes[code].share(value)
                end = steering.high[place] if share >= 0 else -steering.low[place]
                steering.set(place, share * max(float(end), 0.0))
        elif kind == EV_KEY and value == 1 and code == BTN_EAST:
            steering.stop("button B was pressed")
        elif kind == EV_KEY and value == 1 and code in WISHES:
            steering.want(WISHES[code])
        elif kind == EV_SYN and code == SYN_DROPPED:
            steering.values = (
                steering.neutral()
            )  # the kernel has lost events: the sticks' places are unknown

    def close(self) -> None:
        """Let go of the device."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def open_gamepad(commands: Sequence[Command], path: str) -> Steering:
    """The gamepad at a path, or the first one that is plugged in if the path is empty.

    Raises:
        UserError: there is none, or it may not be opened.
    """
    try:
        import evdev
    except ModuleNotFoundError:
        raise missing_extra("evdev", "gamepad") from None
    for each in [path] if path else evdev.list_devices():
        try:
            device = evdev.InputDevice(each)
        except OSError as error:
            raise UserError(
                f"--commands gamepad: {each}: {error.strerror}; try: simreal doctor"
            ) from None
        found: list[Any] = device.capabilities().get(EV_ABS, [])
        axes = {code: Axis(info.min, info.max, info.flat) for code, info in found}
        if set(STICKS[: len(commands)]) <= set(axes):
            return Steering(commands, Gamepad(os.dup(device.fd), axes))
    raise UserError("--commands gamepad: none is plugged in, or it may not be read; try: simreal doctor")
