"""What the CAN driver adds to bare python-can, and an emulated leg of CAN motors."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simreal.bench.timing import percentiles_ms
from simreal.errors import UserError, missing_extra
from simreal.robots import Robot, load_robot
from simreal.robots.can_wire import CanConfig, CanMotorConfig

ROBOT = "so101"
"""Of the shipped robots, the one with six joints; here with other motors than it has."""
BLOCK = 50
"""Round trips, after which the two take turns."""
WARM_UP = 100
PATIENCE = 2.0
"""s, for which an answer is waited for."""
WATCHDOG_MS = 5000.0
"""Of the emulated motors, so that a busy computer does not stop them."""


def six_motors() -> Robot:
    """Six Damiao motors on one bus."""
    robot = load_robot(ROBOT)
    motors = {
        name: CanMotorConfig(model="dm4310", id=number, master_id=0x10 + number)
        for number, name in enumerate(robot.description.actuator_names, 1)
    }
    wire = {"wire": {"can": CanConfig(motors=motors).model_dump()}}
    document = robot.config.model_dump() | wire
    document["safety"]["watchdog_ms"] = WATCHDOG_MS
    config = type(robot.config).model_validate(document)
    return Robot(config, robot.model_path)


@contextlib.contextmanager
def emulated() -> Iterator[str]:
    """The six motors in another process; the path of their terminal."""
    command = [sys.executable, "-P", "-m", "simreal.bench.can"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        device = process.stdout.readline().strip()
        if not device:
            raise UserError("the emulated motors have not started: what they said stands above")
        yield device
    finally:
        process.kill()  # nothing is left to it that it would have to end well
        process.wait()


def can_round_trips(rounds: int) -> dict[str, Any]:
    """Commands to six motors and their answers, by the driver and by python-can alone, in turn.

    Both use the same terminal and the same bytes. The driver's part is `write`, and `read` until every
    joint is newer than the command.

    Args:
        rounds: of each.
    """
    try:
        import can

        from simreal.deploy.drivers.can.driver import CanDriver
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "can") from None
    from simreal.state import RobotCommand

    robot = six_motors()
    command = RobotCommand(np.array(robot.description.default_position))
    ours: list[float] = []
    bare: list[float] = []
    with emulated() as device, CanDriver(robot, "slcan", [device]) as driver:
        messages = [
            can.Message(arbitration_id=frame.id, data=frame.data, is_extended_id=False)
            for frame in (
                node.protocol.command(node.law(value))
                for node, value in zip(driver.nodes, command.target, strict=True)
            )
        ]
        bus = driver.nodes[0].bus.raw

        def by_driver() -> float:
            start = time.perf_counter()
            asked = time.monotonic()
            driver.write(command)
            while driver.read().time < asked:
                if time.monotonic() - asked > PATIENCE:
                    raise UserError("an emulated motor does not answer: is this computer too busy?")
                driver.nodes[0].bus.wait(0.1)
            return time.perf_counter() - start

        def by_python_can() -> float:
            start = time.perf_counter()
            for each in messages:
                bus.send(
                    can.Message(arbitration_id=each.arbitration_id, data=each.data, is_extended_id=False)
                )
            for _ in messages:
                while bus.recv(0.0) is None:  # its own waiting spins on a terminal that does not block
                    if time.perf_counter() - start > PATIENCE:
                        raise UserError("an emulated motor does not answer: is this computer too busy?")
                    driver.nodes[0].bus.wait(0.1)
            return time.perf_counter() - start

        for _ in range(WARM_UP):
            by_driver()
        while len(ours) < rounds:
            ours += [by_driver() for _ in range(BLOCK)]
            bare += [by_python_can() for _ in range(BLOCK)]
    return {
        "motors": len(messages),
        "rounds": len(ours),
        "driver_ms": percentiles_ms(ours, (10, 50, 90, 99)),
        "python_can_ms": percentiles_ms(bare, (10, 50, 90, 99)),
        "ratio_p50": float(np.median(ours) / np.median(bare)),
        "ratio_p99": float(np.percentile(ours, 99) / np.percentile(bare, 99)),
    }


@contextlib.contextmanager
def emulated_leg(robot: str, options: Sequence[str]) -> Iterator[Path]:
    """The emulator of a robot with CAN motors in another process; the path of its slcan terminal.

    Args:
        robot: with `wire.can`.
        options: more of `simreal emulate can-leg`.

    Raises:
        UserError: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder, _serving(robot, Path(folder, "can"), options) as port:
        yield port


@contextlib.contextmanager
def _serving(robot: str, port: Path, options: Sequence[str]) -> Iterator[Path]:
    command = [
        sys.executable,
        "-P",
        "-c",
        "from simreal.cli.main import main; main()",
        "emulate",
        "can-leg",
    ]
    command += ["--robot", robot, "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise UserError("the emulated leg has not started: what it said stands above")
        yield port
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve the six motors until told to end; the path of the terminal is the first line."""
    from simreal.deploy.emulators.can.can_leg import CanRobot, serve
    from simreal.deploy.emulators.can.port import SlcanPort
    from simreal.deploy.emulators.options import Emulated

    wire = six_motors().config.wire
    assert wire is not None
    assert wire.can is not None
    robot, port = CanRobot(ROBOT, wire.can, Emulated({}, [], None, 0, None)), SlcanPort()
    print(port.device, flush=True)
    serve(robot, [port], None)


if __name__ == "__main__":
    main()
