"""CyberGear motors and their private protocol: 29-bit identifiers with kind, sender and receiver.

Identifier: kind (bits 24 to 28), a field of 16 bits (8 to 23), the receiver (0 to 7).
"""

import struct

from simreal.deploy.drivers.can.mit import MitCommand, command_codes, decode
from simreal.deploy.drivers.can.protocols.protocol import (
    EXTENDED,
    Answer,
    FaultReport,
    Frame,
    MotorProtocol,
    Parameter,
    Reading,
    Setup,
    SetupError,
)

CONTROL, FEEDBACK, ENABLE, STOP, READ, WRITE, FAULT = 1, 2, 3, 4, 17, 18, 21
RUN_MODE, CAN_TIMEOUT = 0x7005, 0x200C
MIT_MODE = 0
TIMEOUT_UNIT_MS = 0.05
"""By analogy with RobStride: the manual names no unit."""
RUNNING = 2
FLOATS = range(0x7006, 0x7021)
"""Registers of 32-bit floats, as far as they are asked for here."""
FAULTS = (
    "under-voltage",
    "over-current",
    "over-temperature",
    "magnetic encoder",
    "Hall encoder",
    "encoder not calibrated",
)
"""Of bits 16 to 21 of a feedback's identifier."""


class CyberGear(MotorProtocol):
    """A CyberGear motor; `master_id` is the host's number."""

    @property
    def answers_on(self) -> int:
        return EXTENDED

    def _frame(self, kind: int, data: bytes = bytes(8), middle: int | None = None) -> Frame:
        middle = self.config.master_id if middle is None else middle
        return Frame(kind << 24 | middle << 8 | self.config.id, data, extended=True)

    def command(self, command: MitCommand) -> Frame:
        position, velocity, stiffness, damping, torque = command_codes(command, self.limits, 16)
        data = struct.pack(">4H", position, velocity, stiffness, damping)
        return self._frame(CONTROL, data, torque)

    def enable(self) -> Frame:
        return self._frame(ENABLE)

    def disable(self) -> Frame:
        return self._frame(STOP)

    def clear_fault(self) -> Frame:
        return self._frame(STOP, b"\x01" + bytes(7))

    def poll(self) -> Frame:
        """A stop, which of a motor that is stopped does nothing but ask."""
        return self.disable()

    def read_register(self, index: int) -> Frame:
        """Ask for a register."""
        return self._frame(READ, struct.pack("<HHI", index, 0, 0))

    def write_register(self, index: int, value: int) -> Frame:
        """Write a register of whole numbers, until power goes; a feedback answers."""
        return self._frame(WRITE, struct.pack("<HHI", index, 0, value))

    def setup(self, watchdog_ms: float) -> Setup:
        """Mode and firmware time-out, each read back. A mode changes only while it is stopped."""
        yield from self._set(RUN_MODE, MIT_MODE)
        yield from self._set(CAN_TIMEOUT, round(watchdog_ms / TIMEOUT_UNIT_MS))

    def _set(self, index: int, value: int) -> Setup:
        found = yield (self.write_register(index, value), self.read_register(index))
        if found.value != value:
            raise SetupError(f"register {index:#06x} was written {value} and reads {found.value:g}")

    def decode(self, frame: Frame) -> Answer | None:
        kind, middle, receiver = frame.id >> 24, frame.id >> 8 & 0xFFFF, frame.id & 0xFF
        if not frame.extended or len(frame.data) != 8:
            return None
        if receiver != self.config.master_id or middle & 0xFF != self.config.id:
            return None
        match kind:
            case _ if kind == FEEDBACK:
                return self._feedback(middle >> 8, frame.data)
            case _ if kind == READ:
                return _parameter(frame.data)
            case _ if kind == FAULT:
                faults, _ = struct.unpack("<II", frame.data)
                return FaultReport(f"fault word {faults:#x}") if faults else None
        return None

    def _feedback(self, status: int, data: bytes) -> Reading:
        """Status: faults in its low six bits, the mode above."""
        codes = struct.unpack(">4H", data)
        ends = self.limits.position, self.limits.velocity, self.limits.torque
        position, velocity, torque = (
            decode(code, -end, end, 16) for code, end in zip(codes[:3], ends, strict=True)
        )
        faults = [name for bit, name in enumerate(FAULTS) if status >> bit & 1]
        return Reading(
            position,
            velocity,
            torque,
            temperature=0.1 * codes[3],
            enabled=status >> 6 == RUNNING,
            fault=", ".join(faults) or None,
        )


def _parameter(data: bytes) -> Parameter:
    index = data[0] | data[1] << 8
    kind = "<f" if index in FLOATS else "<I"
    return Parameter(index, struct.unpack(kind, data[4:])[0])
