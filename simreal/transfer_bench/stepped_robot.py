"""A hidden robot as the control loop meets any other, in a time of its own that passes with commands."""

from dataclasses import replace

from simreal.contract import RobotDescription
from simreal.deploy.clock import SteppedTime
from simreal.state import DriveReport, RobotCommand, RobotState
from simreal.transfer_bench.hidden_robot import HiddenRobot

STOPPED = "the robot has run into its stop, and stands still until it is put back"


class SteppedRobot(HiddenRobot):
    """Runs under `simreal.deploy.loop.deploy`, again and again; `close` ends its process.

    Each connection puts it back to the start of the next numbered episode. A control step passes with
    each command, and with it a period of `time_source`. Where its task has ended it, its drive reports a
    fault, as a limit switch does.
    """

    def __init__(self, robot: str, target: str, rate: float, first_episode: int = 0) -> None:
        """See `HiddenRobot`; episodes are numbered from the first one."""
        super().__init__(robot, target, rate)
        self.time_source = SteppedTime()
        self._episode, self._stopped = first_episode, False

    def connect(self) -> RobotDescription:
        """Put it back; it starts at the first time."""
        description = self._description if self._process is not None else super().connect()
        assert description is not None
        self._stopped = False
        self.restart(self._episode)
        self._episode += 1
        return description

    def read(self) -> RobotState:
        """See the base class; the measurement is of now."""
        drives = DriveReport(faults=(STOPPED,)) if self._stopped else None
        return replace(super().read(), time=1e-9 * self.time_source.now(), drives=drives)

    def write(self, command: RobotCommand) -> None:
        """See the base class."""
        before = float(super().read().time)
        super().write(command)
        self._stopped = float(super().read().time) <= before

    def disconnect(self) -> None:
        """Leave it where it is."""

    def close(self) -> None:
        """End its process."""
        super().disconnect()
