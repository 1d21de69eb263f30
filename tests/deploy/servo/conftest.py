"""A bus in virtual time: the driver's own port, at whose other end emulated servos with physics hang."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from simreal.deploy.drivers.servo import driver as driver_module
from simreal.deploy.drivers.servo.calibration import write_calibration
from simreal.deploy.drivers.servo.driver import ServoDriver
from simreal.deploy.drivers.servo.dynamixel import DynamixelDriver
from simreal.deploy.drivers.servo.feetech import FeetechDriver
from simreal.deploy.drivers.servo.port import BITS_PER_BYTE, LATENCY
from simreal.deploy.emulators.faults import Faults, Outbox
from simreal.deploy.emulators.options import Emulated
from simreal.deploy.emulators.servo.arm import Line, ServoArm
from simreal.deploy.emulators.servo.command import fit, make_arm
from simreal.deploy.emulators.servo.dynamixel_servo import DynamixelLine, DynamixelServo
from simreal.deploy.emulators.servo.feetech_servo import StsLine, StsServo

KINDS: dict[str, tuple[Any, Any, type[ServoDriver]]] = {
    "feetech": (StsServo, StsLine, FeetechDriver),
    "dynamixel": (DynamixelServo, DynamixelLine, DynamixelDriver),
}
BYTE = BITS_PER_BYTE / 1e6


@dataclass
class VirtualPort:
    """The interface of `SerialPort`; a frame takes as long on the wire as its bytes do."""

    line: Line
    arm: ServoArm | None = None
    faults: Faults = field(default_factory=Faults)
    latency: float = LATENCY
    time: float = 0.0
    arrival: float = 0.0
    is_using: bool = False
    fd: int = -1

    def __post_init__(self) -> None:
        self._outbox, self._buffer, self._deadline, self._steps = Outbox(), b"", 0.0, 0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.pass_time(self.time + seconds)

    def pass_time(self, until: float) -> None:
        """Let physics and faults go on."""
        self.time = max(self.time, until)
        if self.arm is None:
            return
        for name in self.faults.befall(self.arm.body, self.arm.names, self.time):
            self.arm.servos[self.arm.names.index(name)].trip_watchdog()
        while self._steps < int(self.time * self.arm.body.rate):
            self.arm.advance()
            self._steps += 1

    def close(self) -> None:
        pass

    def getBaudRate(self) -> int:  # noqa: N802
        return 1_000_000

    def clearPort(self) -> None:  # noqa: N802
        self._outbox.due(self.time)
        self._buffer = b""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        self.line.quiet()
        self.pass_time(self.time + len(packet) * BYTE)
        sent = self.time
        for _, arrived in self.faults.frames(bytes(packet), None, self.time):
            for name, frame in self.line.hear(arrived):
                sent += len(frame) * BYTE + 1e-4
                self._outbox.add(self.faults.frames(frame, name, self.time), sent)
        return len(packet)

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        self.setPacketTimeoutMillis(1e3 * (packet_length * BYTE + self.latency))

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        self._deadline = self.time + 1e-3 * msec

    def isPacketTimeout(self) -> bool:  # noqa: N802
        return self.time >= self._deadline

    def readPort(self, length: int) -> bytes:  # noqa: N802
        taken = self.peek(length)[: max(0, length)]
        self._buffer = self._buffer[len(taken) :]
        return taken

    def peek(self, length: int) -> bytes:
        while len(self._buffer) < length and self.time < self._deadline:
            self.pass_time(min(max(self.time, self._outbox.next_time), self._deadline))
            self._buffer += b"".join(self._outbox.due(self.time))
            self.arrival = self.time
        return self._buffer


class NoGuard:
    """Nobody watches over a test in virtual time.

    Attributes:
        frames: with which the guardian would make the motors passive.
        at_rest: whether the driver has said last that the motors are passive.
    """

    def __init__(self, port: int, timeout: float, frames: Sequence[bytes]) -> None:
        self.frames = frames
        self.at_rest = True

    def beat(self) -> None:
        self.at_rest = False

    def rest(self) -> None:
        self.at_rest = True

    def close(self) -> None:
        pass


@dataclass
class Rig:
    """A driver, its servos and their wire."""

    driver: ServoDriver
    port: VirtualPort
    arm: ServoArm
    servos: list[Any]
    calibration: Path


@pytest.fixture
def virtual_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    """Makes an arm of servos and its driver, not connected yet, in virtual time."""

    def make(
        kind: str,
        parameters: dict[str, float] | None = None,
        physics: bool = True,
        seed: int = 0,
        robot: str = "so101",
    ) -> Rig:
        servo, line, driver = KINDS[kind]
        settings = {"encoder_resolution": 0.0} | (parameters or {})
        arm, servos = make_arm(robot, Emulated(settings, (), None, seed, None), servo)
        path = tmp_path / f"{kind}.yaml"
        write_calibration(path, fit(arm, kind))  # type: ignore[arg-type]
        port = VirtualPort(line(servos), arm if physics else None)
        monkeypatch.setattr(driver_module, "SerialPort", lambda *_: port)
        monkeypatch.setattr(driver_module, "Guard", NoGuard)
        return Rig(driver(robot, "nowhere", path), port, arm, servos, path)

    return make
