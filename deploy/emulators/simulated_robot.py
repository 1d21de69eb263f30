"""The simulated robot: physics in real time behind a socket, with its own noise and latency.

Started by `SimDriver` as ``python -m simreal.deploy.emulators.simulated_robot ARGUMENTS``.
"""

import contextlib
import json
import socket
import sys
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.deploy.clock import Clock
from simreal.deploy.emulators.body import Body
from simreal.deploy.realtime import FIRMWARE_PRIORITY, hurry
from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    WireError,
    encode_hello,
)
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import RobotState
from simreal.tasks import refuse_sent_file

LONGEST_GAP_STEPS = 1000
"""A process that slept for longer (a suspended laptop) does not make up for it."""


class SimulatedRobot:
    """A body and its firmware: modes, limits, a watchdog. Time passes only in `advance`."""

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, float],
        seed: int,
        task: str | None = None,
        stand: bool = False,
    ) -> None:
        """Build the body, perhaps on a stand; see `Body`.

        Raises:
            UserError: no such robot, task or parameter, or a task in a file that only the policy names.
        """
        if task is not None:
            refuse_sent_file(task, "the policy to run")
        self._body = Body(name, parameters, seed, task, stand=stand)
        self.description, self.rate = self._body.description, self._body.rate
        self._mode, self._commanded = Mode.FOLLOW, False
        self._servos = np.array([each.command == "position" for each in self.description.actuators])
        self._lower = np.array([actuator.lower for actuator in self.description.actuators])
        self._upper = np.array([actuator.upper for actuator in self.description.actuators])
        watchdog_ms = load_robot(name).config.safety.watchdog_ms
        self._watchdog_steps = round(1e-3 * watchdog_ms * self.rate)
        self._since_command = 0

    @property
    def factors(self) -> list[str]:
        """What those of its parameters come to that are factors on the model's own, for people."""
        return self._body.factors

    def command(self, mode: Mode, target: NDArray[np.float64], authority: float = 1.0) -> None:
        """Take a command, as the firmware does: limits are the amplifier's, NaN is off."""
        self._since_command, self._commanded = 0, True
        if mode is Mode.FOLLOW and not np.isfinite(target).all():
            mode = Mode.OFF
        match mode:
            case Mode.FOLLOW:
                self._follow(np.clip(target, self._lower, self._upper), authority)
            case Mode.HOLD if self._mode is not Mode.HOLD:
                self._body.hold()
            case Mode.DAMP:
                self._body.damp()
            case Mode.OFF:
                self._body.off()
        self._mode = mode

    def _follow(self, target: NDArray[np.float64], authority: float) -> None:
        """Authority is a share of a servo's stiffness; of what is no servo, of the command itself."""
        self._body.command(
            position=target,
            stiffness=authority * self._body.stiffness,
            feedforward=np.where(self._servos, 0.0, authority * target),
        )

    def push(self, effort: NDArray[np.float64]) -> None:
        """Push (joints,) N·m or N from outside, as a hand does, until told otherwise."""
        self._body.push(effort)

    def advance(self) -> RobotState:
        """Let one physics step pass; what it measured."""
        self._since_command += 1
        if self._commanded and self._since_command > self._watchdog_steps:
            self.command(Mode.DAMP, self._lower)
        return self._body.advance()


def serve(robot: SimulatedRobot, wire: socket.socket) -> None:
    """Run in real time until the controller is gone."""
    clock = Clock(robot.rate)
    sequence = 0
    while True:
        overruns_before = clock.overruns
        clock.wait()
        # The step that has just passed, by the commands that were there when it began: a state is of the
        # time that is stamped on it, and no command acts on what is past.
        # Time that this process was not given has passed for the robot all the same.
        for _ in range(min(1 + clock.overruns - overruns_before, LONGEST_GAP_STEPS)):
            state = robot.advance()
        packet = StatePacket(sequence, time.monotonic_ns(), state)
        sequence += 1
        try:
            wire.send(packet.encode())
        except BlockingIOError:
            pass  # the controller does not read: a real bus would lose it, too
        except OSError:
            return
        if not _take_commands(robot, wire):
            return


def _take_commands(robot: SimulatedRobot, wire: socket.socket) -> bool:
    """Apply the newest command, and a hand's push; whether the controller is still there."""
    actuators, joints = len(robot.description.actuators), len(robot.description.joints)
    newest = None
    try:
        while data := wire.recv(LARGEST_PACKET):
            with contextlib.suppress(WireError):  # not obeyed, and the watchdog goes on counting
                packet = CommandPacket.decode(data, actuators, joints)
                if packet.mode is Mode.PUSH:
                    robot.push(packet.target)
                else:
                    newest = packet
        return False
    except BlockingIOError:
        pass
    except OSError:
        return False
    if newest is not None:
        robot.command(newest.mode, newest.target, newest.authority)
    return True


def main() -> None:
    """Build the robot that the first argument describes, and serve it."""
    arguments = json.loads(sys.argv[1])
    # A controller that is killed while its robot starts leaves a broken pipe, and nobody to tell.
    with contextlib.suppress(BrokenPipeError), socket.socket(fileno=arguments["socket"]) as wire:
        try:
            robot = SimulatedRobot(
                arguments["robot"],
                arguments["parameters"],
                arguments["seed"],
                arguments.get("task"),
                bool(arguments.get("stand")),
            )
        except UserError as error:
            wire.send(encode_hello(None, str(error)))
            return
        for line in robot.factors:
            print(f"sim: {line}", file=sys.stderr, flush=True)
        wire.send(encode_hello(robot.description.model_dump(mode="json")))
        wire.setblocking(False)
        hurry(FIRMWARE_PRIORITY)  # where that is allowed
        serve(robot, wire)


if __name__ == "__main__":
    main()
