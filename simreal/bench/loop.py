"""Figures of the control loop, each in real time on this computer; `simreal bench loop` prints them.

The robot answers at once and in the loop's own process, so that what is measured is the loop. Its state
is that of a Go2 at rest, its policy a network of 48-256-128-12.
"""

import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from simreal.callbacks import Tell
from simreal.contract import (
    ActionMapping,
    Command,
    Contract,
    ObservationTerm,
    Provenance,
    RobotDescription,
)
from simreal.deploy.drivers import Driver
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import CONTRACT_KEY, GOLDEN_KEY, GoldenVectors, Policy, load_policy, sealed
from simreal.deploy.realtime import RealTime
from simreal.errors import missing_extra
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState

ROBOT = "go2"
HIDDEN_SIZES = (256, 128)
HOGS = 4
PRIORITY = RealTime().priority
SOURCES = ("angular_velocity", "linear_acceleration", "projected_gravity", "command", "joint_offset")
PEER = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static int by_size(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}
int main(int count, char **argument) {
    long period = atol(argument[1]), cycles = atol(argument[2]), skipped = 0, met = 0;
    struct sched_param parameter = {.sched_priority = atoi(argument[3])};
    long *late = calloc(cycles, sizeof *late);
    if (count != 4 || !late || sched_setscheduler(0, SCHED_FIFO, &parameter)) return 1;
    mlockall(MCL_CURRENT | MCL_FUTURE);
    struct timespec now, wake;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long deadline = now.tv_sec * 1000000000L + now.tv_nsec;
    while (met + skipped < cycles) {
        deadline += period;
        wake.tv_sec = deadline / 1000000000L;
        wake.tv_nsec = deadline % 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        late[met] = now.tv_sec * 1000000000L + now.tv_nsec - deadline;
        long missed = late[met++] / period;
        skipped += missed;
        deadline += missed * period;
    }
    qsort(late, met, sizeof *late, by_size);
    printf("%ld %ld %ld %ld\n", late[met / 2], late[(long)(met * 0.99)], late[met - 1], skipped);
    return 0;
}
"""
"""A loop of nothing but `clock_nanosleep`: what this computer can do at all."""


class StillRobot(Driver):
    """A Go2 at rest that answers at once.

    Attributes:
        processor_time: s of this process, at the first and at the newest read.
        memory: bytes of this process in memory, at each `MEMORY_PERIOD`-th read.
    """

    def __init__(self) -> None:
        """Lay out its state."""
        self._robot = load_robot(ROBOT).description
        self._position = np.array(self._robot.default_position)
        self._reads = 0
        self.processor_time = [0.0, 0.0]
        self.memory_period = 0
        self.memory = np.zeros(64, dtype=np.int64)
        self.samples = 0

    def connect(self) -> RobotDescription:
        """See `Driver.connect`."""
        return self._robot

    def read(self) -> RobotState:
        """A state of now, another than the last one by some bits."""
        self._reads += 1
        self.processor_time[self._reads > 1] = time.process_time()
        if self.memory_period and self._reads % self.memory_period == 0 and self.samples < 64:
            self.memory[self.samples] = resident_bytes()
            self.samples += 1
        position = self._position + 1e-6 * (self._reads % 7)
        state = RobotState(time.monotonic(), position, np.zeros(12))
        state.orientation = np.array([1.0, 0.0, 0.0, 0.0])
        state.angular_velocity = np.zeros(3)
        state.linear_acceleration = np.array([0.0, 0.0, 9.81])
        return state

    def write(self, command: RobotCommand) -> None:
        """Heed nothing."""

    def hold(self) -> None:
        """Heed nothing."""

    def damp(self) -> None:
        """Heed nothing."""

    def off(self) -> None:
        """Heed nothing."""

    def disconnect(self) -> None:
        """Nothing to let go of."""


def resident_bytes() -> int:
    """Memory of this process that is its own: without pages that it shares with others."""
    fields = Path("/proc/self/statm").read_text("ascii").split()
    return (int(fields[1]) - int(fields[2])) * resource.getpagesize()


def bench_policy(rate: float, folder: Path) -> Policy:
    """A policy of 48-256-128-12 for the Go2 at a rate in Hz, with weights that are small and random."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "train") from None
    robot = load_robot(ROBOT).description
    contract = Contract(
        robot=robot,
        control_rate=rate,
        observation=tuple(
            ObservationTerm(source=source) for source in (*SOURCES, "joint_velocity", "previous_action")
        ),
        action=ActionMapping(scale=(0.1,) * 12, offset=robot.default_position),
        commands=tuple(Command(name=name, unit="m/s", low=-1.0, high=1.0) for name in "xyz"),
        provenance=Provenance(task="bench", agent="none", seed=0, training_steps=0, versions={}),
    )
    pipeline, rng = ObservationPipeline(contract), np.random.default_rng(0)
    sizes = (pipeline.size, *HIDDEN_SIZES, 12)
    nodes, constants, last = [], [], "observation"
    for number, (wide, narrow) in enumerate(pairwise(sizes)):
        weight = rng.normal(0.0, 0.1 / math.sqrt(wide), (wide, narrow)).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"weight{number}"))
        constants.append(numpy_helper.from_array(np.zeros(narrow, np.float32), f"bias{number}"))
        out = "action" if narrow == 12 else f"hidden{number}"
        nodes.append(
            helper.make_node("Gemm", [last, f"weight{number}", f"bias{number}"], [f"sum{number}"])
        )
        nodes.append(helper.make_node("Tanh" if narrow == 12 else "Elu", [f"sum{number}"], [out]))
        last = out
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("observation", sizes[0]), ("action", 12))
    ]
    graph = helper.make_graph(nodes, "policy", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key=CONTRACT_KEY, value=contract.to_json())
    model.metadata_props.add(key=GOLDEN_KEY, value=_golden(model, contract).model_dump_json())
    path = folder / f"bench_{rate:g}.onnx"
    path.write_bytes(sealed(model.SerializeToString()))
    return load_policy(path)


