"""Limits on commands: pure functions of what is desired, what is measured, what was sent, and time."""

from collections.abc import Sequence

import numpy as np

from simreal.contract import RobotDescription
from simreal.robots.safety import SafetyConfig
from simreal.state import FloatArray


def within_range(desired: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The command that is nearest to the desired one and within its range."""
    # Two ufuncs cost a third of np.clip on arrays as small as these.
    return np.minimum(np.maximum(desired, lower), upper)


def within_rate(desired: FloatArray, previous: FloatArray, rate: FloatArray, dt: float) -> FloatArray:
    """The command that is nearest to the desired one and reached from the previous one.

    Args:
        desired: in each actuator's unit.
        previous: that was sent last.
        rate: unit/s.
        dt: s since then.
    """
    return within_range(desired, previous - rate * dt, previous + rate * dt)


def within_effort(
    desired: FloatArray,
    position: FloatArray,
    velocity: FloatArray,
    lag: FloatArray,
    reach: FloatArray,
) -> FloatArray:
    """The target of position servos that asks for no more than an effort.

    A servo gives stiffness (target - position) - damping velocity.

    Args:
        desired: rad or m.
        position: of the driven joints.
        velocity: of the driven joints.
        lag: s, damping over stiffness.
        reach: rad or m, effort over stiffness; infinite where there is no limit.
    """
    rest = position + lag * velocity  # a servo that is told to be there gives no effort
    return within_range(desired, rest - reach, rest + reach)


class CommandLimits:
    """All limits of one robot, in order of weight: rate, then effort, then the actuator's range.

    A later one prevails: a target follows a joint that is pushed away faster than the rate allows
    rather than to resist with more than the effort.
    """

    def __init__(self, robot: RobotDescription, safety: SafetyConfig) -> None:
        """Gather the limits of a robot."""
        actuators = robot.actuators
        self._names = robot.actuator_names
        self.lower = np.array([each.lower for each in actuators])
        self.upper = np.array([each.upper for each in actuators])
        self._rate = np.array([safety.command_rate.get(each.name, np.inf) for each in actuators])
        self._effort = np.array([safety.command_effort.get(each.name, np.inf) for each in actuators])
        # An actuator without stiffness has no effort that a target asks for.
        self._effort[[each.stiffness is None for each in actuators]] = np.inf
        stiffness = np.array([each.stiffness or 1.0 for each in actuators])
        self._lag = np.array([each.damping or 0.0 for each in actuators]) / stiffness
        self._reach = self._effort / stiffness
        self._limits_rate = bool(np.isfinite(self._rate).any())
        self._limits_effort = bool(np.isfinite(self._effort).any())

    def in_order(
        self,
        desired: FloatArray,
        position: FloatArray,
        velocity: FloatArray,
        previous: FloatArray | None,
        dt: float,
    ) -> list[tuple[str, FloatArray]]:
        """Each limit by its name in `safety`, and the (actuators,) command that it leaves.

        The last one is the command to send; it is finite where the desired one and the measured are.

        Args:
            desired: in each actuator's unit.
            position: of the driven joints.
            velocity: of the driven joints.
            previous: command that was sent last; None where the motors were passive.
            dt: s since then.
        """
        left, target = [], desired
        if self._limits_rate and previous is not None:
            target = within_rate(target, previous, self._rate, dt)
            left.append(("command_rate", target))
        if self._limits_effort:
            target = within_effort(target, position, velocity, self._lag, self._reach)
            left.append(("command_effort", target))
        left.append(("range", within_range(target, self.lower, self.upper)))
        return left

    def causes(self, desired: FloatArray, left: Sequence[tuple[str, FloatArray]]) -> list[str]:
        """Which limits have changed a command, as ``command_effort of elbow``; `left` by `in_order`."""
        found, before = [], desired
        for limit, target in left:
            found += [f"{limit} of {self._names[each]}" for each in np.flatnonzero(target != before)]
            before = target
        return found
