"""The driver of a hidden robot: all that a learner gets to see of it."""

import json
import socket
import subprocess
import sys

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers.driver import Driver, DriverError
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

TIMEOUT = 300.0
"""s, for the robot's process to start and to answer, on a machine that is busy with others."""


class HiddenRobot(Driver):
    """A robot in another process, of which nothing is known but what it measures.

    Its time passes with commands, and not with the wall's.

    Attributes:
        seconds: s that it has moved.
        resets: how often somebody has put it back to its start.
    """

    def __init__(self, robot: str, target: str, rate: float, held: bool = False) -> None:
        """Name a robot; it starts at `connect`.

        Args:
            robot: its name.
            target: which of its hidden ones.
            rate: Hz, commands per second.
            held: whether its base is held, on a stand.
        """
        self._held = held
        self._robot, self._target, self._period = robot, target, 1.0 / rate
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._newest: RobotState | None = None
        self._description: RobotDescription | None = None
        self.seconds, self.resets = 0.0, 0

    def connect(self) -> RobotDescription:
        """See the base class."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(TIMEOUT)
        named = {"robot": self._robot, "target": self._target, "held": self._held}
        arguments = named | {"socket": theirs.fileno()}
        module = "simreal.transfer_bench.robot_process"
        command = [sys.executable, "-P", "-m", module, json.dumps(arguments)]
        # A session of its own: Ctrl-C in the terminal reaches the learner, not the robot.
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        try:
            robot, error = decode_hello(self._receive())
            if error is not None:
                raise UserError(f"hidden robot: {error}")
            self._description = RobotDescription.model_validate(robot)
            self._take(self._receive())
        except BaseException:
            self.disconnect()
            raise
        return self._description

    def _receive(self) -> bytes:
        assert self._socket is not None
        try:
            data = self._socket.recv(LARGEST_PACKET)
        except OSError as error:
            raise DriverError(f"the hidden robot does not answer: {error}") from None
        if not data:
            raise DriverError("the hidden robot has ended")
        return data

    def _take(self, data: bytes) -> None:
        assert self._description is not None
        try:
            packet = StatePacket.decode(data, len(self._description.joints), self._description.imu)
        except WireError as error:
            raise DriverError(f"hidden robot: {error}") from None
        self._newest = packet.state

    def _say(self, packet: CommandPacket) -> None:
        if self._socket is None:
            raise DriverError("the hidden robot is not connected")
        try:
            self._socket.send(packet.encode())
        except OSError as error:
            raise DriverError(f"the hidden robot has ended: {error.strerror}") from None
        self._take(self._receive())

    def restart(self, seed: int) -> RobotState:
        """Have it put back to the start of a numbered episode; its first measurement."""
        self._say(CommandPacket(seed, Mode.OFF, self._nothing()))
        self.resets += 1
        return self.read()

    def read(self) -> RobotState:
        """See the base class."""
        if self._newest is None:
            raise DriverError("the hidden robot is not connected")
        return self._newest

    def write(self, command: RobotCommand) -> None:
        """Let a control step pass under (actuators,) targets."""
        self._say(CommandPacket(0, Mode.FOLLOW, command.target))
        self.seconds += self._period

    def hold(self) -> None:
        """Cannot: its motors know no postures."""
        raise DriverError("the hidden robot cannot hold a posture")

    def damp(self) -> None:
        """See the base class; as `off`: its time passes with commands alone."""

    def off(self) -> None:
        """See the base class."""

    def disconnect(self) -> None:
        """See the base class."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _nothing(self) -> FloatArray:
        assert self._description is not None
        return np.zeros(len(self._description.actuators))
