"""The firmware of a RobStride motor in MIT mode."""

from simreal.deploy.emulators.can.motors.motor import CanFrame, EmulatedMotor, mit_law, put_together

BITS = {"over-temperature": 0, "under-voltage": 2, "over-voltage": 3, "overload": 14, "time-out": 31}
"""No public document says how it tells of a time-out."""


class RobStrideFirmware(EmulatedMotor):
    """A RobStride motor. Its CAN time-out is off, as delivered: MIT mode has no frame to set it."""

    def _code_of(self, fault: str) -> int:
        return 1 << BITS[fault]

    def _answer(self, frame: CanFrame) -> list[CanFrame]:
        data = frame.data
        if data[:6] != b"\xff" * 6 or data[7] < 0xFB:
            self._obey(mit_law(data, self._limits))
            return [self._state()]
        match data[6], data[7]:
            case 0xFF, 0xFB:
                self.fault = 0
            case _, 0xFB:
                return [self._faults()]
            case 0xFF, 0xFC:
                self._enable()
            case 0xFF, 0xFD:
                self._let_go()
        return [self._state()]

    @property
    def _limits(self) -> tuple[float, ...]:
        scale = self.config.scale
        return scale.position, scale.velocity, scale.torque, scale.stiffness, scale.damping

    def _state(self) -> CanFrame:
        codes = self._codes(self._limits[:3], (16, 12, 12))
        tenths = int(10 * self.temperatures[1])
        data = put_together([self.config.id, *codes, tenths], (8, 16, 12, 12, 16))
        return CanFrame(self.config.master_id, data)

    def _faults(self) -> CanFrame:
        data = bytes([self.config.id]) + self.fault.to_bytes(4, "little") + bytes(3)
        return CanFrame(self.config.master_id, data)
