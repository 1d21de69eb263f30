"""`simreal train`, and how far a training has come."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simreal.cli.coverage import warn_of_coverage
from simreal.cli.progress import to_go
from simreal.cli_types import OVERRIDE_OPTION, PATH, PIN_OPTION, console, errors
from simreal.errors import UserError

if TYPE_CHECKING:
    from simreal.evaluate import Candidate
    from simreal.run import Run
    from simreal.train import TrainingStatus

EPISODES_AT_END = 64
"""Of the evaluation that follows a training."""
LINES_APART = 0.05
"""Share of a training between two lines where there is no terminal."""


@click.command()
@click.argument("experiment", required=False)
@OVERRIDE_OPTION
@click.option("--seed", type=click.IntRange(min=0), help="0 if absent.")
@PIN_OPTION
@click.option("--run", "run_path", type=PATH, help="Run folder; a new one in runs/ if absent.")
@click.option(
    "--randomization", type=PATH, help="What `simreal identify` wrote: draw robots like the real one."
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --run.")
def train(
    experiment: str | None,
    overrides: tuple[str, ...],
    seed: int | None,
    pins: tuple[str, ...],
    run_path: Path | None,
    randomization: Path | None,
    resume: bool,
) -> None:
    """Train EXPERIMENT: a name of `simreal list`, or the path of a YAML file."""
    from simreal.experiment import load_any_experiment
    from simreal.run import Run
    from simreal.teacher import find_teacher
    from simreal.train import planned_steps, refuse_residual_policy, start_run
    from simreal.train import train as train_run

    total = None
    if resume:
        if run_path is None:
            raise UserError("--resume needs --run: the folder of the run to go on with")
        if experiment is not None or seed is not None or pins or randomization is not None:
            raise UserError(
                "--resume goes on with the run as it is: no EXPERIMENT, --seed, --pin or --randomization"
            )
        total = _resumed_steps(overrides)
        run = Run.open(run_path)
        refuse_residual_policy(run)
        _refuse_less_than_done(run, total)
    else:
        if experiment is None:
            raise UserError("which experiment? `simreal list` names them")
        overrides += tuple(f"pins.{pin}" for pin in pins)
        if randomization is not None:
            overrides += (_identified(experiment, overrides, randomization),)
        config = load_any_experiment(experiment, overrides)
        _refuse_faults(experiment, overrides)
        run = start_run(config, seed or 0, run_path)
    if resume and not run.has_checkpoint:
        console.print(f"{run.path}: no checkpoint in it yet, so it begins anew", soft_wrap=True)
    planned = planned_steps(run, total)
    _announce(run, total or run.total_steps, planned)
    with training_progress(planned) as show:
        finished = train_run(run, resume, total, show, find_teacher=find_teacher)
    if not finished:
        end_interrupted(run)
    conclude(run)


def _identified(experiment: str, overrides: tuple[str, ...], path: Path) -> str:
    """The override that draws from an identification; what it replaces is told."""
    from simreal.adapt.posterior_override import randomization_override

    override, change = randomization_override(experiment, overrides, path)
    console.print(f"robots are drawn from {path}: {change.describe()}", soft_wrap=True)
    warn_of_coverage(path, change.coverage, "on it tell what this policy is worth there")
    return override


def _announce(run: "Run", asked: int, planned: int) -> None:
    config = run.experiment()
    rounded = f" ({asked:,} rounded up to whole rollouts)" if planned > asked else ""
    console.print(
        f"{config.agent} on {config.task}, {planned:,} steps{rounded}, seed {run.seed}, "
        f"folder {run.path}\n"
        "Training explores: its actions carry noise, and its episodes begin wherever the experiment "
        "says. The policy itself often does better; it is evaluated at the end.",
        soft_wrap=True,
    )


def end_interrupted(run: "Run") -> NoReturn:
    """Tell how an interrupted training goes on, and end with the exit status of Ctrl-C."""
    console.print(f"interrupted; go on with: {run.command_to_go_on}", soft_wrap=True)
    sys.exit(130)


def conclude(run: "Run") -> None:
    """Tell what the policy does when it no longer explores, and what to do with it."""
    from simreal.evaluate import load_candidate
    from simreal.experiment import ExperimentConfig
    from simreal.run_verdict import BASE

    if (run.path / BASE).is_dir():
        _conclude_adapted(run)
        return
    candidate = load_candidate(run.path)
    of_robot = isinstance(candidate.experiment, ExperimentConfig)
    export = f"\n  simreal export {run.path} -o {run.path.name}.onnx" if of_robot else ""
    console.print(
        f"done. Without exploration, from the task's own start, {EPISODES_AT_END} episodes: "
        f"{_in_short(candidate)}\n"
        f"next:\n  simreal evaluate {run.path} --report evaluation.html"
        f"{export}{_about_adaptation(run)}",
        soft_wrap=True,
    )


def _conclude_adapted(run: "Run") -> None:
    """The same of a policy that goes on from another one, beside that one in its worlds."""
    from simreal.adapt.gate import in_worlds_of
    from simreal.adapt.worlds import robot_experiment
    from simreal.evaluate import load_candidate
    from simreal.run_verdict import BASE

    adapted, began = load_candidate(run.path), load_candidate(run.path / BASE)
    worlds = in_worlds_of(robot_experiment(began.experiment), robot_experiment(adapted.experiment))
    console.print(
        f"done. Without exploration, from the task's own start, {EPISODES_AT_END} episodes of its "
        f"worlds: {_in_short(adapted)}\n"
        f"the policy that it began from, kept in {run.path / BASE}: "
        f"{_in_short(replace(began, experiment=worlds))}\n"
        f"is it any better, there and elsewhere?\n  simreal gate {run.path} --log LOG",
        soft_wrap=True,
    )


def _in_short(candidate: "Candidate") -> str:
    """Success and return of some episodes, for people."""
    from simreal.evaluate import evaluate, summary_rows
    from simreal.experiment import ExperimentConfig

    rows = dict(summary_rows(evaluate(candidate, EPISODES_AT_END).summary))
    of_robot = isinstance(candidate.experiment, ExperimentConfig)
    succeeded = f"success {rows['success']}, " if of_robot else ""  # dm_control defines none
    return f"{succeeded}return {rows['return']}"


def _about_adaptation(run: "Run") -> str:
    from simreal.train import adaptation_of

    return "" if adaptation_of(run.experiment()) is None else f"\n  simreal latent {run.path}"


def _refuse_faults(experiment: str, overrides: tuple[str, ...]) -> None:
    """Lint before a training: warnings are told, errors refuse it."""
    from simreal.lint import lint_experiment

    found = lint_experiment(experiment, overrides)
    faults = [str(each) for each in found if each.severity == "error"]
    if faults:
        raise UserError("\n".join(faults))
    for each in found:
        errors.print(str(each), style="yellow", soft_wrap=True)


def _resumed_steps(overrides: tuple[str, ...]) -> int | None:
    """A resumed run keeps its configuration; only its length may change."""
    from simreal.config import override, parse
    from simreal.experiment import TrainConfig

    data = override({}, overrides)
    section = data.pop("train", {})
    if data or not isinstance(section, dict) or set(section) - {"total_steps"}:
        raise UserError("--resume keeps the run's configuration; only train.total_steps may change")
    return parse(TrainConfig, section).total_steps


def _refuse_less_than_done(run: "Run", total: int | None) -> None:
    """A training may end earlier than it was to, but not before where it is."""
    if total is not None and total < run.steps_kept():
        raise UserError(
            f"train.total_steps={total}: {run.path} has trained {run.steps_kept()} steps already; "
            "it can end there or later"
        )


@contextmanager
def training_progress(total: int) -> Iterator[Callable[["TrainingStatus"], None]]:
    """A progress bar in a terminal, a line now and then elsewhere.

    Args:
        total: environment steps.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=total, state="")
        next_line, paced = 0.0, False

        def show(status: "TrainingStatus") -> None:
            nonlocal next_line, paced
            state, share = _progress_text(status), min(1.0, status.steps / total)
            bar.update(task, completed=status.steps, state=state)
            first_pace = not (paced or math.isnan(status.steps_per_second))
            if not console.is_terminal and (share >= next_line or first_pace):
                paced = paced or first_pace
                next_line = min(share + LINES_APART, 1.0) if share < 1.0 else math.inf
                console.print(
                    f"training {100 * share:3.0f} %: {state}{_left(status, total)}", soft_wrap=True
                )

        yield show


def _left(status: "TrainingStatus", total: int) -> str:
    """How long the rest takes at the pace so far, to be appended; empty at the end."""
    if not (status.steps < total and status.steps_per_second > 0.0):
        return ""
    return to_go((total - status.steps) / status.steps_per_second)


def _progress_text(status: "TrainingStatus") -> str:
    ended = not math.isnan(status.mean_return)
    return (
        f"{status.steps:,} steps, "
        f"return {f'{status.mean_return:.1f}' if ended else '-'}, "
        f"success {f'{100 * status.success:.0f} %' if ended else '-'} exploring"
        + ("" if math.isnan(status.steps_per_second) else f", {status.steps_per_second:,.0f} steps/s")
    )
