"""The firmware of a Damiao motor in MIT mode, with its registers."""

import struct

from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.can.motors.motor import (
    HIGHEST_VOLTAGE,
    HOTTEST,
    LOWEST_VOLTAGE,
    TIMEOUT_UNIT,
    CanFrame,
    EmulatedMotor,
    mit_law,
    put_together,
)
from simreal.robots.can_wire import CanMotorConfig

PARAMETERS = 0x7FF
UNDER_VOLTAGE, OVER_TEMPERATURE, MASTER_ID, OWN_ID, TIMEOUT, MODE, GEAR = 0, 2, 7, 8, 9, 10, 20
PMAX, VMAX, TMAX, OVER_VOLTAGE, VBUS = 21, 22, 23, 29, 60
INTEGERS = {7, 8, 9, 10, 13, 14, 15, 16, 35, 36}
READ_ONLY = {*range(11, 21), 36, *range(50, 56), *range(59, 66), 80, 81}
MIT = 1
CODES = {
    "over-voltage": 8,
    "under-voltage": 9,
    "over-temperature": 0xC,
    "time-out": 0xD,
    "overload": 0xE,
}


class DamiaoFirmware(EmulatedMotor):
    """A Damiao motor.

    Attributes:
        registers: number to value, in working memory; `flash` has those that outlive power.
    """

    def __init__(self, name: str, config: CanMotorConfig, body: Body, place: int) -> None:
        """Power it on with the scale of its configuration, no time-out, MIT mode."""
        scale = config.scale
        self.flash: dict[int, float] = {
            UNDER_VOLTAGE: LOWEST_VOLTAGE,
            OVER_TEMPERATURE: HOTTEST,
            MASTER_ID: config.master_id,
            OWN_ID: config.id,
            TIMEOUT: 0,
            MODE: MIT,
            GEAR: 10.0,
            PMAX: scale.position,
            VMAX: scale.velocity,
            TMAX: scale.torque,
            OVER_VOLTAGE: HIGHEST_VOLTAGE,
            35: 4,
        }
        self._gains = scale.stiffness, scale.damping
        super().__init__(name, config, body, place)

    def _power_on(self) -> None:
        super()._power_on()
        self.registers = dict(self.flash)
        self.timeout = self.registers[TIMEOUT] * TIMEOUT_UNIT

    def _is_meant(self, frame: CanFrame) -> bool:
        if frame.extended or len(frame.data) != 8:
            return False
        own = int(self.registers[OWN_ID])
        if frame.id == PARAMETERS:
            return frame.data[:2] == own.to_bytes(2, "little")
        return frame.id == own

    def _code_of(self, fault: str) -> int:
        return CODES[fault]

    def _answer(self, frame: CanFrame) -> list[CanFrame]:
        if frame.id == PARAMETERS:
            return self._parameter(frame.data)
        if frame.data[:7] == b"\xff" * 7 and frame.data[7] >= 0xFB:
            self._special(frame.data[7])
        elif self.registers[MODE] == MIT:
            limits = tuple(self.registers[each] for each in (PMAX, VMAX, TMAX))
            self._obey(mit_law(frame.data, (*limits, *self._gains)))
        return [self._state()]

    def _special(self, kind: int) -> None:
        match kind:
            case 0xFB:
                self.fault = 0
            case 0xFC:
                self._enable()
            case 0xFD:
                self._let_go()

    def _parameter(self, data: bytes) -> list[CanFrame]:
        kind, register = data[2], data[3]
        if kind == 0xCC:
            return [self._state()]
        if kind == 0xAA:
            if not self.enabled:
                self.flash = dict(self.registers)
            return []
        if kind == 0x55 and register not in READ_ONLY:
            form = "<I" if register in INTEGERS else "<f"
            self.registers[register] = struct.unpack(form, data[4:8])[0]
            self.timeout = self.registers[TIMEOUT] * TIMEOUT_UNIT
        if kind not in (0x33, 0x55):
            return []
        self.registers[VBUS] = self._body.supply_voltage
        value = self.registers.get(register, 0.0)
        packed = struct.pack("<I", int(value)) if register in INTEGERS else struct.pack("<f", value)
        return [self._reply(data[:4] + packed)]

    def _reply(self, data: bytes) -> CanFrame:
        return CanFrame(int(self.registers[MASTER_ID]), data)

    def _state(self) -> CanFrame:
        limits = [self.registers[each] for each in (PMAX, VMAX, TMAX)]
        status = self.fault or int(self.enabled)
        stage, windings = (min(max(int(each), 0), 255) for each in self.temperatures)
        own = int(self.registers[OWN_ID]) % 16
        codes = self._codes(limits, (16, 12, 12))
        return self._reply(
            put_together([status, own, *codes, stage, windings], (4, 4, 16, 12, 12, 8, 8))
        )
