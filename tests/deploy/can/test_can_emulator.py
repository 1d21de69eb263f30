"""`simreal emulate can-leg` in a process of its own: slcan on a terminal, others' clients, death."""

import fcntl
import importlib.util
import os
import re
import signal
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import can
import numpy as np
import pytest

from simreal.deploy.drivers.can.bus import CanBus
from simreal.deploy.drivers.can.driver import open_driver
from simreal.deploy.drivers.can.protocols import Frame
from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.emulators.can.can_leg import can_config
from simreal.deploy.emulators.can.motors import CanFrame
from simreal.deploy.emulators.can.port import SlcanPort
from simreal.deploy.emulators.fault_control import tell_fault
from simreal.errors import UserError
from simreal.state import RobotCommand
from tests.forked import in_a_copy

START_TIMEOUT = 60.0
ANSWER_TIMEOUT = 1.0
POSTURE = np.array([0.5, -1.0])
NOBODY = 65534
ENABLE, DISABLE = b"\xff" * 7 + b"\xfc", b"\xff" * 7 + b"\xfd"

MAIN = "from simreal.cli.main import main; main()"
Emulate = Callable[..., Path]


@pytest.fixture
def emulate(tmp_path: Path) -> Iterator[Emulate]:
    """Starts the emulator with options; the path of its terminal."""
    processes: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Path:
        port = tmp_path / "can"
        command = [sys.executable, "-P", "-c", MAIN, "emulate", "can-leg", "--port", str(port), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        processes.append(process)
        assert process.stdout is not None
        assert "Ctrl-C ends it" in process.stdout.readline()
        return port

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(START_TIMEOUT) == 0


def _bus(port: Path) -> can.BusABC:
    return can.Bus(str(port), interface="slcan", bitrate=1_000_000, sleep_after_open=0.0)


def _ask(bus: can.BusABC, number: int, data: bytes, extended: bool = False) -> can.Message:
    bus.send(can.Message(arbitration_id=number, data=data, is_extended_id=extended))
    end = time.monotonic() + ANSWER_TIMEOUT
    while time.monotonic() < end:
        if (answer := bus.recv(0.1)) is not None:
            return answer
    raise AssertionError("no answer")


def test_a_bare_client_speaks_to_a_damiao(emulate: Emulate) -> None:
    """Frames as they stand in the makers' documents, made by hand."""
    with _bus(emulate("--task", "posture")) as bus:
        answer = _ask(bus, 0x7FF, bytes.fromhex("01 00 33 15 00 00 00 00"))
        assert (answer.arbitration_id, answer.is_extended_id) == (0x11, False)
        assert answer.data == bytes.fromhex("01 00 33 15 00 00 48 41")  # 12.5 rad
        assert _ask(bus, 0x01, ENABLE).data[0] == 0x11
        state = _ask(bus, 0x01, bytes.fromhex("8A 3C 77 71 99 33 38 65")).data
        assert (state[0], state[7]) == (0x11, 25)
        assert _ask(bus, 0x7FF, bytes.fromhex("01 00 CC 00 00 00 00 00")).data[0] == 0x11
        assert _ask(bus, 0x01, DISABLE).data[0] == 0x01


@pytest.mark.parametrize(
    ("model", "number", "enable", "extended"),
    [
        ("rs00", 0x01, ENABLE, False),
        ("ak80_6", 0x01, ENABLE, False),
        ("cybergear", 0x0300FD01, bytes(8), True),
    ],
)
def test_a_bare_client_speaks_to_the_others(
    emulate: Emulate, model: str, number: int, enable: bytes, extended: bool
) -> None:
    with _bus(emulate("--motor", model)) as bus:
        answer = _ask(bus, number, enable, extended)
    if model == "rs00":
        assert (answer.arbitration_id, answer.data[0]) == (0xFD, 0x01)
        assert int.from_bytes(answer.data[6:], "big") == 250  # 25.0 °C
    elif model == "ak80_6":
        assert (answer.arbitration_id, len(answer.data), answer.data[0]) == (0, 6, 1)
    else:
        assert answer.arbitration_id == 0x028001FD  # feedback, running, no fault


@pytest.mark.skipif(importlib.util.find_spec("damiao_motor") is None, reason="pip install damiao-motor")
def test_somebody_s_own_client_moves_a_damiao(emulate: Emulate) -> None:
    """PyPI `damiao-motor`: registers, time-out, enable, follow."""
    from damiao_motor import DaMiaoController

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it opens the bus by a name that python-can no longer likes
        controller = DaMiaoController(str(emulate("--task", "posture")), "slcan")
    try:
        motor = controller.add_motor(0x01, 0x11, "4310")
        assert motor.get_register(21) == 12.5
        assert motor.get_register(8) == 1
        motor.ensure_control_mode("MIT")
        motor.set_can_timeout(500)
        assert motor.get_register(9) == 10_000
        motor.enable()
        for _ in range(100):
            motor.send_cmd_mit(0.9, 0.0, 15.0, 1.0, 0.0)
            time.sleep(0.01)
        state = motor.get_states()
        assert state["pos"] == pytest.approx(0.9, abs=0.05)
        assert state["status"].upper().startswith("ENABLED")
        motor.disable()
    finally:
        controller.shutdown()


def test_the_driver_in_real_time_over_slcan(emulate: Emulate, tmp_path: Path) -> None:
    control = tmp_path / "control"
    port = emulate("--task", "posture", "--set", "mass=1.2", "--control", str(control))
    with open_driver({"interface": "slcan", "channel": str(port)}, "can_leg", None) as driver:
        _follow(driver, 60)
        state = driver.read()
        np.testing.assert_allclose(state.joint_position, POSTURE, atol=0.05)
        tell_fault(control, "watchdog:knee")
        _follow(driver, 30)
        drives = driver.read().drives
        assert drives is not None
        # A busy machine may starve this process for so long that the hip goes passive, too.
        assert any(each.startswith("knee: lost communication") for each in drives.faults)


def _follow(driver: object, cycles: int) -> None:
    for _ in range(cycles):
        driver.read()  # type: ignore[attr-defined]
        driver.write(RobotCommand(POSTURE))  # type: ignore[attr-defined]
        time.sleep(0.01)


CONTROLLER = """
import sys, time
import numpy as np
from simreal.deploy.drivers.can.bus import CanBus
from simreal.deploy.drivers.can.driver import open_driver
from simreal.deploy.drivers.can.protocols import Frame
from simreal.deploy.drivers.driver import DriverError
from simreal.state import RobotCommand

driver = open_driver({"interface": "slcan", "channel": sys.argv[1]}, "can_leg", None)
driver.connect()
while True:
    driver.read()
    driver.write(RobotCommand(np.array([0.5, -1.0])))
    print("flying", flush=True)
    time.sleep(0.01)
"""


def test_after_a_kill_the_motors_go_passive_by_themselves(emulate: Emulate) -> None:
    """Within the 100 ms that the driver has armed: asked after 150, they have passed."""
    port = emulate("--task", "posture")
    controller = subprocess.Popen(
        [sys.executable, "-P", "-c", CONTROLLER, str(port)], stdout=subprocess.PIPE, text=True
    )
    assert controller.stdout is not None
    for _ in range(20):
        assert controller.stdout.readline().startswith("flying")
    os.kill(controller.pid, signal.SIGKILL)
    controller.wait()
    time.sleep(0.15)
    with _bus(port) as bus:
        bus.flush()  # type: ignore[attr-defined]
        for number in (1, 2):
            state = _ask(bus, 0x7FF, bytes([number, 0, 0xCC, 0, 0, 0, 0, 0])).data
            assert state[0] == 0xD0 | number


@pytest.mark.long
def test_udp_multicast_reaches_it_as_well(tmp_path: Path) -> None:
    options = ["emulate", "can-leg", "--interface", "udp_multicast", "--channel", "239.74.163.77"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", MAIN, *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "udp_multicast" in process.stdout.readline()
        where = {"interface": "udp_multicast", "channel": "239.74.163.77"}
        with open_driver(where, "can_leg", None) as driver:
            _follow(driver, 60)
            np.testing.assert_allclose(driver.read().joint_position, POSTURE, atol=0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_TIMEOUT) == 0


# The terminal, in this process


def _answers(port: SlcanPort, master: int, data: bytes) -> tuple[list[CanFrame], bytes]:
    os.write(master, data)
    time.sleep(0.02)
    frames = port.receive()
    time.sleep(0.02)
    os.set_blocking(master, False)
    try:
        return frames, os.read(master, 4096)
    except BlockingIOError:
        return frames, b""


def test_the_terminal_obeys_slcan() -> None:
    port = SlcanPort(confirms=True)
    client = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    try:
        assert _answers(port, client, b"t0018FFFFFFFFFFFFFFFC\r")[0] == []  # closed as yet
        assert _answers(port, client, b"C\rS8\r\rO\rO\r")[1].count(b"\r") == 5
        frames, answer = _answers(port, client, b"t0018FFFFFFFFFFFFFFFC\rT0200FD0180000000000000000\r")
        assert frames == [CanFrame(1, ENABLE), CanFrame(0x0200FD01, bytes(8), True)]
        assert answer == b"z\rZ\r"
        for broken in (b"t00", b"t0019FF", b"tXYZ0", b"t8001", b"q", b"t0018FF"):
            assert _answers(port, client, broken + b"\r") == ([], b"\a")
        port.send(CanFrame(0x11, b"\x01\xab"))
        time.sleep(0.02)
        assert os.read(client, 64) == b"t011201AB\r"
    finally:
        os.close(client)
        port.close()


def test_an_adapter_that_confirms_each_frame_hides_none() -> None:
    """python-can takes a confirmation for the end of what has arrived."""
    port = SlcanPort(confirms=True)
    bus = CanBus("slcan", port.device, 1_000_000)
    try:
        time.sleep(0.02)
        port.receive()
        bus.send(Frame(1, ENABLE))
        time.sleep(0.02)
        assert port.receive() == [CanFrame(1, ENABLE)]
        for number in range(3):
            port.send(CanFrame(0x11, bytes([number])))
        os.write(port._master, b"t01x8nonsense\r\r\xff\xfe\r")
        port.send(CanFrame(0x11, b"\x07"))
        time.sleep(0.02)
        found = [frame.data for frame in iter(bus.receive, None)]
        assert found == [b"\x00", b"\x01", b"\x02"]
        port.send(CanFrame(0x11, b"\x08"))
        time.sleep(0.02)
        assert bus.receive() == Frame(0x11, b"\x08")
    finally:
        bus.close()
        port.close()


def test_an_adapter_that_another_program_has_open_is_left_to_it() -> None:
    """To open it anew closes its bus first, and what it receives goes to one of two readers."""
    port = SlcanPort()
    first = CanBus("slcan", port.device, 1_000_000)
    try:
        time.sleep(0.02)
        port.receive()
        with pytest.raises(DriverError, match="cannot be opened: another program has it open"):
            CanBus("slcan", f"{port.device}@115200", 1_000_000)
        first.send(Frame(1, ENABLE))
        time.sleep(0.02)
        assert port.receive() == [CanFrame(1, ENABLE)]  # by an adapter that is still open
        first.close()
        CanBus("slcan", port.device, 1_000_000).close()
    finally:
        first.close()
        port.close()


def _as_a_user(open_it: Callable[[], object]) -> str:
    """Why somebody who is not root cannot open something; empty if they can."""

    def tried() -> str:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        try:
            open_it()
        except (DriverError, OSError) as error:
            return str(error)
        return ""

    status, said = in_a_copy(tried)
    assert status == 0
    return said


def test_nobody_opens_an_adapter_s_port_beside_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even programs that look for no lock. A pseudo-terminal stands for a port here."""
    monkeypatch.setattr("simreal.deploy.drivers.can.bus.PSEUDO_TERMINALS", ())
    port = SlcanPort()
    Path(port.device).chmod(0o666)

    def open_it() -> int:
        return os.open(port.device, os.O_RDWR | os.O_NOCTTY)

    try:
        bus = CanBus("slcan", port.device, 1_000_000)
        assert "Device or resource busy" in _as_a_user(open_it)
        bus.close()
        assert _as_a_user(open_it) == ""
    finally:
        port.close()


def test_a_port_that_another_program_has_marked_as_its_own_is_told_in_the_same_words() -> None:
    port = SlcanPort()
    Path(port.device).chmod(0o666)
    other = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(other, termios.TIOCEXCL)
    try:
        said = _as_a_user(lambda: CanBus("slcan", port.device, 1_000_000))
        assert said == f"slcan {port.device} cannot be opened: another program has it open"
    finally:
        os.close(other)
        port.close()


def test_an_emulated_adapter_can_be_opened_again_after_a_deployment_was_killed() -> None:
    port = SlcanPort()
    Path(port.device).chmod(0o666)

    def killed() -> str:
        CanBus("slcan", port.device, 1_000_000)
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    try:
        assert in_a_copy(killed)[0] == -signal.SIGKILL
        assert _as_a_user(lambda: CanBus("slcan", port.device, 1_000_000)) == ""
    finally:
        port.close()


def test_a_place_that_is_taken_is_not_overwritten(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    with pytest.raises(UserError, match="something else stands there"):
        SlcanPort(taken)
    assert taken.read_text() == "mine"


@pytest.mark.parametrize(
    ("robot", "motor", "words"),
    [("go2", None, "no CAN motors"), ("can_leg", "dm4311", "did you mean 'dm4310'")],
)
def test_what_cannot_be_emulated_is_one_message(robot: str, motor: str | None, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        can_config(robot, motor)
