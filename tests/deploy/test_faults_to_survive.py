"""Everything breaks once, against the simulated robot in another process, over a wire with faults.

Each time nothing moves that was not commanded, no limit is exceeded at the driver, and the log has a
reason.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simreal.deploy.broadcast import Broadcast
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import load_policy
from simreal.deploy.realtime import RealTime
from simreal.errors import UserError
from simreal.logs.messages import read_messages
from tests.deploy.faulty_robot import FaultyDriver, read_record
from tests.waiting import PATIENCE, wait_until

WriteFile = Callable[..., Path]
"""s until a test gives up."""
WATCHDOG = 0.1
"""s, of the Qube."""
REACTIONS = {"OFF", "DAMP", "HOLD"}


def _commands(record: Path) -> list[dict[str, Any]]:
    """What came to the robot's end; within its limits, and followed by nothing once it was stopped."""
    commands = [line for line in read_record(record) if line["kind"] == "command"]
    followed = [line for line in commands if line["mode"] == "FOLLOW"]
    targets = np.array([line["target"] for line in followed])
    assert np.isfinite(targets).all()
    assert (np.abs(targets) <= 4.0).all()
    modes = [line["mode"] for line in commands]
    first_stop = next((place for place, mode in enumerate(modes) if mode in REACTIONS), len(modes))
    assert "FOLLOW" not in modes[first_stop:]
    return commands


def _fly(
    policy: Path, fault: str, folder: Path, duration: float = 2.0, after: int = 150, **options: Any
) -> tuple[Outcome, list[str]]:
    """A flight over a faulty wire, and the events in its log."""
    record, log = folder / "record", folder / "flight.mcap"
    driver = FaultyDriver(fault, record, after)
    # Where it is allowed: a machine that is busy with other tests is another fault.
    options = {"options": LoopOptions(real_time=RealTime())} | options
    outcome = deploy(load_policy(policy), driver, duration, log, **options)
    commands = _commands(record)
    assert commands[-1]["mode"] == "OFF" or fault == "killed"
    recorded = read_messages(log)
    assert recorded.complete
    return outcome, recorded.events()


@pytest.mark.parametrize(
    ("fault", "attributes", "checks"),
    [
        pytest.param(
            "frozen",
            {"bias": 0.05, "gain": -2.0},
            {"inconsistent_state", "frozen_state"},
            marks=pytest.mark.long,
        ),
        ("nan", {"bias": 0.05, "gain": -0.3}, {"not_a_number"}),
        pytest.param("mute", {"bias": 0.05, "gain": -0.3}, {"stale_state"}, marks=pytest.mark.long),
        ("killed", {"bias": 0.05, "gain": -0.3}, {"lost_driver", "stale_state"}),
        ("sign flipped", {"bias": 0.05, "gain": -0.9}, {"joint_position", "inconsistent_state"}),
    ],
)
def test_a_wire_that_lies_or_falls_silent_is_a_fault_with_its_reason(
    policy_file: WriteFile, tmp_path: Path, fault: str, attributes: dict[str, float], checks: set[str]
) -> None:
    outcome, events = _fly(policy_file(**attributes), fault, tmp_path, 20.0)
    assert outcome.ended_by == "fault"
    assert outcome.check in checks, outcome.fault
    assert events[-1] == f"fault: {outcome.fault}"


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("delayed", marks=pytest.mark.long),
        "out of order",
        pytest.param("duplicated", marks=pytest.mark.long),
    ],
)
def test_a_wire_that_is_slow_or_confused_is_survived(
    policy_file: WriteFile, tmp_path: Path, fault: str
) -> None:
    outcome, events = _fly(policy_file(bias=0.05, gain=-0.3), fault, tmp_path)
    assert outcome.ended_by == "duration", outcome.fault
    age = outcome.timing["observation_age"]
    assert (age["p90_ms"] > 45.0) is (fault == "delayed")
    log = read_messages(tmp_path / "flight.mcap")
    times = log.array("/state", "time")[:, 0]
    assert (np.diff(times) >= 0.0).all()
    assert events[-1] == "end: duration"


