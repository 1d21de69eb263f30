"""Driver of the simulated robot, which runs in a process of its own."""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers.driver import Driver, DriverError
from simreal.deploy.drivers.options import numbers, whole_number
from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    WireError,
    decode_hello,
)
from simreal.errors import UserError
from simreal.state import FloatArray, RobotCommand, RobotState

CONNECT_TIMEOUT = 30.0
FIRST_STATE_TIMEOUT = 2.0
STOP_TIMEOUT = 2.0


def open_driver(options: dict[str, str], robot: str, task: str | None) -> Driver:
    """The driver by its options: ``robot``, ``seed``, ``stand``, and parameters of randomization."""
    robot = options.pop("robot", robot)
    seed, stand = (whole_number("sim", key, options.pop(key, "0")) for key in ("seed", "stand"))
    return SimDriver(robot, numbers("sim", options), seed, task, bool(stand))


class SimDriver(Driver):
    """Starts a simulated robot and talks to it over a socket, as to a machine.

    Attributes:
        process: the robot's process once connected; tests stop and kill it.
        program: arguments of Python that run the robot; tests put something in between.
    """

    program: tuple[str, ...] = ("-m", "simreal.deploy.emulators.simulated_robot")

    def __init__(
        self,
        robot: str,
        parameters: Mapping[str, float],
        seed: int = 0,
        task: str | None = None,
        stand: bool = False,
    ) -> None:
        """Name a robot; it starts at `connect`.

        Args:
            robot: its name.
            parameters: its true parameters where they differ from the model, by the names of
                randomization, such as ``{"mass": 1.2}``.
            seed: of its start and its noise.
            task: which says how it starts and what stands around it; in its default posture and in
                nothing if absent.
            stand: whether what hangs on nothing is held up in the air, its limbs free.
        """
        self._arguments = {
            "robot": robot,
            "parameters": dict(parameters),
            "seed": seed,
            "task": task,
            "stand": stand,
        }
        self._imu = self._holds = False
        self.process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._joints = self._actuators = 0
        self._forget()

    def _forget(self) -> None:
        """A robot counts its packets by itself: of another one, what was heard before says nothing."""
        self._newest: RobotState | None = None
        self._sequence = -1
        self._sent = 0

    def connect(self) -> RobotDescription:
        """Start the robot and wait for its hello and its first state."""
        self._forget()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = json.dumps(self._arguments | {"socket": theirs.fileno()})
        # -P: the working folder must not shadow the installed package.
        command = [sys.executable, "-P", *self.program, arguments]
        # A session of its own: Ctrl-C in the terminal reaches the controller, not the robot.
        self.process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        try:
            robot, error = decode_hello(self._receive(CONNECT_TIMEOUT))
            if error is not None:
                raise UserError(f"driver sim: {error}")
            description = RobotDescription.model_validate(robot)
            self._joints, self._actuators = len(description.joints), len(description.actuators)
            self._imu = description.imu
            self._holds = all(each.command == "position" for each in description.actuators)
            self._take(self._receive(FIRST_STATE_TIMEOUT))
        except BaseException as error:
            self.disconnect()
            if isinstance(error, WireError):
                raise DriverError(f"simulated robot: {error}") from None
            raise
        ours.setblocking(False)
        return description

    def _receive(self, timeout: float) -> bytes:
        assert self._socket is not None
        ready, _, _ = select.select([self._socket], [], [], timeout)
        data = self._socket.recv(LARGEST_PACKET) if ready else b""
        if not data:
            state = "said nothing" if not ready else "ended"
            raise DriverError(f"the simulated robot {state} while connecting")
        return data

    def _take(self, data: bytes) -> None:
        packet = StatePacket.decode(data, self._joints, self._imu)
        if packet.sequence > self._sequence:  # what was overtaken on the way is no news
            self._sequence, self._newest = packet.sequence, packet.state

    def read(self) -> RobotState:
        """The newest state that has arrived; see `Driver.read`."""
        if self._socket is None or self._newest is None:
            raise DriverError("the simulated robot is not connected")
        newest = None
        try:
            while data := self._socket.recv(LARGEST_PACKET):
                newest = data
            raise DriverError("the simulated robot has ended")
        except BlockingIOError:
            pass
        except OSError as error:
            raise DriverError(f"the simulated robot cannot be read: {error.strerror}") from None
        if newest is not None:
            try:
                self._take(newest)
            except WireError as error:
                raise DriverError(f"simulated robot: {error}") from None
        return self._newest

    def write(self, command: RobotCommand) -> None:
        """Send targets; see `Driver.write`."""
        target = np.asarray(command.target, dtype=np.float64)
        self._send(CommandPacket(self._sent, Mode.FOLLOW, target, command.authority))

    def hold(self) -> None:
        """Keep the posture; see `Driver.hold`."""
        if not self._holds:
            raise DriverError("this robot's motors take no positions: they cannot hold a posture")
        self._tell(Mode.HOLD)

    def _tell(self, mode: Mode) -> None:
        self._send(CommandPacket(self._sent, mode, np.zeros(self._actuators)))

    def _send(self, packet: CommandPacket) -> None:
        if self._socket is None:
            raise DriverError("the simulated robot is not connected")
        self._sent += 1
        try:
            self._socket.send(packet.encode())
        except BlockingIOError:
            raise DriverError("the simulated robot takes no more commands") from None
        except OSError as error:
            raise DriverError(f"the simulated robot cannot be written: {error.strerror}") from None

    def push(self, effort: FloatArray) -> None:
        """Push the (joints,) with N·m or N from outside, as a person's hand does."""
        self._send(CommandPacket(self._sent, Mode.PUSH, effort))

    def damp(self) -> None:
        """Brake; see `Driver.damp`."""
        with contextlib.suppress(DriverError):  # its watchdog makes it passive
            self._tell(Mode.DAMP)

    def off(self) -> None:
        """Make the motors passive."""
        with contextlib.suppress(DriverError):  # its watchdog does the same
            self._tell(Mode.OFF)

    def disconnect(self) -> None:
        """Close the socket, at which the robot ends by itself; it is made to if it does not."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self.process is not None:
            deadline = time.monotonic() + STOP_TIMEOUT
            while self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
