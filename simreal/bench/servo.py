"""Round trips on a bus of servos over a pseudo-terminal: the driver, and the vendor's SDK as it is."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simreal.bench.timing import percentiles_ms
from simreal.deploy.drivers import open_driver
from simreal.deploy.drivers.servo import dynamixel_table, feetech_table
from simreal.deploy.emulators.fault_control import tell_fault
from simreal.deploy.realtime import hurry
from simreal.errors import UserError
from simreal.state import RobotCommand

EMULATORS = {"feetech": "so101", "dynamixel": "dynamixel-arm"}
IDS = range(1, 7)
CHUNK = 50
"""Round trips of one before the other has its turn: both meet the same machine."""
PERIOD = 0.004
"""s from the end of a round trip to the next one."""
START_TIMEOUT = 120.0
PRIORITY = 40
"""SCHED_FIFO, as a control loop has it; the emulated arm has less."""


@dataclass(frozen=True, slots=True)
class RunningArm:
    """An emulated arm in another process.

    Attributes:
        port: of its pseudo-terminal.
        calibration: that belongs to it.
        control: on which faults are told.
    """

    port: Path
    calibration: Path
    control: Path


@contextmanager
def emulated_arm(kind: str, options: Sequence[str] = ()) -> Iterator[RunningArm]:
    """Start the emulator of a kind of servos, and end it.

    Raises:
        UserError: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        arm = RunningArm(*(Path(folder) / name for name in ("port", "arm.yaml", "control")))
        command = [sys.executable, "-P", "-c", "from simreal.cli.main import main; main()", "emulate"]
        command += [
            EMULATORS[kind],
            "--port",
            str(arm.port),
            "--write-calibration",
            str(arm.calibration),
        ]
        process = subprocess.Popen(
            [*command, "--control", str(arm.control), *options], stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not arm.control.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"the emulated arm does not start: {' '.join(options)}")
                time.sleep(0.02)
            yield arm
        finally:
            process.terminate()
            process.wait()


def servo_round_trips(kind: str, rounds: int) -> dict[str, Any]:
    """Time reads and writes of six servos, by turns through the driver and through the SDK.

    Both read the same registers of all servos and write the same ones to all of them.

    Args:
        kind: "feetech" or "dynamixel".
        rounds: of each.

    Returns:
        Percentiles in ms, processor time of a round trip, the ratios of ours to the SDK's, and what a
        lost answer costs each.
    """
    priority = hurry(PRIORITY)
    with emulated_arm(kind) as arm:
        specification = f"{kind}:port={arm.port},calibration={arm.calibration}"
        with open_driver(specification, "so101") as driver, _bare_sdk(kind, arm.port) as bare:
            target = driver.read().joint_position

            def ours() -> bool:
                begun = time.monotonic()
                state = driver.read()
                driver.write(RobotCommand(target))
                return float(state.time) >= begun

            ours()
            busy: dict[str, float] = {}
            usual = _by_turns({"driver": ours, "sdk": bare}, rounds, busy=busy)
            tell_fault(arm.control, "drop:gripper")
            lost = _by_turns({"driver": ours, "sdk": bare}, max(CHUNK, rounds // 10), complete=False)
            tell_fault(arm.control, "clear")
    medians = {name: float(np.median(times)) for name, times in usual.items()}
    return {
        "servos": len(IDS),
        "real_time_priority": priority,
        "rounds": rounds,
        "complete": {name: len(times) / rounds for name, times in usual.items()},
        "processors": os.cpu_count(),
        "driver_ms": percentiles_ms(usual["driver"]),
        "sdk_ms": percentiles_ms(usual["sdk"]),
        "processor_ms": busy,
        "p50_ratio": medians["driver"] / medians["sdk"],
        "p99_ratio": float(np.percentile(usual["driver"], 99) / np.percentile(usual["sdk"], 99)),
        "lost_answer_costs_ms": {
            name: {
                "p50": 1e3 * (float(np.median(times)) - medians[name]),
                "p99": 1e3 * (float(np.percentile(times, 99)) - medians[name]),
            }
            for name, times in lost.items()
        },
    }


def _by_turns(
    calls: dict[str, Callable[[], bool]],
    rounds: int,
    complete: bool = True,
    busy: dict[str, float] | None = None,
) -> dict[str, list[float]]:
    """Name to s of each call, of those that brought what all servos say, or of those that did not.

    Args:
        calls: by name.
        rounds: of each, rounded up to whole turns.
        complete: which of them.
        busy: filled with ms of processor time of a call, pauses included.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    turns = -(-rounds // CHUNK)
    processor = dict.fromkeys(calls, 0.0)
    for _ in range(turns):
        for name, call in calls.items():
            processor[name] -= time.process_time()
            for _ in range(CHUNK):
                begun = time.perf_counter()
                has_all = call()
                if has_all == complete:
                    times[name].append(time.perf_counter() - begun)
                time.sleep(PERIOD)
            processor[name] += time.process_time()
    if busy is not None:
        busy |= {name: 1e3 * each / (turns * CHUNK) for name, each in processor.items()}
    return times


@contextmanager
def _bare_sdk(kind: str, path: Path) -> Iterator[Callable[[], bool]]:
    """A round trip as the vendor's examples do it; whether all servos answered."""
    if kind == "feetech":
        import scservo_sdk as sdk

        table: Any = feetech_table
        handler: Any = sdk.PacketHandler(0)
        blocks = [feetech_table.COMMAND]
    else:
        import dynamixel_sdk as sdk

        table, handler = dynamixel_table, sdk.PacketHandler(2.0)
        blocks = [dynamixel_table.LIMIT, dynamixel_table.GOAL]
    port = sdk.PortHandler(str(path))
    port.openPort()
    port.setBaudRate(1_000_000)
    read = sdk.GroupSyncRead(port, handler, table.STATE.start, table.STATE.length)
    for servo in IDS:
        read.addParam(servo)
    goals = {"goal_position": 2048, "torque_limit": 1000, "goal_pwm": 885}

    def round_trip() -> bool:
        # What Feetech's SDK leaves undone: after one late answer, it would read old ones for ever.
        port.ser.reset_input_buffer()
        result = read.txRxPacket()
        for servo in IDS:
            for register in table.STATE.registers:
                if register.size != 1 and read.isAvailable(servo, register.address, register.size):
                    read.getData(servo, register.address, register.size)
        for block in blocks:
            write = sdk.GroupSyncWrite(port, handler, block.start, block.length)
            numbers = {name: [goals[name]] for name in block.names if name in goals}
            for servo in IDS:
                write.addParam(servo, list(block.encode_for([servo], numbers)[1:]))
            write.txPacket()
        return bool(result == 0)

    yield round_trip
    port.closePort()
