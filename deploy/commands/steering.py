"""What all sources with a person behind them share: numbers, wishes, and what their silence means."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from simreal.contract import Command
from simreal.deploy.command_source import Wish
from simreal.state import FloatArray

SILENCE = 0.5
"""s without a word, after which a source that speaks all the time counts as lost."""
HOLD_AFTER = 1.0
"""s of a lost source, in which zero is asked, until the robot shall hold."""
OLDEST = 20
"""Times that is listened at the beginning, to empty what has queued up."""


class Ear(Protocol):
    """Hears one device or socket."""

    def listen(self, steering: "Steering", now: float) -> bool:
        """Take what has come since the last call, without waiting; whether the source is there."""
        ...

    def close(self) -> None:
        """Let go of it; may be called twice."""
        ...


class Steering:
    """A source with a person behind it; see `simreal.deploy.command_source.CommandSource`.

    While the source is lost, zero is asked, or what of each range is nearest to it; after `HOLD_AFTER`,
    the robot shall hold.

    Attributes:
        person: True.
        emergency: why the robot must stop at once, or None.
        names: of the commands.
        values: (commands,) as the person has set them last.
        low: (commands,) lowest that the policy was trained for.
        high: (commands,) highest.
        begun: whether the loop has asked yet.
    """

    def __init__(self, commands: Sequence[Command], ear: Ear) -> None:
        """Take the contract's commands, and what hears the person."""
        self.person = True
        self.emergency: str | None = None
        self.names = [command.name for command in commands]
        self.low = np.array([command.low for command in commands])
        self.high = np.array([command.high for command in commands])
        self.values = self.neutral()
        self._ear = ear
        self._wishes: deque[Wish] = deque(maxlen=8)
        self._lost_at: float | None = None
        self._holds = self.begun = False

    def neutral(self) -> FloatArray:
        """(commands,) zero, or what of each range is nearest to it."""
        return np.clip(np.zeros(len(self.names)), self.low, self.high)

    def set(self, place: int, value: float) -> None:
        """Ask a number, within its range; what is no number changes nothing."""
        if np.isfinite(value):
            self.values[place] = np.clip(value, self.low[place], self.high[place])

    def want(self, wish: Wish) -> None:
        """Note a wish."""
        self._wishes.append(wish)

    def stop(self, reason: str) -> None:
        """Stop the robot at once, until a person has cleared that.

        What was wished before is forgotten, but for the end: who clears a fault and then stops the robot
        means the stop. Who clears after it has seen that stop, and means to take it back.
        """
        self.emergency = self.emergency or reason
        ends = Wish.END in self._wishes
        self._wishes.clear()
        if ends:
            self.want(Wish.END)

    def asked(self, now: float) -> FloatArray:
        """See `CommandSource`."""
        if not self.begun:
            self._forget_what_came_before(now)
        if self._ear.listen(self, now):
            self._lost_at, self._holds = None, False
            return self.values
        self.values = self.neutral()
        self._lost_at = now if self._lost_at is None else self._lost_at
        if now - self._lost_at >= HOLD_AFTER and not self._holds:
            self._holds = True
            self.want(Wish.HOLD)
        return self.values

    def _forget_what_came_before(self, now: float) -> None:
        """Nobody wanted this run by a key that was pressed before it; only a stop still holds."""
        self.begun = True
        for _ in range(OLDEST):
            self._ear.listen(self, now)
        self._wishes.clear()
        self.values = self.neutral()

    def wish(self) -> Wish | None:
        """See `CommandSource`."""
        wish = self._wishes.popleft() if self._wishes else None
        if wish is Wish.CLEAR:
            self.emergency = None
        return wish

    def close(self) -> None:
        """See `CommandSource`."""
        self._ear.close()
