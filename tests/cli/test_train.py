"""What `simreal train` tells of itself while it runs."""

import math
from pathlib import Path

import pytest

from simreal.cli import train as module
from simreal.cli.train import end_interrupted, training_progress
from simreal.run import Run
from simreal.train import TrainingStatus


def test_without_a_terminal_lines_tell_the_pace_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.console, "_force_terminal", False)
    with training_progress(1000) as show:
        for steps, mean_return, success in (
            (100, math.nan, math.nan),
            (120, 1.0, 0.1),
            (1000, 7.5, 0.5),
        ):
            show(TrainingStatus(steps, 1000, mean_return, success, 2.0))
    assert capsys.readouterr().out.splitlines() == [
        "training  10 %: 100 steps, return -, success - exploring, 2 steps/s, about 8 min to go",
        "training 100 %: 1,000 steps, return 7.5, success 50 % exploring, 2 steps/s",
    ]


def test_who_interrupts_a_training_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        end_interrupted(Run(Path("runs/mine")))
    assert ended.value.code == 130
    said = capsys.readouterr().out
    assert said == "interrupted; go on with: simreal train --resume --run runs/mine\n"
