"""AK motors (T-Motor, CubeMars) in MIT mode, and others with the Mini Cheetah's firmware.

They tell neither status nor, in frames of 6 bytes, temperature; nothing makes them passive when commands
stop. They do what they were told last, also right after they are enabled.
"""

from simreal.deploy.drivers.can.mit import unpack_reading
from simreal.deploy.drivers.can.protocols.protocol import Answer, Frame, MitProtocol, Reading

FAULTS = {
    1: "over-temperature",
    2: "over-current",
    3: "over-voltage",
    4: "under-voltage",
    5: "encoder",
    6: "phase currents unbalanced",
}
"""By byte 7 of those that send 8 bytes, as the maker's tool lists them; unverified."""


class Ak(MitProtocol):
    """An AK motor."""

    def clear_fault(self) -> Frame:
        """It has no such frame: faults end with power, and only leaving motor mode is certain."""
        return self.disable()

    def decode(self, frame: Frame) -> Answer | None:
        data = frame.data
        if not self.is_answer(frame, (6, 8)):
            return None
        if data[0] != self.config.id:
            return None
        position, velocity, torque = unpack_reading(data[1:6], self.limits)
        if len(data) == 6:
            return Reading(position, velocity, torque)
        fault = FAULTS.get(data[7], f"code {data[7]}") if data[7] else None
        return Reading(position, velocity, torque, float(data[6]), None, fault)
