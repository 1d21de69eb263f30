"""Where the numbers that are asked of a policy come from, and what the person at the controls wants."""

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import numpy as np

from simreal.contract import Command, Contract
from simreal.errors import UserError, nearest
from simreal.state import FloatArray


class Wish(Enum):
    """What a person wants of the robot.

    `RUN` wakes it, or takes it on from holding or braking: it rises, then the policy acts. `HOLD` keeps
    the posture. `CLEAR` takes back a fault that the person has understood; the robot is then idle. `END`
    ends the run in order; while it comes to a stand for that, a second one ends it at once.
    """

    RUN = "run"
    HOLD = "hold"
    CLEAR = "clear"
    END = "end"


class CommandSource(Protocol):
    """Asked by the loop in each cycle, on its thread: no method waits, none raises.

    A source that listens to a device or a socket does so without blocking, or on a thread or in a
    process of its own that leaves the newest numbers behind.

    Attributes:
        person: whether somebody is at the controls: then the robot stays idle until `Wish.RUN`, and a
            fault waits for `Wish.CLEAR`; else the loop starts by itself, and a fault ends it.
        emergency: why the robot must stop at once, or None. The supervisor latches it.
    """

    person: bool
    emergency: str | None

    def asked(self, now: float) -> FloatArray:
        """What is asked now, (commands,) in the order of the contract.

        What lies beyond the trained ranges is brought within by the loop; a number that is none leaves
        the last one standing.

        Args:
            now: s, of `time.monotonic`.
        """

    def wish(self) -> Wish | None:
        """What the person has wanted since the last call; each wish is told once."""

    def close(self) -> None:
        """Let go of device or socket; may be called twice."""


class FixedSource:
    """Asks the same from start to end; nobody is at the controls."""

    def __init__(self, values: FloatArray) -> None:
        """Take (commands,) numbers."""
        self.person = False
        self.emergency: str | None = None
        self._values = values

    def asked(self, now: float) -> FloatArray:
        """See `CommandSource`."""
        return self._values

    def wish(self) -> Wish | None:
        """Never any."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""


def asked_values(contract: Contract, asked: Mapping[str, float]) -> FloatArray:
    """(commands,) what is asked of a policy, in the order of its contract.

    Raises:
        UserError: a command that the policy does not know, or one beyond what it was trained for.
    """
    names = [command.name for command in contract.commands]
    for name in asked:
        if name not in names:
            raise UserError(f"command {name}: this policy has none of that name: {nearest(name, names)}")
    values = []
    for command in contract.commands:
        value = asked.get(command.name, min(max(0.0, command.low), command.high))
        if not command.low <= value <= command.high:
            raise UserError(
                f"command {command.name}={value:g}: the policy was trained for {command.low:g} to "
                f"{command.high:g} {command.unit}"
            )
        values.append(value)
    return np.array(values)


class TrainedRanges:
    """Brings what is asked within what a policy was trained for."""

    def __init__(self, commands: tuple[Command, ...]) -> None:
        """Take the commands of a contract."""
        self._low = np.array([each.low for each in commands])
        self._high = np.array([each.high for each in commands])
        self._last = np.clip(np.zeros(len(commands)), self._low, self._high)
        self._velocity = np.array([each.is_velocity for each in commands], dtype=bool)

    def __call__(self, asked: FloatArray) -> FloatArray:
        """(commands,) within the ranges; what is no number stays as it was asked last."""
        if not self._last.size:
            return self._last
        heard = np.where(np.isfinite(asked), asked, self._last)
        self._last = np.minimum(np.maximum(heard, self._low), self._high)
        return self._last

    def stand_still(self) -> bool:
        """Narrow the ranges of velocities to zero, or what is nearest to it; whether there are any."""
        rest = np.clip(0.0, self._low, self._high)
        for numbers in (self._low, self._high, self._last):
            numbers[self._velocity] = rest[self._velocity]
        return bool(self._velocity.any())
