"""The simulated robot: physics in real time behind a socket, with its own noise and latency.

Started by `SimDriver` as ``python -m simreal.deploy.emulators.robot ARGUMENTS``.
"""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.deploy.clock import Clock
from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    WireError,
    encode_hello,
)
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import fixed
from simreal.robots import load_robot
from simreal.state import RobotState
from simreal.tasks import Task, find_task

BRAKING = 2.0
"""Times its own damping, with which a servo brakes that holds nothing."""
PRIORITY = 10
"""SCHED_FIFO, below that of the control loop."""
LONGEST_GAP_STEPS = 1000
"""A process that slept for longer (a suspended laptop) does not make up for it."""


class SimulatedRobot:
    """One robot: physics, sensors, firmware watchdog. Time passes only in `advance`."""

    def __init__(
        self, name: str, parameters: Mapping[str, float], seed: int, task: str | None = None
    ) -> None:
        """Build it with true parameters that may differ from the model's.

        Args:
            name: of the robot.
            parameters: where they differ.
            seed: of its start and its noise.
            task: whose surroundings and start it has; nothing, and the default posture at rest, if
                absent.

        Raises:
            UserError: no such robot, task or parameter.
        """
        robot = load_robot(name)
        self.description = robot.description
        specification, pins = fixed(parameters)
        problem = None if task is None else find_task(task, name)
        scene = None if problem is None else problem.scene
        world = build_world(robot, 1, specification, pins, threads=1, scene=scene)
        randomizer = Randomizer(specification, world, pins)
        self._world = world
        self.rate = 1.0 / world.physics.timestep
        self._random = EpisodeRandom(episode_seed(seed, np.array([0])))
        only = np.array([0])
        randomizer.apply(only, randomizer.draw(self._random).values)
        self._idle = _idle_target(self.description)
        self._target = self._idle
        world.reset(only, _start(self.description, problem, self._random), self._idle, self._random)
        # Until the first command its own firmware holds it, as robots that walk stand up by themselves.
        self._mode, self._commanded = Mode.FOLLOW, False
        self._servos = bool(world.actuation.servos.any())
        self._stiffness, self._damping = world.actuation.gains(only)
        self._gains = (1.0, 1.0)
        self._lower = np.array([actuator.lower for actuator in self.description.actuators])
        self._upper = np.array([actuator.upper for actuator in self.description.actuators])
        self._watchdog_steps = round(1e-3 * robot.config.safety.watchdog_ms * self.rate)
        self._since_command = 0
        self._step = np.zeros(1, dtype=np.int64)
        self._commands = np.zeros(1, dtype=np.int64)

    def command(self, mode: Mode, target: NDArray[np.float64], authority: float = 1.0) -> None:
        """Take a command, as the firmware does: limits are the amplifier's, NaN is off."""
        self._since_command, self._commanded = 0, True
        self._commands += 1
        if mode is Mode.FOLLOW and not np.isfinite(target).all():
            mode = Mode.OFF
        match mode:
            case Mode.FOLLOW:
                self._impose(authority, 1.0)
                self._target = np.clip(target, self._lower, self._upper)[None]
                # Of what is no servo, the command itself is what authority is a share of.
                self._target[:, ~self._world.actuation.servos] *= authority
            case Mode.HOLD if self._mode is not Mode.HOLD:
                self._impose(1.0, 1.0)
                self._target = self._position()
            case Mode.DAMP:
                self._impose(0.0, BRAKING)
                self._target = self._idle
            case Mode.OFF:
                self._impose(0.0, 0.0)
                self._target = self._idle
        self._mode = mode

    def _position(self) -> NDArray[np.float64]:
        """(1, actuators) where the driven joints are."""
        joints = [self.description.joint_names.index(each.joint) for each in self.description.actuators]
        return self._world.physics.joint_position[:, joints].copy()

    def _impose(self, stiffness: float, damping: float) -> None:
        """Give the servos shares of their gains. A motor without voltage brakes by itself."""
        gains = (stiffness, damping)
        if not self._servos or gains == self._gains:
            return
        self._gains = gains
        only = np.array([0])
        self._world.commit(only)
        if gains != (1.0, 1.0):
            law = stiffness * self._stiffness, damping * self._damping
            self._world.actuation.impose(only, *law, np.zeros_like(self._stiffness))

    def advance(self) -> RobotState:
        """Let one physics step pass; what it measured."""
        self._since_command += 1
        if self._commanded and self._since_command > self._watchdog_steps:
            self._impose(0.0, BRAKING)
            self._target, self._mode = self._idle, Mode.DAMP
        self._step += 1
        self._world.advance(self._target, self._random, self._step, self._commands)
        return self._world.read(self._step / self.rate).row(0)


def _start(robot: RobotDescription, task: Task | None, random: EpisodeRandom) -> Start:
    """Where the robot is found: a balance that begins at rest in it would hold with dead motors."""
    if task is not None:
        return task.initial_states[task.start](random)
    position = np.array([robot.default_position])
    return Start(position, np.zeros_like(position))


def _idle_target(robot: RobotDescription) -> NDArray[np.float64]:
    """(1, actuators) what no command means: no voltage, no effort; a servo's does not act then."""
    default = dict(zip(robot.joint_names, robot.default_position, strict=True))
    served = (default[each.joint] if each.command == "position" else 0.0 for each in robot.actuators)
    return np.array([list(served)])


def serve(robot: SimulatedRobot, wire: socket.socket) -> None:
    """Run in real time until the controller is gone."""
    clock = Clock(robot.rate)
    sequence = 0
    actuators = len(robot.description.actuators)
    while True:
        overruns_before = clock.overruns
        clock.wait()
        if not _take_commands(robot, wire, actuators):
            return
        # Time that this process was not given has passed for the robot all the same.
        for _ in range(min(1 + clock.overruns - overruns_before, LONGEST_GAP_STEPS)):
            state = robot.advance()
        packet = StatePacket(sequence, time.monotonic_ns(), state)
        sequence += 1
        try:
            wire.send(packet.encode())
        except BlockingIOError:
            continue  # the controller does not read: a real bus would lose it, too
        except OSError:
            return


def _take_commands(robot: SimulatedRobot, wire: socket.socket, actuators: int) -> bool:
    """Apply the newest command; whether the controller is still there."""
    newest = None
    try:
        while data := wire.recv(LARGEST_PACKET):
            newest = data
        return False
    except BlockingIOError:
        pass
    except OSError:
        return False
    if newest is not None:
        try:
            packet = CommandPacket.decode(newest, actuators)
        except WireError:
            return True  # not a command: not obeyed, and the watchdog goes on counting
        robot.command(packet.mode, packet.target, packet.authority)
    return True


def _be_punctual() -> None:
    """Take the processor from ordinary programs, where that is allowed: firmware shares it with none."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))


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
            )
        except UserError as error:
            wire.send(encode_hello(None, str(error)))
            return
        wire.send(encode_hello(robot.description.model_dump(mode="json")))
        wire.setblocking(False)
        _be_punctual()
        serve(robot, wire)


if __name__ == "__main__":
    main()
