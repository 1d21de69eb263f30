"""How far a command has come, where there is no terminal to draw a bar in."""

import pytest

from simreal.cli import progress as module
from simreal.cli.progress import duration_text, progress
from simreal.cli.sensitivity import _progress as sensitivity_progress
from simreal.cli_types import errors


def test_without_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 4.0, 60.0, 62.0, 90.0, 120.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.errors, "_force_terminal", False)
    with progress(20) as show:
        for done in (1, 5, 6, 15, 20):
            show("evaluating", done)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "evaluating: 5 of 20 episodes, about 3 min to go",
        "evaluating: 15 of 20 episodes, about 1 min to go",
        "evaluating: 20 of 20 episodes",
    ]


def test_durations_are_told_in_hours_and_minutes() -> None:
    assert duration_text(5.0) == "1 min"
    assert duration_text(7810.0) == "2 h 10 min"


def test_a_sensitivity_of_a_slow_robot_tells_nothing_before_its_first_episode(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "_force_terminal", False)
    with sensitivity_progress() as show:
        show(0, 100)
        assert capsys.readouterr().err == ""
        show(1, 100)
        assert capsys.readouterr().err == "at most 100 episodes\n"


def test_a_sensitivity_takes_its_pace_from_all_but_the_first_episodes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 40.0, 100.0])
    monkeypatch.setattr("simreal.cli.sensitivity.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(errors, "_force_terminal", False)
    with sensitivity_progress() as show:
        show(10, 100)
        show(40, 100)
    assert capsys.readouterr().err.splitlines() == [
        "at most 100 episodes",
        "40 of at most 100 episodes, about 2 min to go",
    ]
