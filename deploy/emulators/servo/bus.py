"""What both kinds of emulated servo buses share: finding instructions in bytes, and whom they are for.

How a frame looks, and what an instruction does, is each protocol's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from simreal.deploy.emulators.servo.servo import EmulatedServo

BROADCAST = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83
"""Instructions that both makers number alike."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a servo is asked.

    Attributes:
        id: of the servo; `BROADCAST` for all.
        code: of the instruction.
        parameters: its bytes, as they were before they were made fit for the wire.
    """

    id: int
    code: int
    parameters: bytes


class Decoder(ABC):
    """Finds instructions in a stream of bytes."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._bytes = bytearray()

    def feed(self, received: bytes) -> Iterator[Instruction]:
        """Take bytes; the instructions that are whole now."""
        self._bytes += received
        while (instruction := self._next()) is not None:
            yield instruction

    @abstractmethod
    def _next(self) -> Instruction | None:
        """Take the next whole instruction out of the bytes."""

    def forget(self) -> None:
        """Give up on what is not whole, as servos do when the line is quiet."""
        self._bytes.clear()


Servo = TypeVar("Servo", bound=EmulatedServo)
Answer = tuple[str, bytes]
"""Name of the joint, and the frame that its servo sends."""


class ServoLine(ABC, Generic[Servo]):
    """The bus that servos hang on."""

    def __init__(self, servos: Sequence[Servo], decoder: Decoder) -> None:
        """Connect servos."""
        self.servos = servos
        self._decoder = decoder

    def hear(self, received: bytes) -> list[Answer]:
        """Take bytes; each answer, in the order in which they are sent."""
        return [answer for each in self._decoder.feed(received) for answer in self._obey(each)]

    def quiet(self) -> None:
        """Nothing has come for a while."""
        self._decoder.forget()

    def _addressed(self, servo: int) -> list[Servo]:
        return [each for each in self.servos if servo in (each.id, BROADCAST)]

    def _obey(self, instruction: Instruction) -> list[Answer]:
        """Do what an instruction says; the answers."""
        answers = self._obey_together(instruction)
        if answers is not None:
            return answers
        found = (self._obey_alone(each, instruction) for each in self._addressed(instruction.id))
        return [answer for answer in found if answer is not None]

    @abstractmethod
    def _obey_together(self, instruction: Instruction) -> list[Answer] | None:
        """Do what an instruction for several says; None if it is none."""

    @abstractmethod
    def _obey_alone(self, servo: Servo, instruction: Instruction) -> Answer | None:
        """Do what an instruction says to one; its answer, if it gives one."""
