"""A driver that listens only: everything runs, nothing is sent."""

from simreal.contract import RobotDescription
from simreal.deploy.drivers import Driver
from simreal.state import RobotCommand, RobotState


class ShadowDriver(Driver):
    """Reads through another driver, and keeps every command from it."""

    def __init__(self, driver: Driver) -> None:
        """Take the driver of the robot."""
        self._driver, self.time_source = driver, driver.time_source

    def connect(self) -> RobotDescription:
        """See `Driver.connect`."""
        return self._driver.connect()

    def read(self) -> RobotState:
        """See `Driver.read`."""
        return self._driver.read()

    def write(self, command: RobotCommand) -> None:
        """Send nothing."""

    def hold(self) -> None:
        """Send nothing."""

    def damp(self) -> None:
        """Send nothing."""

    def off(self) -> None:
        """Send nothing."""

    def disconnect(self) -> None:
        """See `Driver.disconnect`."""
        self._driver.disconnect()
