"""`simreal inspect` and `simreal deploy`, most of it in the processes that a user starts."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simreal.cli.main import main
from simreal.contract import Contract
from simreal.deploy import loop
from simreal.deploy.loop import deploy
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import CONTRACT_KEY, GOLDEN_KEY
from simreal.deploy.supervisor import Supervisor
from simreal.excitation_file import Excitation, write_excitation
from simreal.logs.messages import read_messages
from tests.waiting import PATIENCE, wait_until

WriteFile = Callable[..., Path]
"""s until a test gives up; nothing is expected to take that long."""
SIMREAL = (sys.executable, "-P", "-c", "from simreal.cli.main import main; main()")
BEGUN = "connected\nrunning\n"
"""What a run tells where no terminal shows it."""
HEAVY = ("torch", "mujoco", "stable_baselines3", "gymnasium", "scipy", "matplotlib")


@pytest.fixture
def simreal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in this process; status, output and error output."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simreal", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            assert isinstance(stop.code, int)
            status = stop.code
        return status, *capfd.readouterr()

    return run


Simreal = Callable[..., tuple[int, str, str]]


def _status(process: str) -> list[str]:
    """Fields of /proc/PID/stat after the name: state, parent, and so on; of a gone process X."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X", "0"]


def _children(parent: int) -> list[str]:
    pids = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _status(pid)[1] == str(parent)]


