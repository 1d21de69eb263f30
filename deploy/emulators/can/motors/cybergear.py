"""The firmware of a CyberGear motor with its private protocol."""

import struct

from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.can.motors.motor import (
    TIMEOUT_UNIT,
    CanFrame,
    EmulatedMotor,
    Law,
    from_code,
    put_together,
    take_apart,
)
from simreal.robots.can_wire import CanMotorConfig

RUN_MODE, LIMIT_TORQUE, TIMEOUT = 0x7005, 0x700B, 0x200C
POSITION, VELOCITY, VBUS = 0x7019, 0x701B, 0x701C
BYTES = {0x2009, 0x200A, 0x200B, RUN_MODE}
WORDS = {TIMEOUT}
RESET, RUN = 0, 2
BITS = {"under-voltage": 0, "over-temperature": 2}
SERIAL = 0x5EED_CAFE_0000_0000
HEAD = (3, 5, 16, 8)
"""Bits of an identifier: nothing, kind, middle, receiver."""


class CyberGearFirmware(EmulatedMotor):
    """A CyberGear motor.

    Attributes:
        registers: index to value, in working memory.
    """

    def __init__(self, name: str, config: CanMotorConfig, body: Body, place: int) -> None:
        """Power it on: no time-out, as delivered."""
        self.registers: dict[int, float] = {}
        super().__init__(name, config, body, place)

    def _power_on(self) -> None:
        super()._power_on()
        self.registers = {RUN_MODE: 0, LIMIT_TORQUE: self.config.scale.torque, TIMEOUT: 0}

    def _is_meant(self, frame: CanFrame) -> bool:
        return frame.extended and frame.id % 256 == self.config.id and len(frame.data) == 8

    def _code_of(self, fault: str) -> int:
        return 1 << BITS[fault] if fault in BITS else 0

    def _answer(self, frame: CanFrame) -> list[CanFrame]:
        _, kind, middle, _ = take_apart(frame.id.to_bytes(4, "big"), HEAD)
        match kind:
            case 0:
                serial = (SERIAL + self.config.id).to_bytes(8, "little")
                return [CanFrame(self.config.id << 8 | 0xFE, serial, True)]
            case 1:
                self._obey(self._law(middle, frame.data))
            case 3:
                self._enable()
            case 4:
                if frame.data[0] == 1:
                    self.fault = 0
                self._let_go()
            case 17:
                return [self._read(int.from_bytes(frame.data[:2], "little"), middle % 256)]
            case 18:
                self._write(int.from_bytes(frame.data[:2], "little"), frame.data[4:])
            case _:
                return []
        return [self._feedback(middle % 256 if kind != 1 else self.config.master_id)]

    def _law(self, torque: int, data: bytes) -> Law:
        scale = self.config.scale
        position, velocity, stiffness, damping = take_apart(data, (16, 16, 16, 16))
        return Law(
            from_code(position, -scale.position, scale.position, 16),
            from_code(velocity, -scale.velocity, scale.velocity, 16),
            from_code(stiffness, 0.0, scale.stiffness, 16),
            from_code(damping, 0.0, scale.damping, 16),
            from_code(torque, -scale.torque, scale.torque, 16),
        )

    def _write(self, index: int, value: bytes) -> None:
        if index == RUN_MODE and self.enabled:
            return  # only while it is stopped
        if index in BYTES:
            self.registers[index] = value[0]
        elif index in WORDS:
            self.registers[index] = min(int.from_bytes(value, "little"), 100_000)
        else:
            self.registers[index] = struct.unpack("<f", value)[0]
        self.timeout = self.registers[TIMEOUT] * TIMEOUT_UNIT

    def _read(self, index: int, host: int) -> CanFrame:
        live = {POSITION: self._position, VELOCITY: self._velocity, VBUS: self._body.supply_voltage}
        value = live.get(index, self.registers.get(index, 0))
        whole = index in BYTES | WORDS
        packed = int(value).to_bytes(4, "little") if whole else struct.pack("<f", value)
        data = index.to_bytes(2, "little") + bytes(2) + packed
        return CanFrame(17 << 24 | self.config.id << 8 | host, data, True)

    def _feedback(self, host: int) -> CanFrame:
        scale = self.config.scale
        codes = self._codes((scale.position, scale.velocity, scale.torque), (16, 16, 16))
        mode = RUN if self.enabled else RESET
        head = put_together([0, 2, mode, self.fault, self.config.id, host], (3, 5, 2, 6, 8, 8))
        data = put_together([*codes, int(10 * self.temperatures[1])], (16,) * 4)
        return CanFrame(int.from_bytes(head, "big"), data, True)
