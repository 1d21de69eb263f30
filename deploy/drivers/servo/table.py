"""Control tables: what stands at which address of a servo, and what its bytes mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
        persistent: whether it stands in the EEPROM, which outlives a power cycle.
    """

    address: int
    size: int
    encoding: Encoding = "unsigned"
    sign_bit: int = 0
    unit: str = ""
    scale: float = 1.0
    persistent: bool = False

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
        lowest, highest = self.range()
        if not lowest <= number <= highest:
            raise ValueError(
                f"{number} does not fit into register {self.address}: {lowest} to {highest}"
            )
        if self.encoding == "sign_magnitude":
            number = abs(number) | ((number < 0) << self.sign_bit)
        return number.to_bytes(self.size, "little", signed=self.encoding == "twos_complement")

    def decode(self, data: bytes) -> int:
        """From bytes, any of which are taken."""
        number = int.from_bytes(data, "little", signed=self.encoding == "twos_complement")
        if self.encoding == "sign_magnitude":
            magnitude = number & ((1 << self.sign_bit) - 1)
            return -magnitude if number >> self.sign_bit & 1 else magnitude
        return number


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


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that stand side by side and are moved together.

    Attributes:
        names: in the order of their addresses, without gaps of unknown meaning between them.
        registers: the same.
    """

    names: tuple[str, ...]
    registers: tuple[Register, ...]

    @classmethod
    def of(cls, registers: Mapping[str, Register], *names: str) -> "Block":
        """The block of some registers of a table."""
        return cls(names, tuple(registers[name] for name in names))

    @property
    def start(self) -> int:
        """Address of its first byte."""
        return self.registers[0].address

    @property
    def length(self) -> int:
        """Bytes."""
        return self.registers[-1].end - self.start

    def decode(self, data: bytes) -> dict[str, int]:
        """Numbers by name, of its bytes."""
        return {
            name: each.decode(data[each.address - self.start : each.end - self.start])
            for name, each in zip(self.names, self.registers, strict=True)
        }

    def encode(self, numbers: Mapping[str, int]) -> bytes:
        """Its bytes, of numbers by name; zero where none is given."""
        data = bytearray(self.length)
        for name, each in zip(self.names, self.registers, strict=True):
            data[each.address - self.start : each.end - self.start] = each.encode(numbers.get(name, 0))
        return bytes(data)
