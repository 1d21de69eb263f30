"""What all commands share."""

from pathlib import Path

import click
import pytest

from simreal.cli_types import NumberRange, _console, counted


@pytest.mark.parametrize("text", ["nan", "inf", "-1"])
def test_no_number_without_an_end_passes_a_range(text: str) -> None:
    assert NumberRange(min=0.0).convert("2.5", None, None) == 2.5
    with pytest.raises(click.BadParameter):
        NumberRange(min=0.0).convert(text, None, None)


def test_a_pipe_gets_whole_lines_and_a_terminal_its_own_width(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    with (tmp_path / "piped").open("w") as pipe:
        assert _console(pipe, False).width > 1000
        monkeypatch.setenv("COLUMNS", "100")
        assert _console(pipe, False).width == 100


def test_one_is_no_plural() -> None:
    assert [counted(number, "error") for number in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]
