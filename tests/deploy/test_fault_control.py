import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.deploy.emulators.fault_control import FaultControl, tell_fault
from simreal.deploy.emulators.faults import Faults
from simreal.errors import UserError


@contextmanager
def _listening(path: Path) -> Iterator[Faults]:
    faults, ended = Faults(), threading.Event()
    with FaultControl(path, faults, ["elbow"]) as control:

        def listen() -> None:
            while not ended.wait(0.002):
                control.poll(5.0)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield faults
        finally:
            ended.set()
            thread.join()


def test_faults_are_announced_and_cleared_at_run_time(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with _listening(path) as faults:
        tell_fault(path, "stall:elbow@1-2")
        assert [(each.kind, each.begin, each.end) for each in faults.announced] == [("stall", 6.0, 7.0)]
        with pytest.raises(UserError, match=r"'elbw'.*'elbow'"):
            tell_fault(path, "stall:elbw")
        tell_fault(path, "clear")
        assert faults.announced == []
    assert not path.exists()


def test_nobody_listening_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no emulator answers"):
        tell_fault(tmp_path / "nowhere", "clear")


def test_the_socket_of_an_emulator_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    killed = FaultControl(path, Faults(), [])
    killed._socket.close()
    with _listening(path):
        tell_fault(path, "clear")


def test_a_path_that_cannot_be_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--control"):
        FaultControl(tmp_path / "no" / "folder", Faults(), [])


def test_the_command_line_tells_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with _listening(path) as faults:
        result = CliRunner().invoke(cli, ["emulate", "fault", str(path), "drop=0.5"])
        assert result.exit_code == 0, result.output
        assert faults.announced[0].kind == "drop"
        assert result.output == "set: drop=0.5 (share of frames that vanish), from now on\n"
        ended = CliRunner().invoke(cli, ["emulate", "fault", str(path), "clear"])
        assert ended.output == "cleared, 1 faults ended\n"


def test_what_was_set_is_said_with_whom_it_befalls_and_when(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with _listening(path):
        said = [tell_fault(path, line) for line in ("stall:elbow@1-2", "delay=0.05", "over-temperature")]
    assert said == [
        "set: stall of elbow (the joint is blocked), from 1 s until 2 s",
        "set: delay=0.05/20 (share of frames that come late, and by how many ms: 0.05/20), from now on",
        "set: over-temperature=90 of all (the windings stay at so many °C), from now on",
    ]
