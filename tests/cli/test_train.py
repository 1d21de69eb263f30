"""What `simreal train` tells of itself while it runs."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from simreal.cli import train as module
from simreal.cli.main import cli
from simreal.cli.train import end_interrupted, training_progress
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior
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


def test_no_pace_is_told_before_one_shows_and_then_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.console, "_force_terminal", False)
    with training_progress(10_000) as show:
        for steps, pace in ((100, math.nan), (120, math.nan), (300, 50.0), (350, 50.0)):
            show(TrainingStatus(steps, 10_000, 1.0, 0.5, pace))
    assert capsys.readouterr().out.splitlines() == [
        "training   1 %: 100 steps, return 1.0, success 50 % exploring",
        "training   3 %: 300 steps, return 1.0, success 50 % exploring, 50 steps/s, about 3 min to go",
    ]


def test_who_interrupts_a_training_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        end_interrupted(Run(Path("runs/mine")))
    assert ended.value.code == 130
    said = capsys.readouterr().out
    assert said == "interrupted; go on with: simreal train --resume --run runs/mine\n"


@pytest.mark.parametrize(
    ("coverage", "told"),
    [
        pytest.param(None, None, marks=pytest.mark.long),
        (0.9, None),
        pytest.param(0.897, 89, marks=pytest.mark.long),
        (0.2, 20),
    ],
)
def test_robots_that_do_not_cover_the_real_one_are_told_before_they_are_trained_on(
    tmp_path: Path, coverage: float | None, told: int | None
) -> None:
    heavier = PosteriorParameter(name="mass[arm]", unit="1", operation="scale", low=0.5, high=2.0)
    file = tmp_path / "identified.yaml"
    samples = ((1.2,), (1.3,))
    write_posterior(
        file, Posterior(robot="qube", parameters=(heavier,), samples=samples, coverage=coverage)
    )
    tiny = "-o ppo.simulations=8 -o ppo.rollout_steps=16 -o ppo.batch_size=32 -o train.total_steps=128"
    found = CliRunner().invoke(
        cli, f"train qube_swingup --randomization {file} {tiny} --run {tmp_path}/run"
    )
    assert found.exit_code == 0, found.output
    said = f"{file} covers {told} % of what was held out, where it is to cover 90 %"
    assert (said in found.stderr) == (told is not None)
    assert ("cover" in found.stderr) == (told is not None)
    assert ("were no better on the real one" in found.stderr) == (told == 20)
