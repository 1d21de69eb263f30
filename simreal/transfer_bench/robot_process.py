"""A hidden robot in a process of its own: it says what it measures, and does what it is told.

Started by `HiddenRobot` as ``python -m simreal.transfer_bench.robot_process ARGUMENTS``, it speaks in
the packets of `simreal.deploy.sim_wire`. Its time is not the wall's: a control step passes with each
command, so that a benchmark takes no longer than its computing. A packet with mode OFF puts it back to
the start of the episode that its sequence number names, as a person would. Where the task ends (the
robot has run into its stop, or fallen), it stands still: its time does not go on until then.
"""

import json
import socket
import sys
from typing import Protocol

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    encode_hello,
)
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.identification.simulator import Setup
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, matching
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.residual import read_residual
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import FloatArray
from simreal.transfer_bench.targets import find_target, target_experiment

ONE = np.array([0])
LONGEST = 3600.0
"""s, after which even a robot that nothing stops is put back."""


class Body(Protocol):
    """The robot behind the wire: raw commands in, raw states out.

    Attributes:
        description: of it.
    """

    description: RobotDescription

    def restart(self, seed: int) -> StatePacket:
        """Stand at the start of a numbered episode."""

    def advance(self, target: FloatArray) -> StatePacket:
        """Let a control step pass under (actuators,) targets."""


class HiddenBody:
    """Where its task is: the amplifier limits commands as the task's actions are limited."""

    def __init__(self, robot: str, target: str) -> None:
        """Build it.

        Raises:
            UserError: no such target.
        """
        experiment = target_experiment(robot, find_target(robot, target)).from_start()
        experiment = experiment.model_copy(update={"episode_length": LONGEST})
        self._env = BatchEnv(experiment, 1, threads=1)
        self.description = self._env.contract.robot
        self._lower = np.array([each.lower for each in self.description.actuators])
        self._upper = np.array([each.upper for each in self.description.actuators])
        mapping = self._env.contract.action
        self._scale, self._offset = np.array(mapping.scale), np.array(mapping.offset)
        self._relative = mapping.relative_to == "previous_target"
        self._stopped = False
        self._newest = self.restart(0)

    def restart(self, seed: int) -> StatePacket:
        """Stand at the start of a numbered episode."""
        self._env.begin(ONE, episode_seed(seed, ONE), None)
        self._stopped = False
        return self._state()

    def advance(self, target: FloatArray) -> StatePacket:
        """Let a control step pass."""
        if self._stopped:
            return self._newest
        limited = np.clip(np.nan_to_num(target), self._lower, self._upper)
        base = self._env.target[0] if self._relative else self._offset
        step = self._env.step(((limited - base) / self._scale)[None])
        self._stopped = bool(step.terminated[0] or step.truncated[0])
        return self._newest if self._stopped else self._state()

    def _state(self) -> StatePacket:
        state = self._env.measured_state().row(0)
        time = float(np.asarray(state.time))
        self._newest = StatePacket(0, round(1e9 * time), state)
        return self._newest


class HeldBody:
    """The same robot with its base held, on a stand: at its default position, and no task ends it."""

    def __init__(self, robot: str, target: str) -> None:
        """Build it.

        Raises:
            UserError: no such target, or a robot without a free base.
        """
        experiment = target_experiment(robot, find_target(robot, target))
        machine, entries = load_robot(robot), experiment.randomization
        rate, held = experiment.control_rate, Setup(machine, fixed_base=True)
        drives = read_residual(experiment.residual.file) if experiment.residual else None
        engine, edit = experiment.engine, held.edit
        self._world = build_world(machine, 1, entries, {}, rate, 1, edit, engine, drives)
        here = {name: each for name, each in entries.items() if _acts(each, self._world)}
        self._randomizer = Randomizer(here, self._world)
        self._period = 1.0 / rate
        self.description = machine.description
        self._lower = np.array([each.lower for each in self.description.actuators])
        self._upper = np.array([each.upper for each in self.description.actuators])
        self.restart(0)

    def restart(self, seed: int) -> StatePacket:
        """Hang at rest."""
        self._random, self._elapsed = EpisodeRandom(episode_seed(seed, ONE)), 0
        self._randomizer.apply(ONE, self._randomizer.draw(self._random).values)
        start = np.array([self.description.default_position])
        driven = [self.description.joint_names.index(each.joint) for each in self.description.actuators]
        self._world.reset(ONE, Start(start, np.zeros_like(start)), start[:, driven], self._random)
        return self._state()

    def advance(self, target: FloatArray) -> StatePacket:
        """Let a control step pass; commands are limited to the actuators' ranges."""
        self._elapsed += 1
        limited = np.clip(np.nan_to_num(target), self._lower, self._upper)[None]
        self._world.advance(limited, self._random, np.array([self._elapsed]))
        return self._state()

    def _state(self) -> StatePacket:
        time: FloatArray = np.array([self._elapsed * self._period])
        return StatePacket(0, round(1e9 * time[0]), self._world.read(time).row(0))


def _acts(entry: ParameterConfig, world: World) -> bool:
    """Whether an entry finds anything here: the mass of a base that is held moves nothing."""
    parts = PARAMETERS[str(entry.parameter)].elements(world)
    return not parts or bool(matching(entry.target, parts))


def serve(body: Body, wire: socket.socket) -> None:
    """Answer each command with a state until the controller is gone."""
    wire.send(body.restart(0).encode())
    while data := wire.recv(LARGEST_PACKET):
        packet = CommandPacket.decode(data, len(body.description.actuators))
        if packet.mode is Mode.OFF:
            wire.send(body.restart(packet.sequence).encode())
        else:
            wire.send(body.advance(packet.target).encode())


def main(arguments: dict[str, str | int]) -> None:
    """Serve one robot on the socket that was inherited."""
    wire = socket.socket(fileno=int(arguments["socket"]))
    try:
        kind = HeldBody if arguments["held"] else HiddenBody
        body: Body = kind(str(arguments["robot"]), str(arguments["target"]))
    except UserError as error:
        wire.send(encode_hello(None, str(error)))
        return
    wire.send(encode_hello(body.description.model_dump(mode="json")))
    serve(body, wire)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
