"""Benchmarks of Unitree's robots: DDS by the clock, and an emulated Go2 that says how it walked.

The robot is the emulator, in a process of its own. Where the kernel permits it, both ends run with
real-time priority: a robot and its controller have computers of their own, and this one has other work.
"""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from simreal.bench.timing import percentiles_ms
from simreal.deploy.drivers import Driver, open_driver
from simreal.deploy.emulators.faults import Faults
from simreal.deploy.emulators.options import Emulated
from simreal.deploy.emulators.unitree.dds import UnitreeServer
from simreal.deploy.emulators.unitree.go2 import make_go2
from simreal.deploy.realtime import hurry, share_priority
from simreal.deploy.unitree.command import CommandFrame
from simreal.deploy.unitree.idl import as_message, message_type, packed_type
from simreal.deploy.unitree.layout import Frame, decode
from simreal.deploy.unitree.link import Link
from simreal.deploy.unitree.messages import GO_COMMAND, GO_STATE, MESSAGES
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.signals import interrupt_flag
from simreal.state import FloatArray, RobotCommand
from simreal.tasks import Motion, find_task

PRIORITY = 40
PACE = 2e-3
"""s between two timed calls, as a loop at 500 Hz has it: back to back, caches would flatter."""
START_TIMEOUT = 60.0


def _domain() -> int:
    return 200 + os.getpid() % 30


@dataclass(frozen=True, slots=True)
class Walked:
    """What an emulated robot, which knows the truth, says of a flight.

    Attributes:
        fell: whether the task would have ended the episode.
        rows: (steps, 1 + metrics) whether the goal held, and the task's metrics, at the rate of control.
        obeyed: commands.
        ignored: commands.
    """

    fell: bool
    rows: FloatArray
    obeyed: int
    ignored: int


@dataclass(frozen=True, slots=True)
class Walk:
    """What an emulated Go2 is to do: a task's command, at a rate of control in Hz."""

    task: str = "go2_velocity"
    command: Sequence[float] = (0.0, 0.0, 0.0)
    rate: float = 50.0


class _Truth:
    """What the task says of an emulated robot, at the rate of control."""

    def __init__(self, robot: Any, walk: Walk) -> None:
        self._robot, self._task = robot, find_task(walk.task, "go2")
        self._command = np.array([walk.command])
        self._every = round(robot.body.rate / walk.rate)
        self._steps = 0
        self.rows: list[list[float]] = []
        self.fell = False

    def look(self) -> None:
        self._steps += 1
        # In the end the loop lets it lie down, which is no fall.
        if self._steps % self._every or self._robot.braked or not self._robot.pulled:
            return
        physics, still = self._robot.body.physics, np.zeros((1, 12))
        joints = physics.joint_position.copy(), physics.joint_velocity.copy()
        motion = Motion(*joints, still, still, self._command, physics)
        self.fell |= any(bool(ends(motion)[0]) for ends in self._task.terminations.values())
        numbers = [float(metric(motion)[0]) for metric in self._task.metrics.values()]
        self.rows.append([float(self._task.goal(motion)[0]), *numbers])


def _emulate(
    pipe: Connection, domain: int, parameters: Mapping[str, float], seed: int, walk: Walk
) -> None:
    """Run an emulated Go2 until told to end; send what the task says of it."""
    hurry(PRIORITY)
    robot = make_go2(Emulated(parameters, [], None, seed, None))
    truth = _Truth(robot, walk)
    with interrupt_flag() as interrupt:
        server = UnitreeServer(robot, MESSAGES["go"], "lo", domain, Faults())
        pipe.send("ready")

        def after_step() -> None:
            truth.look()
            interrupt.requested |= pipe.poll()

        server.serve(interrupt, after_step=after_step)
        server.close()
    # A flight that ended at once has no half, and held nothing.
    rows = np.array(truth.rows or [[0.0] * (1 + len(find_task(walk.task, "go2").metrics))])
    pipe.send(Walked(truth.fell, rows, robot.obeyed, sum(robot.ignored.values())))


