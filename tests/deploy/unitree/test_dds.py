"""Real DDS between real processes, on the loopback interface."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclonedds")

from simreal.deploy.drivers import DriverError, open_driver
from simreal.deploy.drivers.unitree import UnitreeDriver
from simreal.robots import load_robot
from simreal.state import RobotCommand

DEFAULT = np.array(load_robot("go2").description.default_position)
CONTROLLER = """
import sys, time, numpy as np
from simreal.deploy.drivers import open_driver
from simreal.state import RobotCommand
driver = open_driver(sys.argv[1], "go2")
description = driver.connect()
target = np.array(description.default_position)
while True:
    driver.read()
    driver.write(RobotCommand(target))
    print(time.monotonic(), flush=True)
    time.sleep(0.005)
"""


def _domain() -> int:
    """One that tests in other processes hardly use at the same time."""
    return 100 + os.getpid() % 100


class Emulator:
    """`simreal emulate go2` in a process of its own."""

    def __init__(self, log: Path, *options: str) -> None:
        self.log = log
        with log.open("w") as out:
            run = "from simreal.cli.main import main; main()"
            command = [sys.executable, "-c", run, "emulate", "go2", "--domain", str(_domain())]
            self.process = subprocess.Popen([*command, *options], stderr=out)
        self.await_line("an emulated go2 is on")

    def await_line(self, pattern: str, timeout: float = 60.0) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} not in {self.log.read_text()!r}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@pytest.fixture
def emulator(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Emulator]:
    made = Emulator(tmp_path / "emulator.log", *getattr(request, "param", ()))
    yield made
    made.process.kill()
    made.process.wait()


def open_it(options: str = "") -> UnitreeDriver:
    driver = open_driver(f"unitree:interface=lo,domain={_domain()}{options}", "go2")
    assert isinstance(driver, UnitreeDriver)
    return driver


def test_a_robot_in_another_process_is_read_driven_and_left_alone(emulator: Emulator) -> None:
    driver = open_it()
    with driver:
        emulated = driver.read()
        assert np.abs(emulated.joint_position - DEFAULT).max() < 0.35  # its own weight bends it
        target = DEFAULT.copy()
        target[[0, 3]] += 0.15
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            driver.write(RobotCommand(target))
            state = driver.read()
            time.sleep(0.01)
        assert abs(float(state.time) - time.monotonic()) < 0.5
        assert state.joint_position[0] > DEFAULT[0] + 0.03
        assert driver.reader.refused == 0
    emulator.await_line("obeys commands")
    assert emulator.end() == 0
    summary = emulator.await_line(r"commands obeyed")
    assert int(re.findall(r" (\d+) commands obeyed", summary)[0]) > 50
    assert " 0 not" in summary


@pytest.mark.parametrize("emulator", [("--controller", "normal")], indirect=True)
def test_the_motion_switcher_is_asked_over_dds(emulator: Emulator) -> None:
    with pytest.raises(DriverError, match="'normal' is active"):
        open_it().connect()


@pytest.mark.long
def test_a_robot_that_is_gone_grows_old_and_does_not_end_the_driver(emulator: Emulator) -> None:
    with open_it() as driver:
        driver.read()
        assert emulator.end() == 0
        time.sleep(0.3)
        driver.write(RobotCommand(DEFAULT))
        assert time.monotonic() - float(driver.read().time) > 0.25


@pytest.mark.long
def test_one_controller_alone_is_let_in_and_one_that_is_killed_leaves_a_robot_that_brakes(
    emulator: Emulator,
) -> None:
    specification = f"unitree:domain={_domain()}"
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, specification], stdout=subprocess.PIPE, text=True
    )
    emulator.await_line("obeys commands")
    assert controller.stdout is not None
    for _ in range(100):
        last = float(controller.stdout.readline())
    with pytest.raises(DriverError, match="another program commands this robot"):
        open_it().connect()
    os.kill(controller.pid, signal.SIGKILL)
    rest = controller.stdout.read().split("\n")
    last = max([last, *(float(line) for line in rest[:-1] if line)])
    line = emulator.await_line("no command for 100 ms: the motors brake")
    braked = float(line.split()[0])
    # What this machine gives to others comes on top.
    assert 0.05 < braked - last < 1.0
    with open_it() as driver:
        time.sleep(0.2)
        state = driver.read()
        assert state.joint_effort is not None
        np.testing.assert_allclose(state.joint_effort, -8.0 * state.joint_velocity, atol=0.5)
    controller.wait()
