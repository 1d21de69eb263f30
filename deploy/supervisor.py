"""What stands between a policy and a driver: checks that latch a fault, and limits."""

import numpy as np

from simreal.contract import RobotDescription
from simreal.robots.loader import SafetyConfig
from simreal.state import FloatArray, RobotCommand, RobotState


def state_fault(
    state: RobotState, now: float, robot: RobotDescription, safety: SafetyConfig
) -> str | None:
    """Why a measurement forbids to go on.

    Args:
        state: (joints,) arrays.
        now: s, on the clock of the state's time.
        robot: names of the joints.
        safety: the bounds.

    Returns:
        A reason for people, or None.
    """
    age_ms = 1e3 * (now - float(state.time))
    # A time from the future, or none, would never grow stale.
    if not abs(age_ms) <= safety.stale_state_ms:
        return (
            f"state is {age_ms:.0f} ms old, at most {safety.stale_state_ms:g} ms are allowed "
            "(stale_state_ms in robot.yaml): the robot is silent, or this computer too busy"
        )
    for name, position, velocity in zip(
        robot.joint_names, state.joint_position, state.joint_velocity, strict=True
    ):
        if not (np.isfinite(position) and np.isfinite(velocity)):
            return f"joint {name} reports position {position}, velocity {velocity}"
        lower, upper = safety.joint_position.get(name, (-np.inf, np.inf))
        if not lower <= position <= upper:
            return f"joint {name} at {position:.4g}, outside {lower:g} to {upper:g}"
        if abs(velocity) > safety.joint_velocity.get(name, np.inf):
            return f"joint {name} moves at {velocity:.4g}, faster than {safety.joint_velocity[name]:g}"
    return inertial_fault(state)


def inertial_fault(state: RobotState) -> str | None:
    """Why the readings of an IMU forbid to go on, or None."""
    for name, values in state.inertial().items():
        if not np.isfinite(values).all():
            return f"the IMU reports {name.replace('_', ' ')} {values.tolist()}"
    if state.orientation is not None and abs(np.linalg.norm(state.orientation) - 1.0) > 0.01:
        return f"the IMU reports orientation {state.orientation.tolist()}, which is no unit quaternion"
    return None


def action_fault(action: FloatArray, robot: RobotDescription) -> str | None:
    """Why a policy's (actuators,) output forbids to go on, or None."""
    for name, value in zip(robot.actuator_names, action, strict=True):
        if not np.isfinite(value):
            return f"the policy gives {value} for actuator {name}"
    return None


def command_fault(command: RobotCommand, robot: RobotDescription) -> str | None:
    """Why a command of (actuators,) targets cannot be brought within limits, or None."""
    for name, value in zip(robot.actuator_names, command.target, strict=True):
        if not np.isfinite(value):
            return f"the command for actuator {name} is {value}"
    return None


def limit(command: RobotCommand, robot: RobotDescription) -> RobotCommand:
    """The command within the actuators' limits."""
    lower = np.array([actuator.lower for actuator in robot.actuators])
    upper = np.array([actuator.upper for actuator in robot.actuators])
    return RobotCommand(np.clip(command.target, lower, upper))


class Supervisor:
    """Latches the first fault; after it, no command passes.

    Attributes:
        fault: its reason, or None.
    """

    def __init__(self, robot: RobotDescription, safety: SafetyConfig) -> None:
        """Watch over a robot."""
        self._robot, self._safety = robot, safety
        self.fault: str | None = None

    def state_allows(self, state: RobotState, now: float) -> bool:
        """Whether the loop may go on from this measurement."""
        self.fault = self.fault or state_fault(state, now, self._robot, self._safety)
        return self.fault is None

    def allowed(self, action: FloatArray, command: RobotCommand) -> RobotCommand | None:
        """The command to send, within limits; None after a fault."""
        self.fault = (
            self.fault or action_fault(action, self._robot) or command_fault(command, self._robot)
        )
        return None if self.fault else limit(command, self._robot)
