"""A robot of emulated servos behind a pseudo-terminal: the same bytes as on a real bus, and physics."""

import contextlib
import os
import select
import time
import tty
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.fault_control import FaultControl
from simreal.deploy.emulators.faults import Faults, Outbox
from simreal.deploy.emulators.servo.servo import EmulatedServo, Sensed
from simreal.errors import UserError
from simreal.signals import Interrupt
from simreal.state import FloatArray

LONGEST_GAP = 0.1
"""s of physics, of which a process that was not given its time does not make up for more."""
QUIET = 5e-3
"""s without a byte, after which half a request is forgotten."""
FULL_EFFORT = 3.35037
"""N·m of an STS3215 at full duty: kt V / R at 7.4 V; see robots/so101/README.md. No robot's own number:
all servos here are this one, or as strong."""
BACK_EMF = 0.548573
"""N·m·s/rad, kt² / R: brakes a motor whose windings are shorted, or driven; not one that is open."""
NOMINAL_VOLTAGE = 7.4
HAND = 40.0, 1.0
"""N·m/rad and N·m·s/rad of a person's hand that holds a joint."""


class Line(Protocol):
    """A bus with servos on it."""

    def hear(self, received: bytes) -> list[tuple[str, bytes]]:
        """Take bytes; (name of the joint, frame) of each answer."""

    def quiet(self) -> None:
        """Nothing has come for a while."""


class ServoArm:
    """The physics of a robot and the servos in its joints. Time passes only in `advance`.

    Attributes:
        body: with true positions.
        servos: one for each joint, in order.
        hands: joints by their place, and the angle in rad at which a hand holds them. It holds all of
            them where they begin, each until its motor has power: an arm without power falls.
    """

    def __init__(self, body: Body, servos: Sequence[EmulatedServo]) -> None:
        """Put servos into the joints of a body."""
        self.body, self.servos = body, servos
        self.hands = dict(enumerate(body.position.tolist()))
        self._seconds = 1.0 / body.rate
        # The model's joints have the back-EMF of closed windings in their damping, if nobody forgot it.
        physics = body.physics
        dofs = [int(physics.model.joint(name).dofadr[0]) for name in body.description.joint_names]
        self._back_emf = np.minimum(BACK_EMF, physics.field("dof_damping")[0, dofs])
        self._feel(body.position, np.zeros(len(servos)))

    @property
    def names(self) -> list[str]:
        """Of the joints."""
        return [servo.name for servo in self.servos]

    def advance(self) -> None:
        """Let one physics step pass."""
        for place, servo in enumerate(self.servos):
            self._drive(place, servo)
        state = self.body.advance()
        self._feel(state.joint_position, state.joint_velocity)

    def _drive(self, place: int, servo: EmulatedServo) -> None:
        drive, body = servo.drive(self._seconds), self.body
        body.limit_effort(place, FULL_EFFORT)
        if drive.target is not None:
            self.hands.pop(place, None)
            share = body.supply_voltage / body.nominal_voltage
            body.limit_effort(place, drive.limit * FULL_EFFORT * share)
            body.command(place, drive.target, stiffness=drive.gain * body.stiffness[place])
        elif place in self.hands:
            stiffness, damping = HAND
            body.command(place, self.hands[place], stiffness=stiffness, damping=damping)
        else:
            open_winding = -float(self._back_emf[place])
            body.command(place, stiffness=0.0, damping=0.0 if drive.brakes else open_winding)

    def _feel(self, position: FloatArray, velocity: FloatArray) -> None:
        body = self.body
        full = FULL_EFFORT * max(body.supply_voltage / body.nominal_voltage, 1e-3)
        for place, servo in enumerate(self.servos):
            joint = int(body.joints[place])
            passive = servo.drive(0.0).target is None
            duty = 0.0 if passive else float(body.effort[place]) / full
            servo.sense(
                Sensed(
                    float(position[joint]),
                    float(velocity[joint]),
                    duty,
                    float(body.temperature[place]),
                    body.supply_voltage,
                ),
                self._seconds,
            )


class PseudoTerminal:
    """A serial port that is none, under a name of its own."""

    def __init__(self, path: Path) -> None:
        """Make one and link it.

        Raises:
            UserError: something else stands there.
        """
        self._path = path
        if path.exists() and not path.is_symlink():
            raise UserError(f"--port {path}: something else stands there")
        self.fd, self._other = os.openpty()
        tty.setraw(self._other)
        os.set_blocking(self.fd, False)
        # Our own end of the other side stays open: without it, a port that nobody uses ends.
        try:
            path.unlink(missing_ok=True)
            path.symlink_to(os.ttyname(self._other))
        except OSError as error:
            self._close_both()
            raise UserError(f"--port {path}: {error.strerror}") from None

    def read(self) -> bytes:
        """What has come."""
        try:
            return os.read(self.fd, 4096)
        except OSError:
            return b""

    def write(self, frame: bytes) -> None:
        """Send; what nobody reads is lost, as on a wire."""
        if frame:
            with contextlib.suppress(OSError):
                os.write(self.fd, frame)

    def _close_both(self) -> None:
        for fd in (self.fd, self._other):
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close_both()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Emulator:
    """An arm, its line and its faults, in real time."""

    def __init__(self, arm: ServoArm, line: Line, faults: Faults) -> None:
        """Bring them together."""
        self.arm, self.line, self.faults = arm, line, faults
        self._outbox = Outbox()
        self._steps = 0
        self._heard = 0.0

    def serve(self, port: PseudoTerminal, control: FaultControl | None, interrupt: Interrupt) -> None:
        """Run until somebody interrupts."""
        begun = time.monotonic()
        while not interrupt.requested:
            now = time.monotonic() - begun
            if control is not None:
                control.poll(now)
            self._suffer(now)
            self._catch_up(now)
            until = min((self._steps + 1) / self.arm.body.rate, self._outbox.next_time)
            wait = max(0.0, until - (time.monotonic() - begun))
            if select.select([port.fd], [], [], wait)[0]:
                self._hear(port.read(), time.monotonic() - begun)
            elif now - self._heard > QUIET:
                self.line.quiet()
            port.write(b"".join(self._outbox.due(time.monotonic() - begun)))

    def _suffer(self, now: float) -> None:
        for name in self.faults.befall(self.arm.body, self.arm.names, now):
            self.arm.servos[self.arm.names.index(name)].trip_watchdog()

    def _catch_up(self, now: float) -> None:
        """One step, if it is due: what has come meanwhile is answered before the next."""
        due = int(now * self.arm.body.rate)
        self._steps = max(self._steps, due - round(LONGEST_GAP * self.arm.body.rate))
        if self._steps < due:
            self.arm.advance()
            self._steps += 1

    def _hear(self, received: bytes, now: float) -> None:
        self._heard = now
        for _, arrived in self.faults.frames(received, None, now):
            for name, frame in self.line.hear(arrived):
                self._outbox.add(self.faults.frames(frame, name, now), now)
