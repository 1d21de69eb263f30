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

import numpy as np

from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    encode_hello,
)
from simreal.env import BatchEnv
from simreal.episode_random import episode_seed
from simreal.errors import UserError
from simreal.state import FloatArray
from simreal.transfer_bench.targets import find_target, target_experiment

ONE = np.array([0])
LONGEST = 3600.0
"""s, after which even a robot that nothing stops is put back."""


class HiddenBody:
    """The robot behind the wire: raw commands in, raw states out."""

    def __init__(self, robot: str, target: str) -> None:
        """Build it.

        Raises:
            UserError: no such target.
        """
        experiment = target_experiment(robot, find_target(robot, target)).from_start()
        experiment = experiment.model_copy(update={"episode_length": LONGEST})
        self._env = BatchEnv(experiment, 1, threads=1)
        self.rate = experiment.control_rate
        self.description = self._env.contract.robot
        self._lower = np.array([each.lower for each in self.description.actuators])
        self._upper = np.array([each.upper for each in self.description.actuators])
        mapping = self._env.contract.action
        self._scale, self._offset = np.array(mapping.scale), np.array(mapping.offset)
        self._stopped = False
        self._newest = self.restart(0)

    def restart(self, seed: int) -> StatePacket:
        """Stand at the start of a numbered episode."""
        self._env.begin(ONE, episode_seed(seed, ONE), None)
        self._stopped = False
        return self._state()

    def advance(self, target: FloatArray) -> StatePacket:
        """Let a control step pass; commands are limited as the amplifier limits them."""
        if self._stopped:
            return self._newest
        limited = np.clip(np.nan_to_num(target), self._lower, self._upper)
        step = self._env.step(((limited - self._offset) / self._scale)[None])
        self._stopped = bool(step.terminated[0] or step.truncated[0])
        return self._newest if self._stopped else self._state()

    def _state(self) -> StatePacket:
        state = self._env.measured_state().row(0)
        time = float(np.asarray(state.time))
        self._newest = StatePacket(0, round(1e9 * time), state)
        return self._newest


def serve(body: HiddenBody, wire: socket.socket) -> None:
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
        body = HiddenBody(str(arguments["robot"]), str(arguments["target"]))
    except UserError as error:
        wire.send(encode_hello(None, str(error)))
        return
    wire.send(encode_hello(body.description.model_dump(mode="json")))
    serve(body, wire)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
