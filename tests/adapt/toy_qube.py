"""A Qube whose arm is a mass with friction, in a time of its own: as quick as a robot can be."""

import os
import signal
from dataclasses import replace

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.clock import SteppedTime
from simreal.deploy.drivers import Driver, DriverError
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState


class ToyQube(Driver):
    """Moves with commands; each connection finds it at its start.

    Attributes:
        sent: (n,) V, all commands.
        kill_at: number of the command at which this process is killed, as by a power cut.
        silent: whether it does not answer.
    """

    def __init__(self, kill_at: int | None = None, push: float = 0.0, silent: bool = False) -> None:
        self.time_source = SteppedTime(10**9)
        self.description = load_robot("qube").description
        self.sent: list[float] = []
        self.kill_at, self.push, self.silent = kill_at, push, silent
        self.off_calls = 0
        self._begin()

    def _begin(self) -> None:
        self._state = RobotState(0.0, np.array([0.1, 0.02]), np.zeros(2))

    def connect(self) -> RobotDescription:
        self._begin()
        return self.description

    def read(self) -> RobotState:
        if self.silent:
            raise DriverError("a cable is out")
        return replace(self._state, time=1e-9 * self.time_source.now())

    def write(self, command: RobotCommand) -> None:
        self.sent.append(float(command.target[0]))
        if len(self.sent) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        position, velocity = self._state.joint_position.copy(), self._state.joint_velocity.copy()
        force = np.array([10.0 * command.target[0] + self.push, -20.0 * np.sin(position[1]) - 1.0])
        velocity += 0.01 * (force - 10.0 * velocity)
        position += 0.01 * velocity
        self._state = RobotState(0.0, position, velocity)

    def hold(self) -> None:
        self.off()

    def damp(self) -> None:
        self.off()

    def off(self) -> None:
        self.off_calls += 1

    def disconnect(self) -> None:
        pass
