"""Reads and writes on a bus of servos: what can fail, fails by name; what comes late, is not taken."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from simreal.deploy.drivers.servo.lengths import Lengths
from simreal.deploy.drivers.servo.protocol import Protocol
from simreal.deploy.drivers.servo.table import Block, Register

TRIES = 8
"""Of what is asked of one servo outside of the loop; each waits twice as long as the one before."""
GROUP_TRIES = 4
"""Of what is written to all of them and read back, likewise."""


class Answer(NamedTuple):
    """What a servo said of a block of registers.

    Attributes:
        numbers: by name of the register.
        error: its error byte.
        time: s of `time.monotonic`, when it arrived.
    """

    numbers: dict[str, int]
    error: int
    time: float


class ServoBus:
    """Servos by their ids.

    Attributes:
        protocol: in which they are spoken to.
    """

    def __init__(self, protocol: Protocol) -> None:
        """Speak to servos."""
        self.protocol = protocol
        self._lengths = Lengths()
        self._silent: dict[int, int] = {}

    def _patiently(self, tries: int) -> Iterator[int]:
        """Count tries, of which each waits longer."""
        port, usual = self.protocol.port, self.protocol.port.latency
        try:
            for attempt in range(tries):
                port.latency = usual * 2**attempt
                yield attempt
        finally:
            port.latency = usual

    def ping(self, servo: int, tries: int = TRIES) -> bool:
        """Whether a servo answers."""
        for _ in self._patiently(tries):
            self.protocol.ping(servo)
            while (status := self.protocol.receive()) is not None:
                if status.id == servo:
                    return True
        return False

    def read(self, servo: int, register: Register, tries: int = TRIES) -> int | None:
        """A number in a servo, or None if it does not answer."""
        for _ in self._patiently(tries):
            now = self.protocol.port.now()
            length, askable = self._lengths.choose([servo], register.size, now)
            if not askable:
                return None
            self.protocol.read(servo, register.address, length)
            self._lengths.asked([servo], length, now)
            while (status := self.protocol.receive()) is not None:
                if status.id == servo and len(status.data) == length:
                    self._lengths.answered([servo], length)
                    return register.decode(status.data[: register.size])
        return None

    def write(self, servo: int, register: Register, number: int) -> bool:
        """Write a number into a servo; whether it stands there now, which is read back."""
        for _ in range(TRIES):
            self.protocol.write(servo, register.address, register.encode(number))
            while (status := self.protocol.receive()) is not None:
                if status.id == servo and not status.data:
                    break
            if self.read(servo, register) == number:
                return True
        return False

    def read_block(self, servos: Sequence[int], block: Block) -> dict[int, Answer]:
        """Ask servos for the same registers; those that answer, in one time-out at most.

        A servo that was silent last is asked last: one that waits for the one before it, waits for none.
        """
        now = self.protocol.port.now()
        length, askable = self._lengths.choose(servos, block.length, now)
        if not askable:
            return {}
        askable.sort(key=lambda servo: self._silent.get(servo, 0))
        excess = length - block.length
        self.protocol.sync_read(askable, block.start - excess, length)
        self._lengths.asked(askable, length, now)
        answers = self._listen(askable, block, length)
        for servo in askable:
            self._silent[servo] = 0 if servo in answers else self._silent.get(servo, 0) + 1
        return answers

    def _listen(self, servos: Sequence[int], block: Block, length: int) -> dict[int, Answer]:
        """Take answers in the order in which they were asked for, and no others."""
        answers: dict[int, Answer] = {}
        awaited = list(servos)
        while awaited and (found := self.protocol.receive_awaited(length)):
            for status in found:
                if len(status.data) != length or status.id not in awaited:
                    continue
                del awaited[: awaited.index(status.id) + 1]
                numbers = block.decode(status.data[length - block.length :])
                answers[status.id] = Answer(numbers, status.error, status.time)
        self._lengths.answered(answers, length)
        return answers

    def write_block(
        self, servos: Sequence[int], block: Block, numbers: Mapping[str, Sequence[int]]
    ) -> None:
        """Write the same registers of servos; nobody answers, and nothing is waited for.

        Args:
            servos: their ids.
            block: of registers.
            numbers: by name of the register, one for each servo; zero where none are given.
        """
        self.protocol.sync_write(block.start, block.length, block.encode_for(servos, numbers))

    def write_all(self, servos: Sequence[int], register: Register, number: int) -> list[int]:
        """Write a number into servos at once, until all of them say that it stands there.

        Returns:
            Those that do not say so.
        """
        block = Block(("number",), (register,))
        left = list(servos)
        for _ in self._patiently(GROUP_TRIES):
            self.write_block(left, block, {"number": [number] * len(left)})
            answers = self.read_block(left, block)
            left = [s for s in left if s not in answers or answers[s].numbers["number"] != number]
            if not left:
                break
        return left
