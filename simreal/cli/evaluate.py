"""`simreal evaluate`."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simreal.cli.progress import progress
from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import PATH, PIN_OPTION, console, errors, numbers_by_name, print_json
from simreal.errors import UserError
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.evaluate import Evaluation
    from simreal.experiment import BaseExperiment
    from simreal.report import Page


LONGEST_SWEEP = 1000


@click.command()
@click.argument("policy", type=PATH)
@click.option("--episodes", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@PIN_OPTION
@click.option(
    "--vary",
    "sweeps",
    multiple=True,
    metavar="NAME=LOW:HIGH:COUNT",
    help="Evaluate at several values of a parameter; may be repeated.",
)
@click.option("--engine", metavar="NAME", help="mujoco or bullet; that of the training if absent.")
@click.option(
    "--visual-world",
    type=click.Choice(["training", "held_out"]),
    default="training",
    show_default=True,
    help="What cameras see: drawn as in training, or from what training never draws.",
)
@click.option("--json", "as_json", is_flag=True, help="Print numbers for programs.")
@REPORT_OPTION
def evaluate(
    policy: Path,
    episodes: int,
    seed: int,
    pins: tuple[str, ...],
    sweeps: tuple[str, ...],
    engine: str | None,
    visual_world: str,
    as_json: bool,
    report: Path | None,
) -> None:
    """Evaluate POLICY, a run folder or an exported .onnx file, under randomization."""
    from simreal import evaluate as verb
    from simreal.cli.trained_ranges import beyond_trained
    from simreal.physics.engines import known_engine
    from simreal.robots.loader import CHANGED, robot_has_changed

    chosen = None if engine is None else known_engine(engine)
    candidate = verb.load_candidate(policy)
    if visual_world == "held_out":
        candidate = verb.in_held_out_world(candidate)
    vary, held = parse_sweeps(sweeps), numbers_by_name("--pin", pins)
    notes = beyond_trained(candidate.experiment, {name: [value] for name, value in held.items()} | vary)
    notes += _about_the_run(policy)
    if candidate.trained is not None and robot_has_changed(candidate.trained):
        notes.append(CHANGED)
    total = episodes * (1 + sum(map(len, vary.values())))
    with progress(total) as show:
        result = verb.evaluate(
            candidate, episodes, seed, held, vary, lambda done: show("evaluating", done), chosen
        )
    for note in notes:
        errors.print(f"note: {note}", style="yellow", soft_wrap=True)
    if report is not None:
        from simreal.evaluation_page import add_evaluation
        from simreal.report import Page

        page = Page(f"simreal: {candidate.name}")
        add_evaluation(page, result, verb.axis_labels(candidate.experiment))
        _add_schedule(page, policy, candidate.experiment)
        page.write(report)
    if as_json:
        print_json(verb.as_json(result))
        return
    _print(result)
    if report is not None:
        console.print(f"report: {report}", soft_wrap=True)


def _about_the_run(path: Path) -> list[str]:
    """What to know of a run that still trains."""
    if not (path / "run.json").is_file():
        return []
    from simreal.run import Run

    run = Run.open(path)
    return [f"{path}: {run.unfinished}"] if run.unfinished else []


def _print(result: "Evaluation") -> None:
    from simreal.evaluate import evaluation_rows

    table = folded_table("", "value (95 % interval)")
    for row in evaluation_rows(result):
        table.add_row(*row)
    console.print(table)
    for name, points in result.curves.items():
        sweep = folded_table(name, "success", "return")
        for value, summary in points:
            sweep.add_row(
                f"{value:g}",
                f"{100 * summary.success.value:.1f} %",
                f"{summary.mean_return.value:.1f}",
            )
        console.print(sweep)


def _add_schedule(page: "Page", path: Path, experiment: "BaseExperiment") -> None:
    """How the ranges moved in training, if the path is a run whose schedule moved them."""
    from simreal.make_environment import make_environment
    from simreal.randomization.schedule_plot import read_history, schedule_figure
    from simreal.randomization.schedules import FixedConfig

    history = path / "schedule.csv"
    if isinstance(experiment.schedule, FixedConfig) or not history.exists():
        return
    page.heading("Ranges over the training")
    page.text("What was drawn from (band), the limits (dashed) and the model's own value (dotted).")
    page.picture(
        schedule_figure(
            read_history(history), make_environment(experiment, 1, threads=1).randomizer.space
        )
    )


def parse_sweeps(texts: Iterable[str]) -> dict[str, list[float]]:
    """Read ``name=low:high:n`` sweeps.

    Raises:
        UserError: it is none of this kind.
    """
    import numpy as np

    sweeps = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        try:
            low, high, number = bounds.split(":")
            start, stop, count = float(low), float(high), int(number)
        except ValueError:
            start, stop, count = 0.0, 0.0, 0
        if not name.strip() or not math.isfinite(stop - start) or not 0 < count <= LONGEST_SWEEP:
            raise UserError(
                f"--vary {text}: expected name=low:high:count, such as mass=0.8:1.2:5, "
                f"at most {LONGEST_SWEEP} values"
            )
        sweeps[name.strip()] = np.linspace(start, stop, count).tolist()
    return sweeps
