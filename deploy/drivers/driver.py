"""The interface that every driver has."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from simreal.contract import RobotDescription
from simreal.deploy.clock import WALL_TIME, Time
from simreal.state import RobotCommand, RobotState


class DriverError(Exception):
    """The robot cannot be reached, or does not answer any more. The message is meant for a person."""


class Driver(ABC):
    """A robot. As a context manager it connects, and leaves the robot passive on any exit.

    No call waits for longer than a few ms but `connect` and `disconnect`.

    Attributes:
        time_source: the time in which it lives; other than the wall's of simulated robots alone.
    """

    time_source: Time = WALL_TIME

    @abstractmethod
    def connect(self) -> RobotDescription:
        """Reach the robot; motors stay passive.

        Returns:
            What the robot says of itself.

        Raises:
            DriverError: it cannot be reached.
        """

    @abstractmethod
    def read(self) -> RobotState:
        """The newest measurement, (joints,) arrays; never waits for a newer one.

        Its time says when it arrived, in s of `time_source`. A robot that has gone silent gives
        its last measurement again, with its old time; where only a part is missing, that part alone is
        old, and `DriveReport.joint_time` tells which.

        Raises:
            DriverError: the connection is lost.
        """

    @abstractmethod
    def write(self, command: RobotCommand) -> None:
        """Send (actuators,) targets.

        Raises:
            DriverError: the connection is lost.
        """

    @abstractmethod
    def hold(self) -> None:
        """Make the motors keep the posture in which they are.

        Raises:
            DriverError: the connection is lost, or this robot's motors cannot.
        """

    @abstractmethod
    def damp(self) -> None:
        """Make the motors brake motion and hold nothing; `off` where they cannot. Never raises."""

    @abstractmethod
    def off(self) -> None:
        """Make the motors passive. Never raises: it is the last thing that is tried."""

    def clear_faults(self) -> None:
        """Forget the faults that the robot has reported, since a person asks for it; motors are passive.

        What is still wrong is reported again by the next measurement.

        Raises:
            DriverError: the connection is lost.
        """
        self.off()

    @abstractmethod
    def disconnect(self) -> None:
        """Release the robot. Never raises; may be called twice."""

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.off()
        self.disconnect()
