"""Driver and robot over their real wire, in two processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from simreal.deploy.drivers import DriverError
from simreal.deploy.drivers.sim import SimDriver
from simreal.deploy.sim_wire import CommandPacket, Mode, StatePacket, decode_hello
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState
from tests.waiting import PATIENCE, wait_until

ARM, PENDULUM = 0, 1
"""s until a test gives up; nothing is expected to take that long."""


def _volts(value: float) -> RobotCommand:
    return RobotCommand(np.array([value]))


def _is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text("utf-8")
        return status.rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _watch(driver: SimDriver, seconds: float, volts: float | None = None) -> list[RobotState]:
    """The distinct states of a while, under a command that is repeated."""
    states: list[RobotState] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if volts is not None:
            driver.write(_volts(volts))
        state = driver.read()
        if not states or state.time > states[-1].time:
            states.append(state)
        time.sleep(0.002)
    return states


@contextmanager
def _robot_on_a_wire(**arguments: object) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """The robot's process, spoken to without the driver."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    text = json.dumps(
        {"robot": "qube", "parameters": {}, "seed": 0} | arguments | {"socket": theirs.fileno()}
    )
    command = [sys.executable, "-P", "-m", "simreal.deploy.emulators.simulated_robot", text]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    theirs.close()
    try:
        yield ours, process
    finally:
        ours.close()
        process.communicate(timeout=PATIENCE)


def test_states_flow_at_the_physics_rate_and_nonsense_on_the_wire_is_not_obeyed() -> None:
    with _robot_on_a_wire() as (wire, process):
        robot, error = decode_hello(wire.recv(65536))
        assert error is None
        assert robot == load_robot("qube").description.model_dump(mode="json")
        wire.send(b"nonsense")
        wire.send(CommandPacket(0, Mode.FOLLOW, np.array([4.0, 4.0])).encode())
        packets = [StatePacket.decode(wire.recv(65536), 2) for _ in range(400)]
        assert [packet.sequence for packet in packets] == list(range(400))
        period = np.diff([packet.time_ns for packet in packets])
        assert (period > 0).all()
        # 500 Hz; a busy machine makes it slower, never faster.
        assert 2e6 * 0.98 < period.mean() < 2e6 * 4
        assert not any(packet.state.joint_position.any() for packet in packets)
        wire.send(CommandPacket(1, Mode.FOLLOW, np.array([2.0])).encode())
        wait_until(lambda: StatePacket.decode(wire.recv(65536), 2).state.joint_position[ARM] > 0.01)
        assert process.poll() is None
    assert process.returncode == 0


def test_a_controller_that_is_gone_before_the_robot_is_ready_leaves_no_traceback() -> None:
    with _robot_on_a_wire() as (wire, process):
        wire.close()
        _, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaint) == (0, b"")


def test_commands_act_and_what_is_no_number_does_not() -> None:
    with SimDriver("qube", {}) as driver:
        states = _watch(driver, 0.3, volts=np.nan)
        assert not any(state.joint_position.any() for state in states)
        assert not any(state.joint_velocity.any() for state in states)
        states = _watch(driver, 0.3, volts=-1.5)
        assert states[-1].joint_position[ARM] < -0.2
        assert np.diff([state.time for state in states]).min() > 0


def test_the_watchdog_makes_it_passive_and_it_swings_on_in_real_time() -> None:
    with SimDriver("qube", {}) as driver:
        driver.write(_volts(1.0))
        # One command acts for 100 ms, which carries the arm to 0.67 rad; kept, it would be at 2.1.
        states = _watch(driver, 2.5)
        assert 0.4 < max(state.joint_position[ARM] for state in states) < 1.0
        swing = [state for state in states if state.time > states[0].time + 0.3]
        pendulum = np.array([state.joint_position[PENDULUM] for state in swing])
        assert np.abs(pendulum).max() > 0.1
        crossings = np.flatnonzero(np.diff(np.sign(pendulum[pendulum != 0])))
        times = np.array([state.time for state in swing])[pendulum != 0][crossings]
        # Gravity, masses and inertias decide the period.
        assert 2 * np.median(np.diff(times)) == pytest.approx(0.42, rel=0.15)


def test_latency_delays_the_response() -> None:
    """Without latency it is there after 0.02 s: see what commands do."""
    with SimDriver("qube", {"action_latency_ms": 500.0}) as driver:
        begin = time.monotonic()
        states = _watch(driver, 0.9, volts=3.0)
        moved = [state.time - begin for state in states if state.joint_position[ARM] > 0.02]
    assert moved[0] > 0.4


def test_a_silent_robot_gives_its_last_state_with_its_old_time() -> None:
    with SimDriver("qube", {}) as driver:
        assert driver.process is not None
        os.kill(driver.process.pid, signal.SIGSTOP)
        time.sleep(0.1)
        before = driver.read()
        time.sleep(0.3)
        after = driver.read()
        assert after.time == before.time
        os.kill(driver.process.pid, signal.SIGCONT)
        wait_until(lambda: driver.read().time > before.time + 0.3)


def test_a_killed_robot_is_an_error_of_every_call_but_off() -> None:
    driver = SimDriver("qube", {})
    with driver:
        assert driver.process is not None
        driver.process.kill()
        driver.process.wait()
        with pytest.raises(DriverError, match="simulated robot"):
            driver.read()
        with pytest.raises(DriverError, match="simulated robot"):
            driver.write(_volts(0.0))
        driver.off()


def test_before_and_after_its_connection_a_driver_says_that_it_has_none() -> None:
    driver = SimDriver("qube", {})

    def has_none() -> None:
        for call in (driver.read, lambda: driver.write(_volts(0.0))):
            with pytest.raises(DriverError, match="not connected"):
                call()
        driver.off()
        driver.disconnect()

    has_none()
    assert driver.connect() == load_robot("qube").description
    assert driver.read().joint_position.shape == (2,)
    driver.disconnect()
    has_none()
    assert driver.process is not None
    assert driver.process.poll() == 0


@pytest.mark.long
def test_a_driver_that_connects_again_hears_the_new_robot() -> None:
    """As each episode of learning on it does; of the new one, all was taken for overtaken."""
    driver = SimDriver("qube", {})
    for _ in range(2):
        with driver:
            states = _watch(driver, 0.4, volts=2.0)
            assert states[0].joint_position[ARM] == 0.0 < states[-1].joint_position[ARM]
            assert states[-1].time > states[0].time + 0.2


def test_a_robot_that_cannot_be_is_one_message_and_no_process_stays(
    capfd: pytest.CaptureFixture[str],
) -> None:
    driver = SimDriver("qub", {})
    with pytest.raises(UserError, match=r"^driver sim: no robot 'qub': did you mean 'qube'\?"):
        driver.connect()
    assert driver.process is not None
    assert driver.process.poll() is not None
    assert capfd.readouterr().err == ""


CONTROLLER = """
import time
from simreal.deploy.drivers.sim import SimDriver
with SimDriver("qube", {}) as driver:
    print(driver.process.pid, flush=True)
    time.sleep(600)
"""


def test_the_robot_ends_when_its_controller_is_killed() -> None:
    command = [sys.executable, "-P", "-c", CONTROLLER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        robot = int(controller.stdout.readline())
        assert _is_running(robot)
        controller.kill()
    wait_until(lambda: not _is_running(robot))