def test_a_robot_that_hears_no_more_commands_brakes_by_itself(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    """Its watchdog is what stops it: 1.6 V for longer would have driven the arm out of its range."""
    outcome, events = _fly(policy_file(bias=0.4), "deaf", tmp_path, 3.0, after=10)
    states = [line for line in read_record(tmp_path / "record") if line["kind"] == "state"]
    assert max(abs(line["position"][0]) for line in states) < 2.05
    # Nothing tells the controller: the pendulum swings on, so that no reading stands still.
    assert (outcome.ended_by, outcome.fault) == ("duration", None)
    assert events[-2:] == ["phase: running", "end: duration"]


def test_a_robot_whose_joints_stand_in_another_order_is_refused(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    driver = FaultyDriver("wrong joint order", tmp_path / "record")
    with pytest.raises(UserError, match=r"robot\.joints \(order\).*arm, pendulum.*pendulum, arm"):
        deploy(load_policy(policy_file()), driver, 2.0)
    # Its record may end before the last word has come.
    assert {line["mode"] for line in _commands(tmp_path / "record")} <= {"OFF"}


@pytest.mark.long
def test_a_policy_of_maximal_bang_bang_stays_within_all_limits(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    _fly(policy_file(bias=1e3, gain=-1e9), "none", tmp_path)
    targets = [line["target"][0] for line in _commands(tmp_path / "record") if line["mode"] == "FOLLOW"]
    assert set(targets) == {4.0, -4.0}


CONTROL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.deploy.faulty_robot import FaultyDriver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
folder = Path(sys.argv[2])
deploy(load_policy(sys.argv[3]), FaultyDriver("none", folder / "record"), 60.0, folder / "flight.mcap")
"""


@contextmanager
def _control(policy: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A control process whose robot is in mid-motion."""
    root = Path(__file__).parents[2]
    arguments = [sys.executable, "-P", "-c", CONTROL, str(root), str(folder), str(policy)]
    process = subprocess.Popen(arguments, start_new_session=True)
    record = folder / "record"
    wait_until(lambda: record.exists() and _moves(record))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _moves(record: Path) -> bool:
    states = [line for line in read_record(record) if line["kind"] == "state"]
    return bool(states) and abs(states[-1]["velocity"][0]) > 1.0


def _gone(record: Path) -> bool:
    lines = read_record(record)
    left = [line["at"] for line in lines if line["kind"] == "gone"]
    return bool(left) and lines[-1]["at"] > left[0] + 3.2


def test_a_killed_control_process_leaves_the_robot_braking_within_its_watchdog(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    with _control(policy_file(bias=1e3, gain=-1e9), tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: _gone(record))
    lines = read_record(record)
    [killed] = [line["at"] for line in lines if line["kind"] == "gone"]
    assert all(line["at"] < killed for line in _commands(record))
    states = [line for line in lines if line["kind"] == "state" and line["at"] > killed]
    speeds = {round(line["at"] - killed, 3): abs(line["velocity"][0]) for line in states}
    before = max(speed for at, speed in speeds.items() if at < 0.05)
    after = float(np.mean([speed for at, speed in speeds.items() if at > 2.2]))
    assert before > 0.5
    # The pendulum, which no motor brakes, still swings the arm: its mean over a swing or more counts.
    assert after < 0.6 * before
    wait_until(lambda: read_messages(tmp_path / "flight.mcap").complete)
    assert "ended without a word" in read_messages(tmp_path / "flight.mcap").events()[-1]


def test_a_control_process_that_stands_still_for_300_ms_does_not_go_on(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    with _control(policy_file(bias=1e3, gain=-1e9), tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        process.send_signal(signal.SIGCONT)
        process.wait(PATIENCE)
    commands = _commands(record)
    gaps = np.diff([line["at"] for line in commands])
    stopped = int(np.argmax(gaps))
    assert gaps[stopped] > 0.25
    after = [line["mode"] for line in commands[stopped + 1 :]]
    # One may have been made before the process was stopped, and was not yet sent.
    assert set(after[1:]) <= REACTIONS
    assert after[1:] or after[0] in REACTIONS
    event = read_messages(tmp_path / "flight.mcap").events()[-1]
    assert event.startswith("fault: ")
    assert "did not come to its control loop" in event or "ms old" in event


@pytest.mark.long
def test_a_disk_that_fills_up_in_mid_flight_is_told_and_the_flight_goes_on(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    @contextmanager
    def fill(broadcast: Broadcast) -> Iterator[None]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
        names = {pid: Path(f"/proc/{pid}/cmdline").read_text("utf-8") for pid in children}
        [writer] = [int(pid) for pid, name in names.items() if "log_writer" in name]
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (30_000, 30_000))
        yield

    driver, log = FaultyDriver("none", tmp_path / "record"), tmp_path / "flight.mcap"
    options = LoopOptions(real_time=RealTime())
    policy = load_policy(policy_file(bias=0.05, gain=-0.3))
    outcome = deploy(policy, driver, 2.0, log, options=options, listeners=[fill])
    assert (outcome.ended_by, outcome.log_failure) == ("duration", "File too large")
    assert outcome.dropped > 0
    assert len(read_messages(log).messages["/state"]) > 10
    _commands(tmp_path / "record")


@pytest.mark.long  # quick, but for the robot; tests of the recorder try the same
def test_a_log_in_a_folder_that_may_not_be_written_is_refused_before_anything_moves(
    policy_file: WriteFile, tmp_path: Path
) -> None:
    log = Path("/proc/flight.mcap")  # nobody may, not even root
    driver = FaultyDriver("none", tmp_path / "record")
    with pytest.raises(UserError, match=r"/proc/flight\.mcap: cannot be written"):
        deploy(load_policy(policy_file(bias=0.05)), driver, 2.0, log)
    # Its record may end before the last word has come.
    assert {line["mode"] for line in _commands(tmp_path / "record")} <= {"OFF"}


@pytest.mark.long
def test_a_clock_that_is_set_during_a_run_changes_nothing(
    policy_file: WriteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's process never asks for the time of day."""
    # Threads that earlier tests left, such as TensorBoard's writers, may: they are not the loop's.
    others = set(threading.enumerate()) - {threading.current_thread()}

    def refusing(clock: Callable[[], float]) -> Callable[[], float]:
        def asked() -> float:
            assert threading.current_thread() in others, "the time of day was asked for"
            return clock()

        return asked

    monkeypatch.setattr(time, "time", refusing(time.time))
    monkeypatch.setattr(time, "time_ns", refusing(time.time_ns))
    driver = FaultyDriver("none", tmp_path / "record")
    outcome = deploy(load_policy(policy_file(bias=0.05)), driver, 0.5, tmp_path / "flight.mcap")
    assert outcome.ended_by == "duration"


@pytest.mark.long
def test_cpu_hogs_are_survived(policy_file: WriteFile, tmp_path: Path) -> None:
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(4)]
    try:
        options = LoopOptions(real_time=RealTime())
        outcome, events = _fly(
            policy_file(bias=0.05, gain=-0.3), "none", tmp_path, 10.0, options=options
        )
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    # Without real-time privileges it may end; never without a reason.
    assert outcome.ended_by == "duration" or events[-1] == f"fault: {outcome.fault}"
    assert not outcome.real_time or outcome.ended_by == "duration", outcome.fault
    assert json.dumps(outcome.timing)
