"""An XM430-W350: its memory, position loop, protections and bus watchdog; and a line of them.

By ROBOTIS's e-manual. Where that is silent: overload is the largest duty but a fifth for two seconds,
and a tripped watchdog in position mode keeps the position at which it tripped.
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
from simreal.deploy.emulators.servo.dynamixel_wire import (
    FAST_SYNC_READ,
    REBOOT,
    DynamixelDecoder,
    fast_status,
    status,
)
from simreal.deploy.emulators.servo.servo import COUNTS, STEP, Drive, EmulatedServo, Sensed, Shaft

MODEL_NUMBER, FIRMWARE = 1020, 46
END = 147
"""Address behind the last register."""
FULL_PWM = 885
MODEL_P = 462
"""At which the stiffness is that of the robot's model: 128 duty steps per count and unit of P."""
SPEED_STEP = 0.0239809
"""rad/s"""
OVERLOAD_DUTY, OVERLOAD_TIME = 0.8, 2.0
RESULT_FAIL, BAD_INSTRUCTION, DATA_RANGE, DATA_LENGTH, ACCESS = 1, 2, 4, 5, 7
ALERT = 0x80
VOLTAGE_FAULT, HEAT_FAULT, OVERLOAD_FAULT = 0x01, 0x04, 0x20
FIRST_RAM = 64
READ_ONLY = frozenset([*range(7), 69, 70, *range(120, END)])
GOALS = frozenset(range(100, 120))
"""Addresses that a tripped watchdog locks."""
RESETS_BELOW = 5.0
"""V, below which the controller starts anew: an assumption."""
WATCHDOG_STEP = 20e-3
TRIPPED = 0xFF


