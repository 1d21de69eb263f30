"""How long an answer is asked to be, so that a late one betrays itself.

An answer on these buses says who speaks and how many bytes follow, but not which question it answers:
one that comes late is taken for the answer to the next question. So no two questions in a row ask a
servo for the same number of bytes, and a number that was asked for in vain is not asked again before
any answer to it must have come. The bytes in excess are registers that stand beside the wanted ones.
"""

from collections.abc import Sequence

MEMORY = 1.0
"""s, after which an answer does not come any more: an assumption."""
USUAL = 4
"""Lengths in turn while every question is answered."""
SPAN = 16
"""Lengths that there are at most."""


class Lengths:
    """What each servo was asked for and has not answered."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self._pending: dict[tuple[int, int], float] = {}
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
        order = [(self._turn + step) % USUAL for step in range(USUAL)] + list(range(USUAL, SPAN))
        best: tuple[int, list[int]] = (wanted + order[0], [])
        for excess in order:
            length = wanted + excess
            askable = [servo for servo in servos if self._is_free(servo, length, now)]
            if len(askable) > len(best[1]):
                best = length, askable
            if len(askable) == len(servos):
                break
        self._turn = (best[0] - wanted + 1) % USUAL
        return best

    def _is_free(self, servo: int, length: int, now: float) -> bool:
        asked = self._pending.get((servo, length))
        return self._last.get(servo) != length and (asked is None or now - asked > MEMORY)

    def asked(self, servos: Sequence[int], length: int, now: float) -> None:
        """Note a question, at s."""
        for servo in servos:
            self._pending[servo, length] = now
            self._last[servo] = length

    def answered(self, servo: int, length: int) -> None:
        """Note its answer."""
        self._pending.pop((servo, length), None)
