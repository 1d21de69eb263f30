"""A robot of servos on one serial bus, whoever made them."""

import contextlib
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers.driver import Driver, DriverError
from simreal.deploy.drivers.servo.bus import Answer, ServoBus
from simreal.deploy.drivers.servo.calibration import (
    Conversion,
    JointCalibration,
    read_calibration,
    refuse_other_drives,
)
from simreal.deploy.drivers.servo.guard import Guard
from simreal.deploy.drivers.servo.port import LATENCY, SerialPort
from simreal.deploy.drivers.servo.protocol import Protocol
from simreal.deploy.drivers.servo.table import Block, Model, Register
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import DriveReport, RobotCommand, RobotState

FIRST_READS = 10
"""Tries until every servo has told its first state."""
LIKELY_IDS = range(1, 21)
"""Where servos with a wrong id are looked for; each that is not there costs some ms."""
BAUD = 1_000_000


class ServoDriver(Driver):
    """Servos of one protocol. They are passive from `connect` to the first command.

    A read is one question to all of them and costs no more than one time-out, in all, if some do not
    answer; their part of the state is that of before. A write is a message that nobody answers, which
    therefore says everything anew: target and authority.

    What a servo reports as a fault stays among `DriveReport.faults` until the driver connects anew.

    Attributes:
        bus: once connected; None else.
        guard: likewise: the watchdog in another process.
    """

    protocol: ClassVar[str]
    """Name of the driver and of the protocol in calibration files."""
    models: ClassVar[Mapping[int, Model]]
    """Servos that it knows, by number."""
    state: ClassVar[Block]
    """What is read each time."""
    registers: ClassVar[Mapping[str, Register]]
    """That all models share."""
    usual_gains: ClassVar[tuple[int, int, int]]
    """P, I and D where the calibration says nothing."""
    passive: ClassVar[int]
    """What the guardian writes into `torque_enable`."""

    def __init__(
        self,
        robot: str,
        port: str,
        calibration: Path,
        baud: int = BAUD,
        latency: float = LATENCY,
    ) -> None:
        """Name a robot; nothing is opened yet.

        Args:
            robot: its name.
            port: path of the serial port.
            calibration: path of the file.
            baud: bits per s.
            latency: s, what an answer may take beyond its time on the wire: what a lost one costs.

        Raises:
            UserError: no such robot, a calibration that does not fit it, or an unfit robot.
        """
        loaded = load_robot(robot)
        self.description: RobotDescription = loaded.description
        refuse_other_drives(self.description)
        self._calibration = read_calibration(calibration, self.protocol, self.description)
        self._conversion = Conversion(self._calibration, self.description)
        self._joints = [self._calibration.joints[name] for name in self.description.joint_names]
        self._ids = [each.id for each in self._joints]
        self._names = dict(zip(self._ids, self.description.joint_names, strict=True))
        self._watchdog = 1e-3 * loaded.config.safety.watchdog_ms
        self._path, self._baud, self._latency = port, baud, latency
        self._port: SerialPort | None = None
        self.bus: ServoBus | None = None
        self.guard: Guard | None = None
        self._on = False
        self._held: list[int] | None = None

    # What the makers do differently.

    @classmethod
    @abstractmethod
    def open_protocol(cls, port: SerialPort) -> Protocol:
        """The protocol on a port."""

    @classmethod
    @abstractmethod
    def read_firmware(cls, bus: ServoBus, servo: int) -> str | None:
        """The version that a servo has; None if it does not say."""

    @abstractmethod
    def _settings(self, joint: JointCalibration) -> dict[str, int]:
        """What to write into which registers while the motor is passive."""

    @abstractmethod
    def _prepare(self, bus: ServoBus, joint: JointCalibration) -> str | None:
        """Bring a servo into the state that commands need; why that is impossible, or None."""

    @abstractmethod
    def _send(self, goals: Sequence[int], authority: float) -> None:
        """Send target counts to all servos, and the share of effort to reach them with."""

    @abstractmethod
    def _speed(self, joint: int, answer: Answer) -> float:
        """Counts per s that a servo reports."""

    @abstractmethod
    def _faults(self, servo: int, answer: Answer) -> list[str]:
        """What a servo reports as faults."""

    @abstractmethod
    def _brake(self) -> list[int]:
        """Let the motors brake and hold nothing; the servos that do not say that they do."""

    # What they share.

    def connect(self) -> RobotDescription:
        """Open the port, find the servos, hold them against the calibration; see `Driver.connect`."""
        self._reset()
        try:
            self._port = SerialPort(self._path, self._baud, self._latency)
            self.bus = ServoBus(self.open_protocol(self._port))
            self._refuse_missing(self.bus)
            self._refuse_strangers(self.bus)
            self._make_ready(self.bus)
            self._read_first()
            self.guard = Guard(self._port.fd, self._watchdog, [self._passive_frame()])
        except BaseException:
            self.disconnect()
            raise
        return self.description

    def _reset(self) -> None:
        # Of so few joints plain numbers are faster, one by one, than arrays.
        joints = len(self._joints)
        self._position, self._velocity = [math.nan] * joints, [0.0] * joints
        self._temperature, self._voltage = [math.nan] * joints, [math.nan] * joints
        self._time = [-math.inf] * joints
        self._counts = [0] * joints
        self._latched: dict[str, None] = {}
        self._on, self._held = False, None

    def _refuse_missing(self, bus: ServoBus) -> None:
        missing = [servo for servo in self._ids if not bus.ping(servo)]
        if missing:
            found = [servo for servo in self._ids if servo not in missing]
            raise DriverError(
                f"{self._path}: no answer from {self._listed(missing)}"
                + (f"; found {self._listed(found)}" if found else ": do the servos have power?")
                + (self._strangers(bus) if found else "")
            )

    def _strangers(self, bus: ServoBus) -> str:
        """Who answers and is no joint: a servo with a wrong id, rather than one that is unplugged."""
        others = [servo for servo in LIKELY_IDS if servo not in self._ids and bus.ping(servo)]
        return f"; of no joint: id {', '.join(map(str, others))}" if others else ""

    def _listed(self, servos: Sequence[int]) -> str:
        return ", ".join(f"{self._names[servo]} (id {servo})" for servo in servos)

    def _refuse_strangers(self, bus: ServoBus) -> None:
        """Each servo has a homing offset and limits in its memory, as different as fingers are."""
        differences = []
        for name, joint in self._calibration.joints.items():
            for what, expected, found in self._identity(bus, joint):
                if found is None:
                    raise DriverError(f"{self._path}: joint {name} does not answer any more")
                if expected != found:
                    differences.append(f"{name}: {what} is {found}, not {expected}")
        if differences:
            raise UserError(
                "the calibration is not this robot's, or its servos were changed; "
                "`simreal calibrate` makes a new one:\n  " + "\n  ".join(differences)
            )

    def _identity(
        self, bus: ServoBus, joint: JointCalibration
    ) -> list[tuple[str, int | str, int | str | None]]:
        kept = {
            "model_number": joint.model,
            "homing_offset": joint.homing_offset,
            "lowest_position": joint.lowest,
            "highest_position": joint.highest,
        }
        found = [(name, kept[name], bus.read(joint.id, self.registers[name])) for name in kept]
        return [*found, ("firmware", joint.firmware, self.read_firmware(bus, joint.id))]

    def _make_ready(self, bus: ServoBus) -> None:
        if stubborn := self._make_passive():
            raise DriverError(f"{self._path}: cannot be made passive: {self._listed(stubborn)}")
        for name, joint in self._calibration.joints.items():
            reason = self._prepare(bus, joint)
            if reason is not None:
                raise DriverError(f"joint {name} (id {joint.id}): {reason}")
            for register, number in self._settings(joint).items():
                if not bus.write(joint.id, self.registers[register], number):
                    raise DriverError(
                        f"joint {name} (id {joint.id}): {register} cannot be set to {number}"
                    )

    def _read_first(self) -> None:
        for _ in range(FIRST_READS):
            if np.isfinite(self.read().joint_position).all():
                return
        silent = [s for s, angle in zip(self._ids, self._position, strict=True) if math.isnan(angle)]
        raise DriverError(f"{self._path}: no state from {self._listed(silent)}")

    def _connected(self) -> ServoBus:
        if self.bus is None:
            raise DriverError(f"driver {self.protocol} is not connected")
        return self.bus

    def read(self) -> RobotState:
        """Ask all servos for their state; see `Driver.read`."""
        answers = self._connected().read_block(self._ids, self.state)
        for joint, servo in enumerate(self._ids):
            if servo in answers:
                self._take(joint, servo, answers[servo])
        return RobotState(
            min(self._time),
            np.array(self._position),
            np.array(self._velocity),
            drives=DriveReport(
                np.array(self._time),
                np.array(self._temperature),
                min(self._voltage),
                tuple(self._latched),
            ),
        )

    def _take(self, joint: int, servo: int, answer: Answer) -> None:
        numbers = answer.numbers
        count = numbers["present_position"]
        self._counts[joint] = count
        self._position[joint] = self._conversion.angle(joint, count)
        self._velocity[joint] = self._conversion.speed(joint, self._speed(joint, answer))
        self._temperature[joint] = numbers["present_temperature"]
        self._voltage[joint] = 0.1 * numbers["present_voltage"]
        self._time[joint] = answer.time
        for fault in self._faults(servo, answer):
            self._latched.setdefault(f"{self._names[servo]}: {fault}")

    def write(self, command: RobotCommand) -> None:
        """Send targets; see `Driver.write`. The first one gives the motors power.

        Motors that the guardian has made passive get none until `off` or `damp` was called: an arm
        that fell while nobody commanded it must not jump to a target.
        """
        target: list[float] = command.target.tolist()
        if not (all(map(math.isfinite, target)) and 0.0 <= command.authority <= 1.0):
            self.off()
            return
        self._held = None
        self._follow(self._conversion.goal(target), command.authority)

    def hold(self) -> None:
        """Keep the posture of when it was asked first; see `Driver.hold`."""
        if self._held is None:
            self.read()
            within = np.clip(self._counts, self._conversion.lowest, self._conversion.highest)
            self._held = within.astype(int).tolist()
        self._follow(self._held, 1.0)

    def _follow(self, goals: Sequence[int], authority: float) -> None:
        self._connected()
        self._beat()
        self._send(goals, authority)
        if not self._on:
            self._power(goals, authority)

    def _power(self, goals: Sequence[int], authority: float) -> None:
        """Targets first: a motor that gets power must not follow an old one."""
        bus = self._connected()
        self._send(goals, authority)
        limp = bus.write_all(self._ids, self.registers["torque_enable"], 1)
        if limp:
            self.off()
            raise DriverError(f"motors without power: {self._listed(limp)}")
        self._on = True

    def damp(self) -> None:
        """Brake; see `Driver.damp`."""
        self._let_go(self._brake)

    def off(self) -> None:
        """Make the motors passive."""
        self._let_go(self._make_passive)

    def _let_go(self, way: Callable[[], list[int]]) -> None:
        """Go a way to rest; where a servo does not say that it went, the guardian acts: beats stop."""
        if self.bus is not None:
            self._on, self._held = False, None
            with contextlib.suppress(DriverError):
                if not way():
                    self._rest()

    def _make_passive(self) -> list[int]:
        """Take the motors' power; the servos that do not say that they have none."""
        return self._connected().write_all(self._ids, self.registers["torque_enable"], 0)

    def clear_faults(self) -> None:
        """See `Driver.clear_faults`."""
        self.off()
        self._latched.clear()

    def disconnect(self) -> None:
        """Release the port; the guardian makes servos passive that did not say that they are."""
        if self.guard is not None:
            self.guard.close()
            self.guard = None
        if self._port is not None:
            self._port.close()
        self._port = self.bus = None

    def _beat(self) -> None:
        if self.guard is not None:
            self.guard.beat()

    def _rest(self) -> None:
        if self.guard is not None:
            self.guard.rest()

    def _passive_frame(self) -> bytes:
        """What makes the motors passive, as the guardian will send it."""
        register = self.registers["torque_enable"]
        data = b"".join(bytes((servo,)) + register.encode(self.passive) for servo in self._ids)
        protocol = self._connected().protocol
        return protocol.sync_write_frame(register.address, register.size, data)
