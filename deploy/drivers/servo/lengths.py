"""How long an answer is asked to be, so that a late one betrays itself.

An answer on these buses says who speaks and how many bytes follow, but not which question it answers:
one that comes late is taken for the answer to the next question. So no two questions in a row ask a
servo for the same number of bytes, and a number that was asked for in vain is not asked again before
any answer to it must have come. The bytes in excess are registers that stand beside the wanted ones.
"""

import math
from collections.abc import Iterable, Sequence

MEMORY = 1.0
"""s, after which an answer does not come any more: an assumption."""
USUAL = 4
"""Lengths in turn while every question is answered."""
SPAN = 16
"""Lengths that there are at most."""
_ORDERS = [
    [*((turn + step) % USUAL for step in range(USUAL)), *range(USUAL, SPAN)] for turn in range(USUAL)
]
"""Bytes in excess, in the order in which they are tried, by whose turn it is."""


class Lengths:
    """What each servo was asked for and has not answered."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self._pending: dict[int, dict[int, float]] = {}
        self._last: dict[int, int] = {}
        self._turn = 0

    def choose(self, servos: Sequence[int], wanted: int, now: float) -> tuple[int, list[int]]:
        """How many bytes to ask for, and whom one can ask.

        Args:
            servos: who shall answer.
            wanted: bytes that are needed.
            now: s.

        Returns:
            A length, from `wanted` to `SPAN` - 1 more, and those to whom a late answer of that length is
            not on its way: all of them, but for some that have been silent again and again.
        """
        length = wanted
        askable: list[int] = []
        for excess in _ORDERS[self._turn]:
            free = self._free(servos, wanted + excess, now)
            if len(free) > len(askable):
                length, askable = wanted + excess, free
            if len(free) == len(servos):
                break
        self._turn = (length - wanted + 1) % USUAL
        return length, askable

    def _free(self, servos: Sequence[int], length: int, now: float) -> list[int]:
        last, pending = self._last, self._pending.get(length)
        free = [servo for servo in servos if last.get(servo) != length]
        if pending:
            free = [servo for servo in free if now - pending.get(servo, -math.inf) > MEMORY]
        return free

    def asked(self, servos: Sequence[int], length: int, now: float) -> None:
        """Note a question, at s."""
        self._pending.setdefault(length, {}).update(dict.fromkeys(servos, now))
        self._last.update(dict.fromkeys(servos, length))

    def answered(self, servos: Iterable[int], length: int) -> None:
        """Note the answers to it."""
        pending = self._pending[length]
        for servo in servos:
            pending.pop(servo, None)