class DynamixelServo(EmulatedServo):
    """One servo.

    Attributes:
        trips: how often its watchdog has found its time over.
    """

    def __init__(self, name: str, servo: int, shaft: Shaft, nominal_voltage: float) -> None:
        """Make a new one, whose joint's zero reads 2048."""
        super().__init__(name, shaft, END)
        self.trips = 0
        self._pending: tuple[int, bytes] | None = None
        self._load_time, self._silence = 0.0, 0.0
        self._kept = 0
        for address, size, number in (
            (0, 2, MODEL_NUMBER),
            (6, 1, FIRMWARE),
            (7, 1, servo),
            (8, 1, 3),
            (9, 1, 250),
            (11, 1, 3),
            (12, 1, 255),
            (13, 1, 2),
            (20, 4, 2048 - shaft.zero),
            (24, 4, 10),
            (31, 1, 80),
            (32, 2, round(10 * nominal_voltage) + 40),
            (34, 2, round(10 * nominal_voltage) - 25),
            (36, 2, FULL_PWM),
            (38, 2, 1193),
            (44, 4, 350),
            (48, 4, 4095),
            (63, 1, 0x34),
        ):
            self.put(address, size, number)
        self.power_cycle()

    @property
    def id(self) -> int:
        """On the bus."""
        return self.memory[7]

    def fit(self, lowest: float, highest: float) -> dict[str, Any]:
        """Calibrate it; see `EmulatedServo.fit`."""
        low, high = self.range_of_counts(lowest, highest, self._zero)
        self.put(52, 4, low)
        self.put(48, 4, high)
        return {
            "id": self.id,
            "model": MODEL_NUMBER,
            "firmware": str(FIRMWARE),
            "homing_offset": self.number(20, 4, True),
            "lowest": low,
            "highest": high,
            "zero": self._zero,
            "direction": self.shaft.direction,
            "gains": (MODEL_P, 0, 0),
        }

    @property
    def _zero(self) -> int:
        """What it reads where its joint is at 0 rad."""
        return (self.shaft.zero + self.number(20, 4, True)) % COUNTS

    def power_cycle(self) -> None:
        """As at power-on."""
        self.memory[FIRST_RAM:] = bytes(END - FIRST_RAM)
        for address, size, number in (
            (68, 1, 2),
            (76, 2, 1920),
            (78, 2, 100),
            (84, 2, 800),
            (100, 2, self.number(36, 2)),
        ):
            self.put(address, size, number)
        self._load_time = 0.0

    # Memory.

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """Error, and bytes of the memory; nothing stands behind its end."""
        if length == 0 or address + length > 1024:
            return DATA_LENGTH, b""
        return 0, bytes(self.memory[address : address + length]).ljust(length, b"\0")

    def write(self, address: int, data: bytes) -> int:
        """Write bytes; the error, or 0."""
        places = range(address, address + len(data))
        if not data or places[-1] >= END or READ_ONLY.intersection(places):
            return ACCESS
        if address < FIRST_RAM and self.memory[64]:
            return ACCESS
        if self.memory[98] == TRIPPED and GOALS.intersection(places):
            return DATA_RANGE
        error = self._range_error(address, data)
        if error:
            return error
        was_on = self.memory[64]
        self.memory[address : address + len(data)] = data
        if 64 in places and not was_on:
            self._switched_on()
        return 0

    def _range_error(self, address: int, data: bytes) -> int:
        number = int.from_bytes(data, "little", signed=True)
        if address == 116 and len(data) == 4:
            low, high = self.number(52, 4, True), self.number(48, 4, True)
            if not low <= number <= high:
                self.limits_exceeded += 1
                return DATA_RANGE
        if address == 100 and len(data) == 2 and abs(number) > self.number(36, 2):
            self.limits_exceeded += 1
            return DATA_RANGE
        if address == 98 and len(data) == 1 and data[0] > 127:
            return DATA_RANGE
        if address == 64 and len(data) == 1 and data[0] and self.memory[70]:
            return RESULT_FAIL  # a hardware error leaves power off until it starts anew
        return 0

    def _switched_on(self) -> None:
        """Where no goal was given yet, the goal is where it stands."""
        self._load_time = self._silence = 0.0
        if self.number(116, 4, True) == 0:
            self.put(116, 4, self.number(132, 4, True))

    def reg_write(self, address: int, data: bytes) -> int:
        """Keep a write until the action."""
        self._pending = address, data
        self.memory[69] = 1
        return 0

    def act(self) -> None:
        """Do what was kept."""
        if self._pending is not None:
            self.write(*self._pending)
        self._pending, self.memory[69] = None, 0

    @property
    def error(self) -> int:
        """The alert bit of its answers."""
        return ALERT if self.memory[70] else 0

    # Motor.

    def spoken_to(self) -> None:
        """Some instruction has come: the watchdog starts over."""
        self._silence = 0.0

    def sense(self, sensed: Sensed, seconds: float) -> None:
        """Renew feedback, protections and the watchdog; see `EmulatedServo.sense`."""
        if sensed.voltage < RESETS_BELOW:
            self.power_cycle()
        # Within a turn, whatever the offset.
        turn = (self.shaft.count(sensed.angle) + self.number(20, 4, True)) % COUNTS
        self.put(120, 2, (self.number(120, 2) + round(1e3 * seconds)) % 32768)
        speed = self.shaft.direction * sensed.speed
        duty = self.shaft.direction * sensed.duty
        self.memory[122] = abs(speed) > 0.24
        self.put(124, 2, round(FULL_PWM * duty))
        self.put(126, 2, round(1193 * duty))
        self.put(128, 4, round(speed / SPEED_STEP))
        self.put(132, 4, turn)
        self.put(140, 4, self.number(116, 4, True))
        self.put(144, 2, round(10 * sensed.voltage))
        self.memory[146] = min(255, round(sensed.temperature))
        self._protect(abs(duty), seconds)
        self._watch(seconds)

    def _protect(self, load: float, seconds: float) -> None:
        self._load_time = self._load_time + seconds if load > OVERLOAD_DUTY else 0.0
        faults = OVERLOAD_FAULT * (self._load_time > OVERLOAD_TIME)
        faults |= HEAT_FAULT * (self.memory[146] > self.memory[31])
        faults |= VOLTAGE_FAULT * (not self.number(34, 2) <= self.number(144, 2) <= self.number(32, 2))
        self.memory[70] |= faults  # until it starts anew
        if self.memory[70] & self.memory[63]:
            self.memory[64] = 0

    def _watch(self, seconds: float) -> None:
        self._silence += seconds
        armed = 0 < self.memory[98] < 128 and self.memory[64]
        if armed and self._silence > WATCHDOG_STEP * self.memory[98]:
            self.trip_watchdog()

    def trip_watchdog(self) -> None:
        """Stop, and refuse goals until 0 is written; see `EmulatedServo.trip_watchdog`."""
        self.memory[98] = TRIPPED
        self._kept = self.number(132, 4, True)
        self.trips += 1

    def drive(self, seconds: float) -> Drive:
        """Follow the goal; see `EmulatedServo.drive`."""
        if not self.memory[64] or self.memory[11] != 3:
            return Drive(None)
        goal = self._kept if self.memory[98] == TRIPPED else self.number(116, 4, True)
        goal = min(max(goal, self.number(52, 4, True)), self.number(48, 4, True))
        angle = self.shaft.direction * (goal - self._zero) * STEP
        pwm = min(self.number(100, 2, True), self.number(36, 2))
        return Drive(angle, self.number(84, 2) / MODEL_P, max(0, pwm) / FULL_PWM)


