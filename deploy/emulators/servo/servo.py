"""What all emulated servos are: memory, an encoder on a shaft, and a motor that follows a target."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

COUNTS = 4096
STEP = 2 * math.pi / COUNTS
"""rad"""


@dataclass(frozen=True, slots=True)
class Shaft:
    """How an encoder sits on its joint.

    Attributes:
        zero: what the bare encoder counts where the joint is at 0 rad.
        direction: 1 or -1.
    """

    zero: int
    direction: int

    def count(self, angle: float) -> int:
        """Of the bare encoder, within a turn, at rad."""
        return round(self.zero + self.direction * angle / STEP) % COUNTS


@dataclass(frozen=True, slots=True)
class Sensed:
    """What a servo feels.

    Attributes:
        angle: rad, of the joint, as its sensor says.
        speed: rad/s.
        duty: share of the full voltage that the motor uses, with its sign.
        temperature: °C.
        voltage: V.
    """

    angle: float
    speed: float
    duty: float
    temperature: float
    voltage: float


@dataclass(frozen=True, slots=True)
class Drive:
    """What a servo does to its joint.

    Attributes:
        target: rad, of the spring; None for a motor that is passive.
        gain: of the spring, as a share of that of the robot's model.
        limit: largest duty.
        brakes: whether a passive motor's windings are shorted.
    """

    target: float | None
    gain: float = 0.0
    limit: float = 1.0
    brakes: bool = False


class EmulatedServo(ABC):
    """A servo with a table of registers.

    Attributes:
        name: of its joint.
        memory: every register.
        limits_exceeded: how often it was sent to where it must not go; a servo just does not go there.
    """

    def __init__(self, name: str, shaft: Shaft, size: int) -> None:
        """Make one with empty memory."""
        self.name, self.shaft = name, shaft
        self.memory = bytearray(size)
        self.limits_exceeded = 0

    def number(self, address: int, size: int, signed: bool = False) -> int:
        """What stands in the memory, low byte first."""
        return int.from_bytes(self.memory[address : address + size], "little", signed=signed)

    def range_of_counts(self, lowest: float, highest: float, zero: int) -> tuple[int, int]:
        """The counts of a range in rad, where the joint's zero reads so and so much."""
        ends = [zero + self.shaft.direction * end / STEP for end in (lowest, highest)]
        return max(0, math.floor(min(ends))), min(COUNTS - 1, math.ceil(max(ends)))

    def put(self, address: int, size: int, number: int) -> None:
        """Write into the memory, wrapped into the size."""
        self.memory[address : address + size] = (number % 256**size).to_bytes(size, "little")

    @property
    @abstractmethod
    def id(self) -> int:
        """On the bus."""

    @abstractmethod
    def fit(self, lowest: float, highest: float) -> dict[str, Any]:
        """Calibrate it, as its owner did, for a joint of a range in rad.

        Returns:
            What stands in a calibration file for it.
        """

    @abstractmethod
    def sense(self, sensed: Sensed, seconds: float) -> None:
        """Renew what it reports, and its protections, after some s."""

    @abstractmethod
    def drive(self, seconds: float) -> Drive:
        """What it does in the next s."""

    @abstractmethod
    def power_cycle(self) -> None:
        """Start anew, as at power-on."""

    @abstractmethod
    def trip_watchdog(self) -> None:
        """Let the time of its watchdog be over."""