@contextlib.contextmanager
def emulated_go2(
    parameters: Mapping[str, float], seed: int, walk: Walk = Walk()
) -> Iterator[tuple[int, Callable[[], Walked]]]:
    """An emulator that runs; its DDS domain, and what ends it and gives its truth.

    Raises:
        UserError: it does not start.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    domain = _domain()
    process = context.Process(target=_emulate, args=(theirs, domain, parameters, seed, walk))
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_TIMEOUT):
            raise UserError("the emulated Go2 does not start")
        ours.recv()

        def end() -> Walked:
            ours.send("end")
            walked: Walked = ours.recv()
            return walked

        yield domain, end
    except EOFError:
        raise UserError("the emulated Go2 has ended: what it said stands above") from None
    finally:
        process.join(5.0)
        process.kill()


def _paced(function: Callable[[], object], number: int) -> dict[str, float]:
    """Percentiles in ms of the times of calls."""
    taken = []
    for _ in range(number):
        time.sleep(PACE)
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
    return _percentiles(taken)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {f"{name}_ms": round(value, 4) for name, value in percentiles_ms(seconds).items()}


def bus_speed(rounds: int) -> dict[str, Any]:
    """Cost of commands, states and round trips, packed and through the IDL classes, in one run."""
    priority = hurry(PRIORITY)
    default = np.array(load_robot("go2").description.default_position)
    command = RobotCommand(default)
    with emulated_go2({}, 0) as (domain, end):
        driver = open_driver(f"unitree:domain={domain}", "go2")
        with driver:
            share_priority()
            result: dict[str, Any] = {
                "real_time_priority": priority,
                "rounds": rounds,
                "write, packed: encode, checksum, send": _paced(lambda: driver.write(command), rounds),
                "read, packed: take, checksum, decode": _paced(driver.read, rounds),
                "round trip": _round_trips(driver, default, rounds // 10),
            }
        end()
    result |= _idl_speed(default, rounds // 4)
    return result


def _round_trips(driver: Driver, default: Any, number: int) -> dict[str, float]:
    """From a command until a state whose efforts answer it: the emulator's period is part of it."""
    taken = []
    for count in range(number):
        before = driver.read().joint_effort
        assert before is not None
        place = float(np.sign(count % 2 - 0.5))
        begin = time.perf_counter()
        driver.write(RobotCommand(default + 0.2 * place * (np.arange(12) == 0)))
        while time.perf_counter() - begin < 0.1:
            effort = driver.read().joint_effort
            assert effort is not None
            if abs(effort[0] - before[0]) > 3.0:
                taken.append(time.perf_counter() - begin)
                break
            time.sleep(1e-4)
        time.sleep(0.02)
    return _percentiles(taken) | {"answered": len(taken), "asked": number}


def _idl_speed(default: Any, number: int) -> dict[str, Any]:
    """The same message through the classes that Cyclone DDS converts field by field."""
    index = tuple(range(12))
    gains = np.full(12, 25.0), np.full(12, 0.5)
    payload = CommandFrame(MESSAGES["go"], index).follow(default, *gains)
    message = as_message(decode(GO_COMMAND, payload))
    state = Frame(GO_STATE)
    state.seal()
    state_payload, kind = state.encode(), message_type(GO_STATE)
    link = Link("lo", _domain())
    writer = link.writer("rt/idl", message_type(GO_COMMAND))
    packed, packed_kind = link.writer("rt/packed", packed_type(GO_COMMAND)), packed_type(GO_COMMAND)
    try:
        return {
            "write, IDL classes, checksum known": _paced(lambda: writer.write(message), number),
            "write, packed, checksum known": _paced(lambda: packed.write(packed_kind(payload)), number),
            "state from bytes, IDL classes": _paced(lambda: kind.deserialize(state_payload), number),
            "same bytes": message.serialize() == payload,
        }
    finally:
        link.close()
