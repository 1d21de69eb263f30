"""The firmware of an AK motor, the Mini Cheetah's: short answers, no time-out, no faults told."""

from simreal.deploy.emulators.can.motors.motor import CanFrame, EmulatedMotor, mit_law, put_together


class AkFirmware(EmulatedMotor):
    """An AK motor."""

    def _code_of(self, fault: str) -> int:
        return 1

    def _answer(self, frame: CanFrame) -> list[CanFrame]:
        scale = self.config.scale
        limits = scale.position, scale.velocity, scale.torque, scale.stiffness, scale.damping
        match frame.data:
            case b"\xff\xff\xff\xff\xff\xff\xff\xfc":
                self._enable()
            case b"\xff\xff\xff\xff\xff\xff\xff\xfd":
                self.fault = 0
                self._let_go()
            case b"\xff\xff\xff\xff\xff\xff\xff\xfe":
                pass  # sets zero
            case data:
                self._obey(mit_law(data, limits))
        codes = self._codes(limits[:3], (16, 12, 12))
        return [CanFrame(self.config.master_id, put_together([self.config.id, *codes], (8, 16, 12, 12)))]
