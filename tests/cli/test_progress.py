"""How far a command has come, where there is no terminal to draw a bar in."""

import pytest

from simreal.cli import progress as module
from simreal.cli.progress import progress


def test_without_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 4.0, 11.0, 12.0, 30.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.errors, "_force_terminal", False)
    with progress(20) as show:
        for done in (1, 5, 6, 20):
            show("evaluating", done)
    told = capsys.readouterr().err.splitlines()
    assert told == ["evaluating: 5 of 20 episodes", "evaluating: 20 of 20 episodes"]
