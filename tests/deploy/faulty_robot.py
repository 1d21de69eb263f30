"""A wire with faults between the controller and the simulated robot, in a process of its own.

It keeps a record, of which every line is JSON: what the controller sent, what the robot felt.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers.sim import SimDriver
from simreal.deploy.sim_wire import (
    LARGEST_PACKET,
    CommandPacket,
    Mode,
    StatePacket,
    decode_hello,
    encode_hello,
)

DELAY = 0.05
"""s."""
AFTERWARDS = 3.5
"""s for which a robot is watched whose controller is gone."""


class FaultyDriver(SimDriver):
    """The driver of the simulated robot, over such a wire."""

    program = (__file__,)

    def __init__(self, fault: str, record: Path, after: int = 150, robot: str = "qube") -> None:
        """`after` so many states from the first command on, the wire becomes faulty."""
        super().__init__(robot, {})
        self._arguments |= {"fault": fault, "after": after, "record": str(record)}


def read_record(path: Path) -> list[dict[str, Any]]:
    """Its lines, but for one that a kill has cut."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


class Wire:
    """Both ends, and what lies between."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._fault, self._after = arguments["fault"], arguments["after"]
        self._record = Path(arguments["record"]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._controller = socket.socket(fileno=arguments["socket"])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = ("robot", "parameters", "seed", "task", "stand")
        given = {name: arguments[name] for name in kept if name in arguments}
        command = [sys.executable, "-P", *SimDriver.program]
        command.append(json.dumps(given | {"socket": theirs.fileno()}))
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self._robot = ours
        self._commanded = False
        self._states, self._last = 0, StatePacket(0, 0, None)  # type: ignore[arg-type]
        self._late: deque[tuple[float, bytes]] = deque()
        self._held: bytes | None = None

    def greet(self) -> None:
        """Pass on what the robot says of itself, and begin."""
        robot, error = decode_hello(self._robot.recv(LARGEST_PACKET))
        assert robot is not None, error
        self._description = RobotDescription.model_validate(robot)
        if self._fault == "wrong joint order":
            robot["joints"].reverse()
        self._controller.send(encode_hello(robot))

    def run(self) -> None:
        """Until both ends are gone; the robot is watched for a while longer than its controller."""
        gone: float | None = None
        while gone is None or time.monotonic() < gone + AFTERWARDS:
            ends = [self._robot] if gone else [self._robot, self._controller]
            for end in select.select(ends, [], [], 0.002)[0]:
                try:
                    data = end.recv(LARGEST_PACKET)
                except OSError:
                    data = b""
                if end is self._controller and not data:
                    gone = time.monotonic()
                    self._note("gone")
                elif end is self._robot and not data:
                    return
                elif end is self._controller:
                    self._command(data)
                else:
                    self._state(data, gone is not None)
            self._release()
        self._robot.close()
        self._process.wait()

    def _note(self, kind: str, **content: Any) -> None:
        self._record.write(json.dumps({"kind": kind, "at": time.monotonic(), **content}) + "\n")

    def _command(self, data: bytes) -> None:
        packet = CommandPacket.decode(data, len(self._description.actuators))
        mode = Mode(packet.mode).name
        self._commanded = self._commanded or mode == "FOLLOW"
        self._note("command", mode=mode, target=packet.target.tolist(), authority=packet.authority)
        if not (self._fault == "deaf" and self._states > self._after):
            with contextlib.suppress(OSError):  # the robot may be gone
                self._robot.send(data)

    def _state(self, data: bytes, alone: bool) -> None:
        packet = StatePacket.decode(data, len(self._description.joints), self._description.imu)
        position, velocity = packet.state.joint_position.tolist(), packet.state.joint_velocity.tolist()
        self._note("state", position=position, velocity=velocity)
        self._states += self._commanded
        if self._states > self._after and self._fault == "killed":
            self._process.kill()
        for each in [] if alone else self._changed(packet, data):
            try:
                self._controller.send(each, socket.MSG_DONTWAIT)
            except OSError:
                return

    def _changed(self, packet: StatePacket, data: bytes) -> list[bytes]:
        """What the controller gets instead of a state."""
        state = packet.state
        if self._states <= self._after:
            self._last = packet
            return [data]
        match self._fault:
            case "mute":
                return []
            case "duplicated":
                return [data, data]
            case "frozen":
                return [StatePacket(packet.sequence, packet.time_ns, self._last.state).encode()]
            case "delayed":
                self._late.append((time.monotonic() + DELAY, data))
                return []
            case "out of order":
                held, self._held = self._held, None if self._held else data
                return [data, held] if held else []
            case "nan":
                state.joint_position = np.full_like(state.joint_position, np.nan)
                return [packet.encode()]
            case "sign flipped":
                state.joint_position = -state.joint_position
                state.joint_velocity = -state.joint_velocity
                return [packet.encode()]
        return [data]

    def _release(self) -> None:
        while self._late and self._late[0][0] <= time.monotonic():
            try:
                self._controller.send(self._late.popleft()[1], socket.MSG_DONTWAIT)
            except OSError:
                return


def main() -> None:
    # As punctual as the robot, where that is allowed: no fault but its own.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(20))
    wire = Wire(json.loads(sys.argv[1]))
    wire.greet()
    wire.run()


if __name__ == "__main__":
    main()
