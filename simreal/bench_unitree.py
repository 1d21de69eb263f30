"""Benchmarks of Unitree's robots: DDS by the clock, and a policy that walks over it.

The robot is the emulator, in a process of its own. Where the kernel permits it, both ends run with
real-time priority: a robot and its controller have computers of their own, and this one has other work.
"""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from simreal.deploy.command_source import FixedSource
from simreal.deploy.drivers import Driver, open_driver
from simreal.deploy.emulators.faults import Faults
from simreal.deploy.emulators.go2 import make_go2
from simreal.deploy.emulators.options import Emulated
from simreal.deploy.emulators.unitree_dds import UnitreeServer
from simreal.deploy.loop import asked_values, deploy
from simreal.deploy.policy import Policy, load_policy
from simreal.deploy.unitree.command import CommandFrame
from simreal.deploy.unitree.idl import as_message, message_type, packed_type
from simreal.deploy.unitree.layout import Frame, decode
from simreal.deploy.unitree.link import Link
from simreal.deploy.unitree.messages import GO_COMMAND, GO_STATE, MESSAGES
from simreal.evaluate import evaluate, load_candidate
from simreal.robots import load_robot
from simreal.signals import interrupt_flag
from simreal.state import RobotCommand
from simreal.tasks import Motion, Task, find_task

ROBOTS: tuple[Mapping[str, float], ...] = (
    {},
    {"mass": 1.1, "action_latency_ms": 12.0},
    {"friction": 0.7, "action_latency_ms": 6.0},
    {"mass": 0.95, "motor_strength": 0.95},
)
"""True parameters of the robots that walk in turn."""
PRIORITY = 40
PACE = 2e-3
"""s between two timed calls, as a loop at 500 Hz has it: back to back, caches would flatter."""
START_TIMEOUT = 60.0
EVALUATED = 100
"""Episodes in simulation, against which flights are held."""


def hurry() -> bool:
    """Ask for real-time priority; whether it was given."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except (OSError, AttributeError):
        return False
    return True


def _domain() -> int:
    return 200 + os.getpid() % 30


class _Truth:
    """What the task says of an emulated robot, at the rate of control."""

    def __init__(self, robot: Any, task: Task, command: Sequence[float]) -> None:
        self._robot, self._task, self._command = robot, task, np.array([command])
        self._every = round(robot.body.rate / 50.0)
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
    pipe: Connection, domain: int, parameters: Mapping[str, float], seed: int, command: Sequence[float]
) -> None:
    """Run an emulated Go2 until told to end; send what the task says of it."""
    hurry()
    robot = make_go2(Emulated(parameters, [], None, seed, None))
    truth = _Truth(robot, find_task("go2_velocity", "go2"), command)
    with interrupt_flag() as interrupt:
        server = UnitreeServer(robot, MESSAGES["go"], "lo", domain, Faults())
        pipe.send("ready")

        def after_step() -> None:
            truth.look()
            interrupt.requested |= pipe.poll()

        server.serve(interrupt, after_step=after_step)
        server.close()
    pipe.send((truth.fell, truth.rows, robot.obeyed, sum(robot.ignored.values())))


@contextlib.contextmanager
def _emulated(
    parameters: Mapping[str, float], seed: int, command: Sequence[float]
) -> Iterator[tuple[int, Callable[[], Any]]]:
    """An emulator that runs; its domain, and what ends it and gives its truth."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    domain = _domain()
    process = context.Process(target=_emulate, args=(theirs, domain, parameters, seed, command))
    process.start()
    try:
        if not ours.poll(START_TIMEOUT):
            raise TimeoutError("the emulator does not start")
        ours.recv()

        def end() -> Any:
            ours.send("end")
            return ours.recv()

        yield domain, end
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
    p50, p90, p99 = 1e3 * np.percentile(seconds, [50, 90, 99])
    return {"p50_ms": round(p50, 4), "p90_ms": round(p90, 4), "p99_ms": round(p99, 4)}


def bus_speed(rounds: int) -> dict[str, Any]:
    """Cost of commands, states and round trips, packed and through the IDL classes, in one run."""
    priority = hurry()
    default = np.array(load_robot("go2").description.default_position)
    command = RobotCommand(default)
    with _emulated({}, 0, (0.0, 0.0, 0.0)) as (domain, end):
        driver = open_driver(f"unitree:domain={domain}", "go2")
        with driver:
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


def _simulated(
    loaded: Policy, parameters: Mapping[str, float], seed: int, asked: Mapping[str, float]
) -> str | None:
    """What fault the same flight ends with, within 3 s, where no DDS is in between."""
    text = ",".join(f"{name}={value}" for name, value in {**parameters, "seed": seed}.items())
    contract = loaded.contract
    driver = open_driver(f"sim:{text}", contract.robot.name, contract.provenance.task)
    return deploy(loaded, driver, 3.0, None, FixedSource(asked_values(contract, asked))).fault


def flights(
    policy: Path,
    number: int,
    duration: float,
    robots: Sequence[Mapping[str, float]],
    tell: Callable[[str], object],
) -> dict[str, Any]:
    """Let a policy walk an emulated Go2 in real time over DDS, against its evaluation in simulation.

    Each flight has a seed, a command from the policy's ranges, and one of the robots. It is a success if
    the robot does not fall and the task's goal holds in 90 % of the second half, as in evaluation.
    """
    priority = hurry()
    loaded = load_policy(policy)
    ranges = loaded.contract.commands
    rng = np.random.default_rng(0)
    task = find_task("go2_velocity", "go2")
    rows = []
    for seed in range(number):
        command = [round(float(rng.uniform(each.low, each.high)), 3) for each in ranges]
        parameters = robots[seed % len(robots)]
        asked = {each.name: value for each, value in zip(ranges, command, strict=True)}
        with _emulated(parameters, seed, command) as (domain, end):
            driver = open_driver(f"unitree:domain={domain}", "go2")
            source = FixedSource(asked_values(loaded.contract, asked))
            outcome = deploy(loaded, driver, duration, None, source)
            fell, truth, obeyed, ignored = end()
        # A flight that ended at once has no half, and held nothing.
        second = np.array(truth or [[0.0] * (1 + len(task.metrics))])[len(truth) // 2 :]
        share = float(second[:, 0].mean())
        row = {
            "seed": seed,
            "robot": dict(parameters),
            "command": command,
            "fell": fell,
            "fault": outcome.fault,
            "fault_with_driver_sim": outcome.fault and _simulated(loaded, parameters, seed, asked),
            "goal_share_second_half": round(share, 3),
            "success": not fell and outcome.fault is None and share >= task.success_share,
            **{
                name: round(float(v), 3)
                for name, v in zip(task.metrics, second[:, 1:].mean(0), strict=True)
            },
            "overruns": outcome.overruns,
            "commands_obeyed": obeyed,
            "commands_not_obeyed": ignored,
        }
        rows.append(row)
        tell(json.dumps(row))
    success = float(np.mean([row["success"] for row in rows]))
    # Over its own draws of robots, commands and pushes.
    trained = evaluate(load_candidate(policy), EVALUATED, seed=100).summary.success.value
    return {
        "real_time_priority": priority,
        "flights": rows,
        "falls": sum(row["fell"] for row in rows),
        "success": success,
        "success_in_evaluation": trained,
        "ratio": None if not trained else success / trained,
        **{f"mean_{name}": float(np.mean([row[name] for row in rows])) for name in task.metrics},
    }
