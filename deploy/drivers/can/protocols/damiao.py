"""Damiao motors in MIT mode: state frames with a status, and registers that can be asked.

Byte 0 of a state frame has only four bits for the motor's identifier, so that it is the identifier on
which the motor answers (MST_ID) that tells motors apart. Both are checked.
"""

import math
import struct

from simreal.deploy.drivers.can.mit import unpack_reading
from simreal.deploy.drivers.can.protocols.protocol import (
    Answer,
    Frame,
    MitProtocol,
    Parameter,
    Reading,
    Setup,
    SetupError,
)
from simreal.robots.can_motors import Limits
from simreal.robots.can_wire import BROADCAST

READ, WRITE, SAVE, REFRESH = 0x33, 0x55, 0xAA, 0xCC
TIMEOUT, MASTER_ID, MOTOR_ID, CONTROL_MODE = 9, 7, 8, 10
PMAX, VMAX, TMAX = 21, 22, 23
WHOLE_NUMBERS = frozenset({7, 8, 9, 10, 13, 14, 15, 16, 35, 36})
"""Registers of 32-bit integers; the others hold floats."""
MIT_MODE = 1
TIMEOUT_UNIT_MS = 0.05
ENABLED = 1
FAULTS = {
    0x8: "over-voltage",
    0x9: "under-voltage",
    0xA: "over-current",
    0xB: "over-temperature of the power stage",
    0xC: "over-temperature of the windings",
    0xD: "lost communication: its firmware time-out has passed",
    0xE: "overload",
}
"""By the status in the high half of byte 0."""


class Damiao(MitProtocol):
    """A Damiao motor."""

    def poll(self) -> Frame:
        return self._ask(REFRESH, 0)

    def _ask(self, kind: int, register: int, value: bytes = bytes(4)) -> Frame:
        head = self.config.id.to_bytes(2, "little")
        return Frame(BROADCAST, head + bytes([kind, register]) + value)

    def read_register(self, register: int) -> Frame:
        """Ask for a register."""
        return self._ask(READ, register)

    def write_register(self, register: int, value: float) -> Frame:
        """Write a register, until power goes; it answers with what it has then."""
        whole = register in WHOLE_NUMBERS
        packed = struct.pack("<I", int(value)) if whole else struct.pack("<f", value)
        return self._ask(WRITE, register, packed)

    def setup(self, watchdog_ms: float) -> Setup:
        """Identity, MIT mode, scale, and firmware time-out, each read back."""
        yield from self._expect(MOTOR_ID, self.config.id)
        yield from self._expect(MASTER_ID, self.config.master_id)
        yield from self._set(CONTROL_MODE, MIT_MODE)
        yield from self._read_limits()
        yield from self._set(TIMEOUT, round(watchdog_ms / TIMEOUT_UNIT_MS))

    def _expect(self, register: int, value: int) -> Setup:
        found = (yield (self.read_register(register),)).value
        if found != value:
            name = "ESC_ID" if register == MOTOR_ID else "MST_ID"
            raise SetupError(f"its {name} is {int(found):#x}, robot.yaml says {value:#x}")

    def _set(self, register: int, value: int) -> Setup:
        found = yield (self.write_register(register, value), self.read_register(register))
        if found.value != value:
            raise SetupError(f"register {register} was written {value} and reads {found.value:g}")

    def _read_limits(self) -> Setup:
        """Take the scale that the motor itself goes by, if it is one that can be meant."""
        position = (yield (self.read_register(PMAX),)).value
        velocity = (yield (self.read_register(VMAX),)).value
        torque = (yield (self.read_register(TMAX),)).value
        config = self.config
        expected = (config.scale,) if config.limits else (config.scale, *config.motor.others)
        if not any(_same(each, position, velocity, torque) for each in expected):
            ours = " or ".join(f"{e.position:g}, {e.velocity:g}, {e.torque:g}" for e in expected)
            raise SetupError(
                f"its registers PMAX, VMAX, TMAX say {position:g}, {velocity:g}, {torque:g}; of a "
                f"{config.model} {ours} were expected: another model, or one that was set otherwise, "
                f"which is said by limits: {{position: {position:g}, velocity: {velocity:g}, "
                f"torque: {torque:g}}} in robot.yaml"
            )
        gains = config.scale
        self.limits = Limits(position, velocity, torque, gains.stiffness, gains.damping)

    def decode(self, frame: Frame) -> Answer | None:
        data = frame.data
        if not self.is_answer(frame):
            return None
        # A state begins like this only at -12.4 rad or beyond, where no joint gets.
        if data[0] | data[1] << 8 == self.config.id and data[2] in (READ, WRITE, SAVE):
            return None if data[2] == SAVE else self._parameter(data)
        return self._state(data)

    def _parameter(self, data: bytes) -> Parameter:
        kind = "<I" if data[3] in WHOLE_NUMBERS else "<f"
        return Parameter(data[3], struct.unpack(kind, data[4:])[0])

    def _state(self, data: bytes) -> Reading | None:
        if data[0] & 0x0F != self.config.id & 0x0F:
            return None
        status = data[0] >> 4
        if status > ENABLED and status not in FAULTS:
            return None
        position, velocity, torque = unpack_reading(data[1:6], self.limits)
        temperature = float(max(data[6], data[7]))
        return Reading(position, velocity, torque, temperature, status == ENABLED, FAULTS.get(status))


def _same(limits: Limits, *found: float) -> bool:
    given = limits.position, limits.velocity, limits.torque
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(given, found, strict=True))
