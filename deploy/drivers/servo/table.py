"""Control tables: what stands at which address of a servo, and what its bytes mean."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LETTERS = {1: "B", 2: "H", 4: "I"}
"""Of the module `struct`, by size."""
Encoding = Literal["unsigned", "twos_complement", "sign_magnitude"]


@dataclass(frozen=True, slots=True)
class Register:
    """A number in a servo, low byte first.

    Attributes:
        address: of its first byte.
        size: bytes.
        encoding: of negative numbers.
        sign_bit: of `sign_magnitude`.
        unit: SI, or what the number counts, of one step.
        scale: units in one step.
    """

    address: int
    size: int
    encoding: Encoding = "unsigned"
    sign_bit: int = 0
    unit: str = ""
    scale: float = 1.0

    @property
    def end(self) -> int:
        """Address behind its last byte."""
        return self.address + self.size

    def range(self) -> tuple[int, int]:
        """The least and the largest number that it can hold."""
        match self.encoding:
            case "unsigned":
                return 0, 256**self.size - 1
            case "twos_complement":
                half = 256**self.size // 2
                return -half, half - 1
            case "sign_magnitude":
                return 1 - (1 << self.sign_bit), (1 << self.sign_bit) - 1

    def encode(self, number: int) -> bytes:
        """As bytes.

        Raises:
            ValueError: it does not fit.
        """
        if self.encoding == "sign_magnitude":
            return self.bits(number).to_bytes(self.size, "little")
        lowest, highest = self.range()
        if not lowest <= number <= highest:
            raise ValueError(
                f"{number} does not fit into register {self.address}: {lowest} to {highest}"
            )
        return number.to_bytes(self.size, "little", signed=self.encoding == "twos_complement")

    def decode(self, data: bytes) -> int:
        """From bytes, any of which are taken."""
        number = int.from_bytes(data, "little", signed=self.encoding == "twos_complement")
        return self.signed(number) if self.encoding == "sign_magnitude" else number

    def bits(self, number: int) -> int:
        """Sign and magnitude of a number.

        Raises:
            ValueError: it does not fit.
        """
        magnitude = abs(number)
        if magnitude >> self.sign_bit:
            raise ValueError(f"{number} does not fit into register {self.address}")
        return magnitude | (number < 0) << self.sign_bit

    def signed(self, bits: int) -> int:
        """The number of a sign and a magnitude."""
        magnitude = bits & ((1 << self.sign_bit) - 1)
        return -magnitude if bits >> self.sign_bit & 1 else magnitude


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of servo.

    Attributes:
        name: as its maker calls it.
        number: by which it says what it is.
        registers: by name.
        counts: of its encoder in a turn.
    """

    name: str
    number: int
    registers: Mapping[str, Register]
    counts: int = 4096


class Block:
    """Registers that stand side by side and are moved together.

    Attributes:
        names: in the order of their addresses.
        registers: the same.
        start: address of the first byte.
        length: bytes.
    """

    def __init__(self, names: Sequence[str], registers: Sequence[Register]) -> None:
        """Lay them side by side; bytes between them are passed over, and written as zero."""
        self.names, self.registers = tuple(names), tuple(registers)
        self.start, self.length = registers[0].address, registers[-1].end - registers[0].address
        layout, at = "", self.start
        for each in registers:
            letter = LETTERS[each.size]
            layout += f"{each.address - at}x"
            layout += letter.lower() if each.encoding == "twos_complement" else letter
            at = each.end
        self._layout, self._row = struct.Struct(f"<{layout}"), struct.Struct(f"<B{layout}")
        # Sign and magnitude is nothing that a struct knows.
        self._signs = [
            (name, each) for name, each in zip(names, registers, strict=True) if each.sign_bit
        ]

    @classmethod
    def of(cls, registers: Mapping[str, Register], *names: str) -> "Block":
        """The block of some registers of a table."""
        return cls(names, [registers[name] for name in names])

    def decode(self, data: bytes) -> dict[str, int]:
        """Numbers by name, of its bytes."""
        numbers = dict(zip(self.names, self._layout.unpack(data), strict=True))
        for name, register in self._signs:
            numbers[name] = register.signed(numbers[name])
        return numbers

    def encode_for(self, servos: Sequence[int], numbers: Mapping[str, Sequence[int]]) -> bytes:
        """The id of each servo, and the block's bytes for it.

        Args:
            servos: ids.
            numbers: by name, one for each servo; zero where none are given.

        Raises:
            ValueError: one does not fit.
        """
        columns = {name: numbers.get(name) or [0] * len(servos) for name in self.names}
        for name, register in self._signs:
            columns[name] = [register.bits(number) for number in columns[name]]
        rows = zip(servos, *columns.values(), strict=True)
        try:
            return b"".join([self._row.pack(*row) for row in rows])
        except struct.error as error:
            raise ValueError(
                f"{dict(numbers)} does not fit into {', '.join(self.names)}: {error}"
            ) from None
