import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.deploy.emulators.registry import EMULATORS, EmulatorEntry
from simreal.errors import UserError


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Emulated, str]]:
    """An emulator by name of `parrot`, and what it is told."""
    said: list[tuple[Emulated, str]] = []

    @click.command()
    @click.option("--port", default="here")
    @emulator_options
    def emulate(emulated: Emulated, port: str) -> None:
        """Say nothing."""
        said.append((emulated, port))

    module = types.ModuleType("simreal.deploy.emulators.parrot")
    module.emulate = emulate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(EMULATORS, "parrot", EmulatorEntry("a parrot", "parrot"))
    return said


def test_an_emulator_is_given_what_was_said(heard: list[tuple[Emulated, str]]) -> None:
    arguments = "emulate parrot --port there --set mass=1.2 --set action_latency_ms=12 --fault drop=0.1"
    result = CliRunner().invoke(cli, [*arguments.split(), "--control", "socket", "--seed", "3"])
    assert result.exit_code == 0, result.output
    ((emulated, port),) = heard
    assert port == "there"
    assert emulated.parameters == {"mass": 1.2, "action_latency_ms": 12.0}
    assert [each.kind for each in emulated.faults] == ["drop"]
    assert (emulated.control, emulated.seed, emulated.task) == (Path("socket"), 3, None)


def test_help_lists_emulators_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMULATORS, "bus", EmulatorEntry("a bus of parrots", "no_such_module", "serial"))
    result = CliRunner().invoke(cli, ["emulate", "--help"])
    assert result.exit_code == 0
    assert "a bus of parrots" in result.output and "fault" in result.output


def test_an_unknown_emulator_is_one_message(heard: list[tuple[Emulated, str]]) -> None:
    result = CliRunner().invoke(cli, ["emulate", "parot"])
    assert result.exit_code == 2
    assert "did you mean 'parrot'?" in result.output


@pytest.mark.parametrize("argument", ["--fault=drp", "--set=mass"])
def test_what_cannot_be_read_is_a_user_error(heard: list[tuple[Emulated, str]], argument: str) -> None:
    result = CliRunner().invoke(cli, ["emulate", "parrot", argument])
    assert isinstance(result.exception, UserError)
    assert not heard


def test_an_emulator_whose_library_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "simreal.deploy.emulators.registry.import_module", lambda _: __import__("no_such_library")
    )
    monkeypatch.setitem(EMULATORS, "bus", EmulatorEntry("a bus", "bus", "serial"))
    result = CliRunner().invoke(cli, ["emulate", "bus"])
    assert isinstance(result.exception, UserError)
    assert "no_such_library" in str(result.exception) and "simreal[serial]" in str(result.exception)