def _golden(model: Any, contract: Contract) -> GoldenVectors:
    """One step of the robot at rest."""
    import onnxruntime

    from simreal.action import ActionPipeline

    robot = StillRobot()
    state, zero = robot.read(), np.zeros(12)
    observation = ObservationPipeline(contract).begin(state, zero, command=np.zeros(3))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    action = session.run(None, {"observation": observation[None]})[0][0]
    target = ActionPipeline(contract)(action.astype(np.float64)).target
    rows = {
        "observation": observation,
        "action": action,
        "command": target,
        "asked": np.zeros(3),
        "joint_position": state.joint_position,
        "joint_velocity": state.joint_velocity,
        **state.inertial(),
    }
    return GoldenVectors(**{name: (tuple(values.tolist()),) for name, values in rows.items()})


def run_loop(rate: float, duration: float, robot: StillRobot | None = None) -> Outcome:
    """One recorded run of the loop in real time, as far as the kernel permits."""
    with tempfile.TemporaryDirectory() as folder:
        policy = bench_policy(rate, Path(folder))
        log = Path(folder) / "flight.mcap"
        options = LoopOptions(real_time=RealTime(PRIORITY))
        return deploy(policy, robot or StillRobot(), duration, log, options=options)


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """So many processes that compute without end, at the usual priority."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def peer(folder: Path) -> Path | None:
    """The C loop, compiled; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, program = folder / "peer.c", folder / "peer"
    source.write_text(PEER, "utf-8")
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def run_peer(program: Path, rate: float, duration: float) -> dict[str, float]:
    """Wake lateness of the C loop, in ms, and the share of periods that it missed."""
    cycles = round(rate * duration)
    arguments = [str(program), str(round(1e9 / rate)), str(cycles), str(PRIORITY)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if found.returncode:
        return {}
    p50, p99, largest, skipped = map(int, found.stdout.split())
    late = {"p50_ms": 1e-6 * p50, "p99_ms": 1e-6 * p99, "max_ms": 1e-6 * largest}
    return late | {"missed": skipped / cycles}


def overhead(duration: float) -> dict[str, Any]:
    """What the loop takes besides driver and policy, paced at 500 Hz."""
    outcome = run_loop(500.0, duration)
    found = outcome.timing["overhead"]
    return {
        "p50_us": 1e3 * found["p50_ms"],
        "p99_us": 1e3 * found["p99_ms"],
        "missed": outcome.overrun_share,
        **_conditions(outcome),
    }


def under_load(duration: float) -> dict[str, Any]:
    """Wake lateness at 500 Hz beside CPU hogs, of the loop and of a C loop in turn."""
    with tempfile.TemporaryDirectory() as folder, hogs(HOGS):
        program = peer(Path(folder))
        theirs = {} if program is None else run_peer(program, 500.0, duration)
        outcome = run_loop(500.0, duration)
    late = outcome.timing["late"]
    found = {"p50_ms": late["p50_ms"], "p99_ms": late["p99_ms"], "max_ms": late["max_ms"]}
    found |= {"missed": outcome.overrun_share, **_conditions(outcome)}
    if theirs:
        found |= {f"c_{name}": value for name, value in theirs.items()}
        found["p99_ratio"] = late["p99_ms"] / theirs["p99_ms"]
    return found


def fastest(duration: float) -> dict[str, Any]:
    """The loop at 1000 Hz."""
    outcome = run_loop(1000.0, duration)
    compute, late = outcome.timing["compute"], outcome.timing["late"]
    return {
        "missed": outcome.overrun_share,
        "late_p99_ms": late["p99_ms"],
        "compute_p99_ms": compute["p99_ms"],
        **_conditions(outcome),
    }


def processor_use(duration: float) -> dict[str, Any]:
    """Share of a core that the loop's process takes at 50 Hz, and the share with the log's writer."""
    robot = StillRobot()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = run_loop(50.0, duration, robot=robot)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    writer = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    first, last = robot.processor_time
    loop = (last - first) / duration
    return {"share": loop, "share_with_writer": loop + writer / duration, **_conditions(outcome)}


def memory_growth(cycles: int) -> dict[str, Any]:
    """Growth of the loop's own memory over so many cycles at 1000 Hz, after the first eighth of them."""
    robot = StillRobot()
    robot.memory_period = max(1, cycles // 64)
    outcome = run_loop(1000.0, cycles / 1000.0, robot=robot)
    settled = robot.memory[robot.samples // 8 : robot.samples]
    return {
        "growth_kib": float(settled[-1] - settled[0]) / 1024,
        "spread_kib": float(settled.max() - settled.min()) / 1024,
        "cycles": outcome.cycles,
        **_conditions(outcome),
    }


def _conditions(outcome: Outcome) -> dict[str, Any]:
    return {
        "ended_by": outcome.ended_by,
        "fault": outcome.fault,
        "dropped": outcome.dropped,
        "real_time": outcome.real_time,
        "load": round(os.getloadavg()[0], 1),
    }


MEASURES: dict[str, tuple[Callable[[float], dict[str, Any]], float, str]] = {
    "overhead": (overhead, 20.0, "p50 120 us, p99 400 us"),
    "load": (under_load, 20.0, "p99 at most 2x the C loop's, missed 0.1 %"),
    "fast": (fastest, 60.0, "missed 0.1 %"),
    "processor": (processor_use, 20.0, "10 % of a core"),
    "memory": (lambda duration: memory_growth(round(1000 * duration)), 180.0, "none"),
}
"""By name: what measures, for how many s, and the bar."""


def measure(names: list[str], repeats: int, tell: Tell) -> dict[str, Any]:
    """Measure some figures in turn, so that a slow minute does not hit one of them alone."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            function, duration, _ = MEASURES[name]
            tell(f"{repeat + 1}/{repeats} {name}, {duration:g} s")
            found[name].append(function(duration))
    machine = {"cores": os.cpu_count(), "kernel": platform.release()}
    return {"machine": machine, **found}


def table(found: dict[str, Any]) -> str:
    """The figures for people: the median of the repeats, and their range."""
    lines = ["| figure | bar | median (range) |", "| --- | --- | --- |"]
    for name, rows in found.items():
        if name not in MEASURES:
            continue
        numbers = [key for key, value in rows[0].items() if isinstance(value, float)]
        cells = []
        for key in numbers:
            values = [row[key] for row in rows if key in row]
            middle = float(np.median(values))
            cells.append(f"{key} {middle:.4g} ({min(values):.4g} to {max(values):.4g})")
        lines.append(f"| {name} | {MEASURES[name][2]} | {'; '.join(cells)} |")
        if faults := [row["fault"] for row in rows if row["fault"]]:
            lines.append(f"| | | ended by a fault: {faults[0]} |")
        if name == "load" and "p99_ratio" not in rows[0]:
            lines.append("| | | no C loop to compare with: no compiler `cc`, or no SCHED_FIFO |")
    return "\n".join(lines)
