"""Driver of robots with Dynamixel X servos, protocol 2.0.

Their bus watchdog stops motion when no instruction comes any more; power stays on. What makes them
passive then is the guardian of `simreal.deploy.drivers.servo.guardian`, as long as the computer lives.
"""

import math
from collections.abc import Sequence
from typing import cast

from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo import dynamixel_table
from simreal.deploy.drivers.servo.bus import Answer, ServoBus
from simreal.deploy.drivers.servo.calibration import STEP, JointCalibration
from simreal.deploy.drivers.servo.driver import ServoDriver
from simreal.deploy.drivers.servo.dynamixel_protocol import DynamixelProtocol
from simreal.deploy.drivers.servo.dynamixel_table import (
    ALERT,
    FULL_PWM,
    GOAL,
    HARDWARE_ERRORS,
    LIMIT,
    POSITION_MODE,
    SPEED_STEP,
    WATCHDOG_PERIOD,
)
from simreal.deploy.drivers.servo.options import make_driver
from simreal.deploy.drivers.servo.port import SerialPort
from simreal.deploy.drivers.servo.protocol import Protocol

LOOK_AGAIN = 1.0
"""s, after which the cause of an alert is asked for again."""
NEXT_LOOK = 0.02
"""s, after which another servo's is asked for."""
LONGEST_WATCHDOG = 127


def open_driver(options: dict[str, str], robot: str, task: str | None) -> ServoDriver:
    """The driver by its options; see `make_driver`."""
    return make_driver(DynamixelDriver, options, robot)


class DynamixelDriver(ServoDriver):
    """X servos in position mode. Authority is a share of the largest duty of their motors (goal PWM)."""

    protocol = "dynamixel"
    models = dynamixel_table.MODELS
    state = dynamixel_table.STATE
    registers = dynamixel_table.REGISTERS
    usual_gains = (800, 0, 0)  # the factory's of an XM430
    passive = 0

    def _reset(self) -> None:
        super()._reset()
        self._causes: dict[int, tuple[float, int]] = {}
        self._looked = -math.inf

    @classmethod
    def open_protocol(cls, port: SerialPort) -> Protocol:
        """The protocol on a port."""
        return DynamixelProtocol(port)

    @classmethod
    def read_firmware(cls, bus: ServoBus, servo: int) -> str | None:
        """The version that a servo has; None if it does not say."""
        version = bus.read(servo, cls.registers["firmware"])
        return None if version is None else str(version)

    @property
    def _watchdog_steps(self) -> int:
        """Of the register; never later than what the robot's file allows, but for the least step."""
        return min(max(1, math.floor(self._watchdog / WATCHDOG_PERIOD)), LONGEST_WATCHDOG)

    def _settings(self, joint: JointCalibration) -> dict[str, int]:
        p, i, d = joint.gains or self.usual_gains
        return {
            "return_delay": 0,
            "position_p": p,
            "position_i": i,
            "position_d": d,
            "profile_acceleration": 0,
            "profile_velocity": 0,
        }

    def _prepare(self, bus: ServoBus, joint: JointCalibration) -> str | None:
        names = ("hardware_error", "mode", "drive_mode")
        error, mode, drive_mode = (bus.read(joint.id, self.registers[name]) for name in names)
        if error is None or mode is None or drive_mode is None:
            return "it does not answer any more"
        if error:
            causes = [text for bit, text in HARDWARE_ERRORS.items() if error & bit]
            return f"{', '.join(causes) or error}: find the cause, then switch its power off and on"
        if mode != POSITION_MODE or drive_mode:
            return f"its modes are {mode} and {drive_mode}: `simreal calibrate` sets position mode"
        # One that has tripped refuses everything else; 0 ends that.
        return None if bus.write(joint.id, self.registers["bus_watchdog"], 0) else "its watchdog stays"

    def _power(self, goals: Sequence[int], authority: float) -> None:
        """The watchdog is armed with the first command: before it, nobody need be there."""
        bus = self._connected()
        register = self.registers["bus_watchdog"]
        if bus.write_all(self._ids, register, 0) or bus.write_all(
            self._ids, register, self._watchdog_steps
        ):
            raise DriverError("the watchdogs of the servos cannot be armed")
        super()._power(goals, authority)

    def _send(self, goals: Sequence[int], authority: float) -> None:
        bus = self._connected()
        limits = [int(FULL_PWM * authority * joint.torque) for joint in self._joints]
        bus.write_block(self._ids, LIMIT, {"goal_pwm": limits})
        bus.write_block(self._ids, GOAL, {"goal_position": goals})

    def _speed(self, joint: int, answer: Answer) -> float:
        return answer.numbers["present_velocity"] * SPEED_STEP / STEP

    def _faults(self, servo: int, answer: Answer) -> list[str]:
        if not answer.error & ALERT:
            return []
        bits = self._cause(servo)
        return [text for bit, text in HARDWARE_ERRORS.items() if bits & bit] or ["hardware error"]

    def _cause(self, servo: int) -> int:
        """Bits of the hardware error. Asking is a transaction of its own: one at a time, and seldom."""
        now = self._connected().protocol.port.now()
        asked, bits = self._causes.get(servo, (-math.inf, 0))
        if now - asked > LOOK_AGAIN and now - self._looked > NEXT_LOOK:
            self._looked = now
            found = self._connected().read(servo, self.registers["hardware_error"], tries=1)
            bits = bits if found is None else found
            self._causes[servo] = now, bits
        return bits

    def _brake(self) -> list[int]:
        """No duty at all. Whether the bridge then shorts the windings, which brakes, nobody says."""
        return self._connected().write_all(self._ids, self.registers["goal_pwm"], 0)

    def reboot(self) -> None:
        """Start all servos anew, which ends hardware errors; then connect again."""
        protocol = cast(DynamixelProtocol, self._connected().protocol)
        for servo in self._ids:
            protocol.reboot(servo)
            protocol.receive()