class DynamixelLine(ServoLine[DynamixelServo]):
    """The bus that they hang on."""

    def __init__(self, servos: Sequence[DynamixelServo]) -> None:
        """Connect servos."""
        super().__init__(servos, DynamixelDecoder())

    def _obey_together(self, instruction: Instruction) -> list[Answer] | None:
        for servo in self.servos:
            servo.spoken_to()
        data = instruction.parameters
        address, length = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
        match instruction.code:
            case code if code in (SYNC_READ, FAST_SYNC_READ) and len(data) > 4:
                asked = [servo for each in data[4:] for servo in self._addressed(each)]
                return self._group(asked, address, length, code == FAST_SYNC_READ)
            case code if code == SYNC_WRITE and len(data) > 4:
                size = length + 1
                for at in range(4, len(data) - size + 1, size):
                    for servo in self._addressed(data[at]):
                        servo.write(address, data[at + 1 : at + size])
                return []
        return None

    def _group(self, asked: list[DynamixelServo], address: int, length: int, fast: bool) -> list[Answer]:
        answers = [(each, *each.read(address, length)) for each in asked]
        if fast and asked:
            parts = [(each.id, each.error | error, data) for each, error, data in answers]
            return [(asked[-1].name, fast_status(parts))]
        return [self._answer(each, error, data) for each, error, data in answers]

    def _obey_alone(self, servo: DynamixelServo, instruction: Instruction) -> Answer | None:
        data, alone = instruction.parameters, instruction.id != BROADCAST
        address, level = int.from_bytes(data[:2], "little"), servo.memory[68]
        match instruction.code:
            case code if code == PING:
                return self._answer(servo, 0, bytes(servo.memory[0:2]) + bytes([servo.memory[6]]))
            case code if code == READ and len(data) == 4:
                answer = servo.read(address, int.from_bytes(data[2:4], "little"))
                return self._answer(servo, *answer) if alone and level > 0 else None
            case code if code == WRITE and len(data) > 2:
                error = servo.write(address, data[2:])
            case code if code == REG_WRITE and len(data) > 2:
                error = servo.reg_write(address, data[2:])
            case code if code == ACTION:
                servo.act()
                error = 0
            case code if code == REBOOT:
                servo.power_cycle()
                error = 0
            case _:
                error = BAD_INSTRUCTION
        return self._answer(servo, error) if alone and level > 1 else None

    def _answer(self, servo: DynamixelServo, error: int, data: bytes = b"") -> Answer:
        return servo.name, status(servo.id, servo.error | error, data)
