"""An STS3215: its memory, its position loop and its protections; and a line of them.

The duty law and the slew of the target: Rhoban's identification (`bam`, model m1 of this servo). The
rest follows Feetech's memory table; where that is silent: overload ends when torque is enabled anew,
and the fault masks are those that the maker's tool shows for a new servo, 44 and 47.
"""

from collections.abc import Sequence
from typing import Any

from simreal.deploy.emulators.servo.bus import (
    ACTION,
    BROADCAST,
    PING,
    READ,
    REG_WRITE,
    SYNC_READ,
    SYNC_WRITE,
    WRITE,
    Answer,
    Instruction,
    ServoLine,
)
from simreal.deploy.emulators.servo.feetech_wire import StsDecoder, status
from simreal.deploy.emulators.servo.servo import COUNTS, STEP, Drive, EmulatedServo, Sensed, Shaft

MODEL_NUMBER = 777
FIRMWARE = (3, 10)
MODEL_P = 16
"""At which the stiffness is that of the robot's model."""
SLEW = 3400
"""counts/s, of the internal target."""
LARGEST_DUTY = 0.97
VOLTAGE_FAULT, HEAT_FAULT, OVERLOAD_FAULT = 0x01, 0x04, 0x20
MULTI_TURN = 0x10
FIRST_RAM, FIRST_FEEDBACK = 40, 56
RESETS_BELOW = 3.0
"""V, below which the controller starts anew: an assumption."""


def signed_to_register(number: int, bit: int) -> int:
    """Sign and magnitude, the sign in a bit."""
    return (abs(number) & ((1 << bit) - 1)) | (number < 0) << bit


def register_to_signed(number: int, bit: int) -> int:
    """The number of a sign and a magnitude."""
    magnitude = number & ((1 << bit) - 1)
    return -magnitude if number >> bit & 1 else magnitude


