"""Stands right before a driver and counts what must not be: commands and motion beyond the limits."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.deploy.drivers import Driver
from simreal.experiment import ExperimentConfig
from simreal.robots.safety import SafetyConfig
from simreal.state import FloatArray, RobotCommand, RobotState
from simreal.tasks import Motion, find_task
from simreal.tasks.task import NotInLogError

TOLERANCE = 1e-9
"""Share of an actuator's range by which a command may be beyond it: rounding."""
Limits = tuple[FloatArray, FloatArray, FloatArray]
Over = Callable[[Motion], NDArray[np.bool_]]


class MonitoredDriver(Driver):
    """Passes everything on to another driver.

    Attributes:
        newest: the last measurement; None before the first.
        commands: sent so far.
        beyond_range: of them, no numbers, or beyond an actuator's range; the supervisor lets none by.
        beyond_limits: measurements in which a joint was beyond `measured_limits`.
    """

    def __init__(self, driver: Driver, safety: SafetyConfig) -> None:
        """Take the driver of the robot, and what its safety allows."""
        self._driver, self.time_source, self._safety = driver, driver.time_source, safety
        self.newest: RobotState | None = None
        self.commands = self.beyond_range = self.beyond_limits = 0

    def connect(self) -> RobotDescription:
        """See `Driver.connect`."""
        robot = self._driver.connect()
        span = np.array([each.upper - each.lower for each in robot.actuators])
        self._lower = np.array([each.lower for each in robot.actuators]) - TOLERANCE * span
        self._upper = np.array([each.upper for each in robot.actuators]) + TOLERANCE * span
        self._limits = measured_limits(robot, self._safety)
        self.newest = None
        return robot

    def read(self) -> RobotState:
        """See `Driver.read`."""
        state = self._driver.read()
        if self.newest is None or float(state.time) > float(self.newest.time):
            self.beyond_limits += bool(
                beyond_limits(self._limits, state.joint_position, state.joint_velocity)
            )
        self.newest = state
        return state

    def write(self, command: RobotCommand) -> None:
        """See `Driver.write`."""
        target = command.target
        self.commands += 1
        self.beyond_range += not bool(np.all((target >= self._lower) & (target <= self._upper)))
        self._driver.write(command)

    def hold(self) -> None:
        """See `Driver.hold`."""
        self._driver.hold()

    def damp(self) -> None:
        """See `Driver.damp`."""
        self._driver.damp()

    def off(self) -> None:
        """See `Driver.off`."""
        self._driver.off()

    def clear_faults(self) -> None:
        """See `Driver.clear_faults`."""
        self._driver.clear_faults()

    def disconnect(self) -> None:
        """See `Driver.disconnect`."""
        self._driver.disconnect()


def joint_limits(robot: RobotDescription) -> Limits:
    """(joints,) lowest and highest positions and largest speeds; infinite where there is no limit."""

    def values(numbers: Sequence[float | None], absent: float) -> FloatArray:
        return np.array([absent if each is None else each for each in numbers])

    return (
        values([each.lower for each in robot.joints], -np.inf),
        values([each.upper for each in robot.joints], np.inf),
        values([each.velocity_limit for each in robot.joints], np.inf),
    )


def measured_limits(robot: RobotDescription, safety: SafetyConfig) -> Limits:
    """As `joint_limits`, or as wide as a robot's safety allows.

    It allows for sag and overshoot: a servo that is told to be at the end of its travel is measured
    beyond it, by no fault of whoever told it.
    """
    lowest, highest, fastest = joint_limits(robot)
    for place, joint in enumerate(robot.joints):
        low, high = safety.joint_position.get(joint.name, (lowest[place], highest[place]))
        lowest[place], highest[place] = min(lowest[place], low), max(highest[place], high)
        fastest[place] = max(fastest[place], safety.joint_velocity.get(joint.name, 0.0))
    return lowest, highest, fastest


def beyond_limits(limits: Limits, position: FloatArray, velocity: FloatArray) -> NDArray[np.bool_]:
    """(...) whether any joint of (..., joints) is beyond limits as of `joint_limits`."""
    lowest, highest, fastest = limits
    beyond = (position < lowest) | (position > highest) | (np.abs(velocity) > fastest)
    return np.asarray(beyond.any(axis=-1))


class TaskEnd:
    """Whether what a robot measures says that its task is over for good, and why."""

    def __init__(self, experiment: ExperimentConfig, actuators: int) -> None:
        """Take the terminations that look at joints alone; of others the supervisor must know."""
        self._terminations = dict(find_task(experiment.task, experiment.robot).terminations)
        self._nothing = np.zeros((1, actuators))

    def __call__(self, state: RobotState, asked: FloatArray) -> str | None:
        """Name of a termination that holds, or None."""
        position, velocity = state.joint_position[None], state.joint_velocity[None]
        motion = Motion(position, velocity, self._nothing, self._nothing, asked[None])
        for name, over in list(self._terminations.items()):
            try:
                if over(motion)[0]:
                    return name
            except NotInLogError:
                del self._terminations[name]
        return None
