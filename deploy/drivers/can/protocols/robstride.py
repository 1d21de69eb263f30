"""RobStride motors in MIT mode: frames of 11 bits; all motors answer on the host's number.

MIT mode has no way to arm the firmware time-out: that is a parameter of the private protocol
(docs/drivers_can.md), so nothing here relies on one.
"""

from simreal.deploy.drivers.can.mit import unpack_reading
from simreal.deploy.drivers.can.protocols.protocol import (
    Answer,
    FaultReport,
    Frame,
    MitProtocol,
    Reading,
)

FAULTS = {
    0: "over-temperature",
    1: "fault of the gate driver",
    2: "under-voltage",
    3: "over-voltage",
    4: "over-current of phase B",
    5: "over-current of phase C",
    7: "encoder not calibrated",
    8: "hardware identification",
    9: "position initialization",
    14: "overload: stalled",
    16: "over-current of phase A",
}
"""By bit of the fault word."""


class RobStride(MitProtocol):
    """A RobStride motor in MIT mode."""

    def decode(self, frame: Frame) -> Answer | None:
        data = frame.data
        if not self.is_answer(frame):
            return None
        if data[0] != self.config.id:
            return None
        if not any(data[5:]):
            return self._fault_report(data)
        position, velocity, torque = unpack_reading(data[1:6], self.limits)
        return Reading(position, velocity, torque, 0.1 * (data[6] << 8 | data[7]))

    def _fault_report(self, data: bytes) -> FaultReport | None:
        """A fault word, if its bits are known ones; of a motor at 0.0 °C it may be a state, unheard."""
        word = int.from_bytes(data[1:5], "little")
        names = [name for bit, name in FAULTS.items() if word >> bit & 1]
        known = sum(1 << bit for bit in FAULTS)
        return FaultReport(", ".join(names)) if names and not word & ~known else None