class StsServo(EmulatedServo):
    """One servo.

    Attributes:
        stored: what outlives a power cycle.
    """

    def __init__(self, name: str, servo: int, shaft: Shaft, nominal_voltage: float) -> None:
        """Make a new one, whose joint's zero reads 2048 and which may turn all round."""
        super().__init__(name, shaft, 256)
        self._target: float | None = None
        self._overloaded, self._load_time = False, 0.0
        self._pending: tuple[int, bytes] | None = None
        self._present = 0
        for address, size, number in (
            (0, 1, FIRMWARE[0]),
            (1, 1, FIRMWARE[1]),
            (3, 2, MODEL_NUMBER),
            (5, 1, servo),
            (7, 1, 250),
            (8, 1, 1),
            (11, 2, COUNTS - 1),
            (13, 1, 70),
            (14, 1, round(10 * nominal_voltage) + 10),
            (15, 1, 40),
            (16, 2, 1000),
            (18, 1, 0x0C),
            (19, 1, 44),
            (20, 1, 47),
            (21, 1, 32),
            (22, 1, 32),
            (28, 2, 511),
            (30, 1, 1),
            (31, 2, signed_to_register(shaft.zero - 2048, 11)),
            (34, 1, 20),
            (35, 1, 200),
            (36, 1, 80),
            (38, 1, 200),
            (55, 1, 1),
        ):
            self.put(address, size, number)
        self.stored = bytes(self.memory[:FIRST_RAM])
        self.power_cycle()

    @property
    def id(self) -> int:
        """On the bus."""
        return self.memory[5]

    def fit(self, lowest: float, highest: float) -> dict[str, Any]:
        """Calibrate it; see `EmulatedServo.fit`."""
        low, high = self.range_of_counts(lowest, highest, self._zero)
        self.put(9, 2, low)
        self.put(11, 2, high)
        self.stored = bytes(self.memory[:FIRST_RAM])
        return {
            "id": self.id,
            "model": MODEL_NUMBER,
            "firmware": ".".join(map(str, FIRMWARE)),
            "homing_offset": register_to_signed(self.number(31, 2), 11),
            "lowest": low,
            "highest": high,
            "zero": self._zero,
            "direction": self.shaft.direction,
        }

    def power_cycle(self) -> None:
        """As at power-on."""
        self.memory[:FIRST_RAM] = self.stored
        self.memory[FIRST_RAM:FIRST_FEEDBACK] = bytes(FIRST_FEEDBACK - FIRST_RAM)
        self.put(48, 2, self.number(16, 2))
        self.memory[55] = 1
        self._overloaded, self._load_time = False, 0.0

    # Memory.

    def read(self, address: int, length: int) -> bytes:
        """Bytes of the memory; nothing stands behind its end."""
        return bytes(self.memory[address : address + length]).ljust(length, b"\0")

    def write(self, address: int, data: bytes) -> None:
        """Write bytes where they may be written."""
        for place, byte in enumerate(data, address):
            if 5 <= place < FIRST_FEEDBACK:
                self.memory[place] = byte
        if address <= 40 < address + len(data):
            self._enable(self.memory[40])
        if self.memory[55] == 0:
            self.stored = bytes(self.memory[:FIRST_RAM])
        if address <= 42 < address + len(data):
            goal = register_to_signed(self.number(42, 2), 15)
            self.limits_exceeded += not self.number(9, 2) <= goal <= self.number(11, 2)

    def _enable(self, torque: int) -> None:
        self._overloaded, self._load_time = False, 0.0
        if torque == 128:  # make here the middle
            actual = (self._present + register_to_signed(self.number(31, 2), 11)) % COUNTS
            self.put(31, 2, signed_to_register(actual - 2048, 11))
            self.memory[40] = 0

    def reg_write(self, address: int, data: bytes) -> None:
        """Keep a write until the action."""
        self._pending = address, data
        self.memory[64] = 1

    def act(self) -> None:
        """Do what was kept."""
        if self._pending is not None:
            self.write(*self._pending)
        self._pending, self.memory[64] = None, 0

    # Motor.

    def sense(self, sensed: Sensed, seconds: float) -> None:
        """Renew feedback and protections; see `EmulatedServo.sense`."""
        if sensed.voltage < RESETS_BELOW:
            self.power_cycle()
        offset = register_to_signed(self.number(31, 2), 11)
        self._present = (self.shaft.count(sensed.angle) - offset) % COUNTS
        speed = self.shaft.direction * sensed.speed / STEP
        unit = 1 if self.memory[18] & 4 else 50
        self.put(56, 2, self._present)
        self.put(58, 2, signed_to_register(round(speed / unit), 15))
        duty = self.shaft.direction * sensed.duty
        self.put(60, 2, signed_to_register(max(-1000, min(1000, round(1000 * duty))), 10))
        self.memory[62] = min(255, round(10 * sensed.voltage))
        self.memory[63] = min(255, round(sensed.temperature))
        self.memory[66] = abs(speed) > 10
        self._protect(abs(duty), seconds)

    def _protect(self, load: float, seconds: float) -> None:
        self._load_time = self._load_time + seconds if load > 0.01 * self.memory[36] else 0.0
        self._overloaded |= self._load_time > 0.01 * self.memory[35]
        faults = OVERLOAD_FAULT * (self._overloaded and bool(self.memory[19] & OVERLOAD_FAULT))
        faults |= HEAT_FAULT * (self.memory[63] > self.memory[13])
        faults |= VOLTAGE_FAULT * (not self.memory[15] <= self.memory[62] <= self.memory[14])
        self.memory[65] = faults
        if faults & self.memory[19] & (HEAT_FAULT | VOLTAGE_FAULT):
            self.memory[40] = 0

    def drive(self, seconds: float) -> Drive:
        """Follow the goal as fast as the internal target may move; see `EmulatedServo.drive`."""
        torque = self.memory[40]
        if torque != 1 or self.memory[33] != 0:
            self._target = None
            return Drive(None, brakes=torque == 2)
        target = float(self._present) if self._target is None else self._target
        goal = register_to_signed(self.number(42, 2), 15)
        goal = min(max(goal, self.number(9, 2)), self.number(11, 2))
        speed = abs(register_to_signed(self.number(46, 2), 15)) or SLEW
        most = min(speed, SLEW) * seconds
        self._target = target + min(max(goal - target, -most), most)
        # The spring acts between counts; where the joint is in rad, the body knows better.
        angle = self.shaft.direction * (self._target - self._zero) * STEP
        limit = min(1e-3 * self.number(48, 2), LARGEST_DUTY)
        if self._overloaded:
            limit = min(limit, 0.01 * self.memory[34])
        return Drive(angle, self.memory[21] / MODEL_P, limit)

    @property
    def _zero(self) -> int:
        """What it reads where its joint is at 0 rad."""
        return (self.shaft.zero - register_to_signed(self.number(31, 2), 11)) % COUNTS

    def trip_watchdog(self) -> None:
        """Nothing: these servos have none."""


class StsLine(ServoLine[StsServo]):
    """The bus that they hang on."""

    def __init__(self, servos: Sequence[StsServo]) -> None:
        """Connect servos."""
        super().__init__(servos, StsDecoder())

    def _obey_together(self, instruction: Instruction) -> list[Answer] | None:
        data = instruction.parameters
        match instruction.code:
            case code if code == SYNC_READ and len(data) > 2:
                asked = [servo for each in data[2:] for servo in self._addressed(each)]
                return [self._answer(each, each.read(data[0], data[1])) for each in asked]
            case code if code == SYNC_WRITE and len(data) > 2:
                size = data[1] + 1
                for at in range(2, len(data) - size + 1, size):
                    for servo in self._addressed(data[at]):
                        servo.write(data[0], data[at + 1 : at + size])
                return []
        return None

    def _obey_alone(self, servo: StsServo, instruction: Instruction) -> Answer | None:
        data, silent = instruction.parameters, instruction.id == BROADCAST or servo.memory[8] == 0
        match instruction.code:
            case code if code == PING:
                return self._answer(servo)
            case code if code == READ and len(data) == 2 and instruction.id != BROADCAST:
                return self._answer(servo, servo.read(data[0], data[1]))
            case code if code == WRITE and len(data) > 1:
                servo.write(data[0], data[1:])
            case code if code == REG_WRITE and len(data) > 1:
                servo.reg_write(data[0], data[1:])
            case code if code == ACTION:
                servo.act()
            case _:
                return None
        return None if silent else self._answer(servo)

    def _answer(self, servo: StsServo, data: bytes = b"") -> Answer:
        return servo.name, status(servo.id, servo.memory[65], data)
