"""Makes the commands that go to the motors of a Unitree robot."""

from collections.abc import Sequence

import numpy as np

from simreal.deploy.unitree.layout import Frame
from simreal.deploy.unitree.messages import (
    GO_COMMAND,
    HEAD,
    LOW_LEVEL,
    POSITION_STOP,
    SERIAL,
    SERVO,
    STOP,
    VELOCITY_STOP,
    Messages,
)
from simreal.state import FloatArray

DAMPING = 8.0
"""N·m·s/rad of motors that brake: what the vendor's own programs end with."""


class CommandFrame:
    """One command, filled anew for each time that it is sent. Units are those of the joints.

    A motor follows feedforward + stiffness (position - its position) + damping (velocity - its
    velocity). Places of the message at which the robot has no motor are never controlled.
    """

    def __init__(self, messages: Messages, motor_index: Sequence[int]) -> None:
        """Prepare commands.

        Args:
            messages: that the robot speaks.
            motor_index: of each actuator, the number of its motor on the wire.
        """
        self._frame = frame = Frame(messages.command)
        self._motors = frame.fields["motor_cmd"]
        self._used = np.array(motor_index)
        if messages.command is GO_COMMAND:
            frame.fields["head"][:] = HEAD
            frame.fields["level_flag"] = LOW_LEVEL
            # As the vendor's examples leave what they do not drive. Those of G1 leave zeros.
            self._motors["mode"][:] = SERVO
            self._motors["q"][:] = POSITION_STOP
            self._motors["dq"][:] = VELOCITY_STOP
        else:
            frame.fields["mode_pr"] = SERIAL

    def set_machine(self, mode_machine: int) -> None:
        """Repeat what a robot says of its own build, without which it obeys no command."""
        self._frame.fields["mode_machine"] = mode_machine

    def follow(self, position: FloatArray, stiffness: FloatArray, damping: FloatArray) -> bytes:
        """Pull to (actuators,) positions in rad, with N·m/rad and N·m·s/rad."""
        return self._filled(SERVO, position, 0.0, stiffness, damping)

    def damp(self) -> bytes:
        """Brake motion and hold nothing."""
        return self._filled(SERVO, 0.0, 0.0, 0.0, DAMPING)

    def off(self) -> bytes:
        """Be passive."""
        return self._filled(STOP, POSITION_STOP, VELOCITY_STOP, 0.0, 0.0)

    def _filled(
        self,
        mode: int,
        position: FloatArray | float,
        velocity: float,
        stiffness: FloatArray | float,
        damping: FloatArray | float,
    ) -> bytes:
        used, motors = self._used, self._motors
        motors["mode"][used] = mode
        motors["q"][used] = position
        motors["dq"][used] = velocity
        motors["tau"][used] = 0.0
        motors["kp"][used] = stiffness
        motors["kd"][used] = damping
        self._frame.seal()
        return self._frame.encode()