def _command_line(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_running(process: str) -> bool:
    return _status(process)[0] not in "ZX"


def _deploying(policy: Path, *options: str) -> tuple[subprocess.Popen[str], str, Path]:
    """A deployment in flight that has logged for a while; its process, the robot's, and its log."""
    log = policy.with_name("flight.mcap")
    process = subprocess.Popen(
        [*SIMREAL, "deploy", str(policy), "--log", str(log), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: process.poll() is not None or (log.exists() and log.stat().st_size > 20_000))
    assert process.poll() is None, process.communicate()
    [robot] = [
        pid for pid in _children(process.pid) if "emulators.simulated_robot" in _command_line(pid)
    ]
    return process, robot, log


def test_inspect_prints_the_contract_for_people(policy_file: WriteFile, simreal: Simreal) -> None:
    status, output, error = simreal("inspect", policy_file())
    assert (status, error) == (0, "")
    for word in ("qube", "100 Hz", "arm", "pendulum", "motor", "previous_action", "2.094", "voltage"):
        assert word in output
    assert "golden vectors: 4 steps, reproduced on this machine" in output


def test_inspect_prints_the_contract_for_programs(
    policy_file: WriteFile, simreal: Simreal, contract: Contract
) -> None:
    status, output, _ = simreal("inspect", policy_file(), "--json")
    assert status == 0
    assert Contract.from_json(output) == contract


def test_inspect_says_what_is_not_reproduced(policy_file: WriteFile, simreal: Simreal) -> None:
    golden = json.dumps(
        {
            "joint_position": [[0.0, 0.0]],
            "joint_velocity": [[0.0, 0.0]],
            "observation": [[0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]],
            "action": [[0.0]],
            "command": [[0.0]],
        }
    )
    _, output, _ = simreal("inspect", policy_file(metadata={GOLDEN_KEY: golden}))
    assert "NOT reproduced" in output
    assert "joint_position_cos[pendulum]" in output


@pytest.mark.parametrize("verb", ["inspect", "deploy"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.onnx", None, "no such file"),
        ("empty.onnx", b"", "an empty file"),
        ("config.yaml", b"robot: qube\n", "a YAML file"),
        ("model.zip", b"PK\x03\x04....", "a zip file"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    ],
)
def test_another_file_is_one_message(
    simreal: Simreal, tmp_path: Path, verb: str, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    status, output, error = simreal(verb, path)
    assert (status, output) == (2, "")
    assert error.startswith(f"error: {path}: {words}")
    assert error.count("\n") == 1


def test_a_plain_onnx_file_is_one_message(policy_file: WriteFile, simreal: Simreal) -> None:
    path = policy_file(metadata={CONTRACT_KEY: "", GOLDEN_KEY: ""})
    status, _, error = simreal("deploy", path)
    assert status == 2
    assert error.startswith(f"error: {path}: an ONNX file, but no policy of simreal")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--driver", "simm"), "error: no driver 'simm': did you mean 'sim'?\n"),
        (("--driver", "sim:mass"), "error: driver sim: 'mass': expected key=value\n"),
        (("--driver", "sim:mass=nan"), "error: driver sim: mass=nan: expected a finite number\n"),
        (("--driver", "sim:mas=1"), "error: driver sim: no parameter 'mas': did you mean 'mass'?\n"),
        (("--log", "/dev/full"), "error: /dev/full: cannot be written: No space left on device\n"),
        (("--duration", "nan"), "Usage: "),
        (("--duration", "1e308"), "Usage: "),
        (("--log", "a" * 300), f"error: {'a' * 300}: File name too long\n"),
        (("--duration", "0"), "Usage: "),
        (("--drivr", "sim"), "Usage: "),
    ],
)
def test_a_wrong_option_is_one_message(
    policy_file: WriteFile, simreal: Simreal, options: tuple[str, ...], message: str
) -> None:
    status, _, error = simreal("deploy", policy_file(), *options)
    assert status == 2
    assert error.startswith(message)
    assert error == message or not message.endswith("\n")
    assert "Traceback" not in error


@pytest.mark.long
def test_a_processor_beyond_all_numbers_is_one_that_is_not_there(
    policy_file: WriteFile, simreal: Simreal
) -> None:
    status, _, error = simreal("deploy", policy_file(), "--duration", "0.1", "--cpu", 10**11)
    assert status == 0
    assert f"processor {10**11} is not there or not allowed" in error


def test_a_policy_for_another_robot_is_refused_with_reasons_by_name(
    policy_file: WriteFile, simreal: Simreal, contract: Contract
) -> None:
    data = contract.model_dump(mode="json")
    data["robot"]["name"] = "cube"
    data["robot"]["joints"][0]["upper"] = 1.5
    path = policy_file(contract=Contract.model_validate(data))
    status, _, error = simreal("deploy", path, "--driver", "sim:robot=qube")
    assert status == 2
    assert error == (
        "error: the policy does not fit this robot:\n  the policy is for robot cube, this is qube\n"
    )
    data["robot"]["name"] = "qube"
    path = policy_file(contract=Contract.model_validate(data))
    status, _, error = simreal("deploy", path)
    assert status == 2
    assert error == (
        "error: the policy does not fit this robot:\n"
        "  robot.joints[arm].upper: the policy expects 1.5, the robot has 2.094\n"
    )


def test_a_log_that_is_there_is_refused_before_anything_is_announced(
    policy_file: WriteFile, simreal: Simreal, tmp_path: Path
) -> None:
    log = tmp_path / "flight.mcap"
    log.write_bytes(b"precious")
    status, output, error = simreal("deploy", policy_file(), "--duration", "1", "--log", log)
    assert (status, output) == (2, "")
    assert error == f"error: {log}: exists already; give the log another name\n"
    assert log.read_bytes() == b"precious"


@pytest.mark.long
def test_deploy_prints_percentiles_for_people(policy_file: WriteFile, simreal: Simreal) -> None:
    status, output, error = simreal("deploy", policy_file(bias=0.3), "--duration", "0.3")
    assert (status, error) == (0, BEGUN)
    for word in ("period", "compute", "observation_age", "p50", "p99", "cycles", "ended by duration"):
        assert word in output


@pytest.mark.long
def test_the_share_of_overruns_is_of_the_loop_s_periods(
    policy_file: WriteFile, simreal: Simreal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver is told at its own rate, of which the policy's cycles are a part."""

    def skip_most(*arguments: Any) -> Outcome:
        outcome = deploy(*arguments)
        return replace(outcome, cycles=135, periods=1350, overruns=922)

    monkeypatch.setattr(loop, "deploy", skip_most)
    _, output, _ = simreal("deploy", policy_file(bias=0.3), "--duration", "0.1")
    assert "135 cycles, 922 overruns (68.30 %)" in output


def test_deploy_prints_its_outcome_for_programs(policy_file: WriteFile, simreal: Simreal) -> None:
    log = policy_file().with_name("flight.mcap")
    options = ("--driver", "sim:mass=1.2,action_latency_ms=8", "--duration", "0.3", "--log", log)
    status, output, error = simreal("deploy", policy_file(bias=0.02), *options, "--json")
    outcome = json.loads(output)
    assert status == 0
    assert "sim: mass[arm] 1.2 times 0.095 = 0.114 kg" in error
    assert (outcome["ended_by"], outcome["fault"], outcome["log_failure"]) == ("duration", None, None)
    assert outcome["cycles"] == len(read_messages(log).messages["/action"])
    assert {"p50_ms", "p99_ms", "max_ms"} <= set(outcome["timing"]["compute"])


def _fill_the_disk() -> None:
    """Lets the disk refuse what the log's writer of this process has still to write."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        for child in children.read_text("ascii").split():
            if "log_writer" in Path(f"/proc/{child}/cmdline").read_text("utf-8"):
                resource.prlimit(int(child), resource.RLIMIT_FSIZE, (60_000, 60_000))
                return
        time.sleep(0.01)


@pytest.mark.long
def test_a_disk_that_is_full_is_named_and_the_flight_keeps_its_result(
    policy_file: WriteFile, simreal: Simreal
) -> None:
    log = policy_file().with_name("flight.mcap")
    filling = threading.Thread(target=_fill_the_disk, daemon=True)
    filling.start()
    options = ("--driver", "sim", "--duration", "2", "--log", log)
    status, output, error = simreal("deploy", policy_file(bias=0.02), *options)
    assert status == 1
    assert "ended by duration" in output
    assert "not known: the log is incomplete" in output
    assert f"{log}: incomplete, " in error
    assert "File too large" in error


def test_the_help_names_every_source_of_commands(simreal: Simreal) -> None:
    _, output, _ = simreal("deploy", "--help")
    for source in ("keyboard", "gamepad", "udp:PORT", "websocket:PORT"):
        assert source in output


@pytest.mark.long
def test_an_excitation_has_no_goal(simreal: Simreal, tmp_path: Path) -> None:
    rows = [[0.5 * (-1) ** (row // 10)] for row in range(30)]
    excitation = Excitation(
        robot="qube", actuators=("motor",), units=("V",), rate=100.0, targets=rows, provenance="a square"
    )
    write_excitation(tmp_path / "square.yaml", excitation)
    log = tmp_path / "flight.mcap"
    status, output, _ = simreal("deploy", "--excite", tmp_path / "square.yaml", "--log", log)
    assert status == 0
    assert "goal:" not in output and "goal of" not in output
    assert f"log: {log}" in output


@pytest.mark.long
def test_a_dead_motor_is_no_success(policy_file: WriteFile, simreal: Simreal) -> None:
    """It starts as the task does, hanging: no goal is reached, and nothing moves."""
    log = policy_file().with_name("flight.mcap")
    options = ("--duration", "0.5", "--log")
    status, output, error = simreal(
        "deploy", policy_file(bias=0.3), "--driver", "sim:motor_strength=0", *options, log
    )
    assert status == 0
    assert "goal of qube_swingup: held in 0 % of the second half" in output
    assert error.startswith(f"{BEGUN}warning: no driven joint moved by more than 0.02 rad or m (arm)")
    alive = log.with_name("other.mcap")
    status, output, error = simreal("deploy", policy_file(bias=0.3), *options, alive)
    assert (status, error) == (0, BEGUN)
    assert read_messages(alive).array("/state", "joint_position")[:, 0].max() > 0.1


def test_a_fault_is_told_and_is_status_1(policy_file: WriteFile, simreal: Simreal) -> None:
    status, output, error = simreal("deploy", policy_file(bias=0.1, then="nan"), "--duration", "20")
    assert status == 1
    assert "ended by fault" in output
    assert error == f"{BEGUN}fault: policy_output: the policy gives nan for actuator motor\n"


@pytest.mark.long
def test_of_a_policy_that_never_acted_there_are_no_figures(
    policy_file: WriteFile, simreal: Simreal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "run", lambda self: self.fail("stall", "nothing moves"))
    log = tmp_path / "flight.mcap"
    status, output, error = simreal("deploy", policy_file(), "--duration", "1", "--log", log)
    assert status == 1
    assert error == "connected\nfault: stall: nothing moves\n"
    told = ["the policy never acted: ended by fault while idle", f"log: {log}"]
    assert output.splitlines()[1:] == told


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_a_flight_by_its_own_stop_sequence(policy_file: WriteFile, number: int) -> None:
    process, robot, log = _deploying(policy_file(), "--json")
    # As the terminal does it: to every process of the group.
    os.killpg(process.pid, number)
    output, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (0, "")
    assert json.loads(output)["ended_by"] == "interrupt"
    assert not _is_running(robot)
    recorded = read_messages(log)
    assert recorded.complete
    assert recorded.events()[-1] == "end: interrupt"


def test_a_killed_flight_leaves_a_readable_log_and_no_robot(
    policy_file: WriteFile, contract: Contract
) -> None:
    process, robot, log = _deploying(policy_file())
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: not _is_running(robot))
    wait_until(lambda: read_messages(log).complete)
    recorded = read_messages(log)
    assert recorded.events()[-1] == "fault: the control process has ended without a word"
    assert recorded.contract == contract
    assert recorded.array("/timing", "cycle")[:, 0].tolist() == list(
        range(len(recorded.messages["/timing"]))
    )
    assert len(recorded.messages["/state"]) > 10


CONTROL = f"""
import sys
import simreal.deploy.loop, simreal.cli.contract_tables, simreal.logs.messages
from simreal.cli.main import main
for arguments in (["inspect"], ["deploy", "--duration", "0.2"]):
    sys.argv = ["simreal", *arguments, POLICY]
    main()
print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules])
"""


def test_the_control_process_loads_no_simulator_and_no_training_library(policy_file: WriteFile) -> None:
    script = CONTROL.replace("POLICY", repr(str(policy_file(bias=0.3))))
    command = [sys.executable, "-P", "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (found.returncode, found.stderr) == (0, BEGUN)
    assert found.stdout.splitlines()[-1] == "loaded:"
