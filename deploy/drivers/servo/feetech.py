"""Driver of robots with Feetech STS servos, such as the SO-101.

These servos have no watchdog: one that hears nothing more holds its last target for ever. The guardian
of `simreal.deploy.drivers.servo.guardian` brakes them when the control process stops or dies; nothing
does when the computer does.
"""

from collections.abc import Sequence

from simreal.deploy.drivers.servo import feetech_table
from simreal.deploy.drivers.servo.bus import Answer, ServoBus
from simreal.deploy.drivers.servo.calibration import JointCalibration
from simreal.deploy.drivers.servo.driver import ServoDriver
from simreal.deploy.drivers.servo.feetech_protocol import FeetechProtocol
from simreal.deploy.drivers.servo.feetech_table import (
    COMMAND,
    ERRORS,
    MULTI_TURN,
    POSITION_MODE,
    SPEED_IN_STEPS,
    TORQUE_DAMPING,
)
from simreal.deploy.drivers.servo.options import make_driver
from simreal.deploy.drivers.servo.port import SerialPort
from simreal.deploy.drivers.servo.protocol import Protocol

FASTEST = 254
"""Of the register `acceleration`, as lerobot has it."""


def open_driver(options: dict[str, str], robot: str, task: str | None) -> ServoDriver:
    """The driver by its options; see `make_driver`."""
    return make_driver(FeetechDriver, options, robot)


class FeetechDriver(ServoDriver):
    """STS servos. Authority is a share of the largest duty of their motors."""

    protocol = "feetech"
    models = feetech_table.MODELS
    state = feetech_table.STATE
    registers = feetech_table.REGISTERS
    usual_gains = (16, 0, 32)  # lerobot's; the factory's P is 32
    passive = TORQUE_DAMPING

    def _reset(self) -> None:
        super()._reset()
        self._speed_unit = dict.fromkeys(self._ids, 1.0)

    @classmethod
    def open_protocol(cls, port: SerialPort) -> Protocol:
        """The protocol on a port."""
        return FeetechProtocol(port)

    @classmethod
    def read_firmware(cls, bus: ServoBus, servo: int) -> str | None:
        """The version that a servo has; None if it does not say."""
        parts = [bus.read(servo, cls.registers[f"firmware_{part}"]) for part in ("major", "minor")]
        return None if None in parts else ".".join(map(str, parts))

    def _settings(self, joint: JointCalibration) -> dict[str, int]:
        p, i, d = joint.gains or self.usual_gains
        # While the memory is locked, what is stored elsewhere acts until power is lost.
        return {
            "lock": 1,
            "return_delay": 0,
            "position_p": p,
            "position_i": i,
            "position_d": d,
            "acceleration": FASTEST,
        }

    def _prepare(self, bus: ServoBus, joint: JointCalibration) -> str | None:
        mode, phase = (bus.read(joint.id, self.registers[name]) for name in ("mode", "phase"))
        if mode is None or phase is None:
            return "it does not answer any more"
        if mode != POSITION_MODE:
            return f"its mode is {mode}, not position ({POSITION_MODE}): `simreal calibrate` sets it"
        if phase & MULTI_TURN:
            return "it counts beyond a turn (bit 4 of phase): `simreal calibrate` mends that"
        self._speed_unit[joint.id] = 1.0 if phase & SPEED_IN_STEPS else 50.0
        return None

    def _send(self, goals: Sequence[int], authority: float) -> None:
        limits = [int(1000 * authority * joint.torque) for joint in self._joints]
        numbers = {"goal_position": goals, "torque_limit": limits}
        self._connected().write_block(self._ids, COMMAND, numbers)

    def _speed(self, joint: int, answer: Answer) -> float:
        return self._speed_unit[self._ids[joint]] * answer.numbers["present_speed"]

    def _faults(self, servo: int, answer: Answer) -> list[str]:
        bits = answer.error | answer.numbers["status"]
        return [text for bit, text in ERRORS.items() if bits & bit] if bits else []

    def _brake(self) -> list[int]:
        register = self.registers["torque_enable"]
        return self._connected().write_all(self._ids, register, TORQUE_DAMPING)
