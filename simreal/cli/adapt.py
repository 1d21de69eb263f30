"""`simreal finetune`, `gate` and `fit-actuator`: policies and simulators adapted to a robot."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD

from simreal.cli.coverage import warn_of_coverage
from simreal.cli.progress import progress
from simreal.cli.recordings import read_recordings
from simreal.cli_types import (
    MAPPING_OPTION,
    OVERRIDE_OPTION,
    PATH,
    NumberRange,
    console,
    errors,
    print_json,
)
from simreal.errors import UserError
from simreal.files import refuse_taken
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.adapt.gate import Gate
    from simreal.logs.robot_log import RobotLog
    from simreal.run import Run


@click.command()
@click.argument("base", metavar="RUN", type=PATH)
@click.option(
    "--randomization", type=PATH, required=True, help="What `simreal identify` wrote of the robot."
)
@click.option(
    "--old-share",
    type=NumberRange(0.0, 1.0),
    help="Share of the episodes that stay in the old worlds, against forgetting; if absent 0.3, and "
    "more the less of what was held out the identified robots cover.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), help="Environment steps; a quarter of RUN's if absent."
)
@click.option("--residual", type=PATH, help="What `simreal fit-actuator` wrote of the robot.")
@click.option("--run", "run_path", type=PATH, help="New run folder; one in runs/ if absent.")
@click.option("--seed", type=click.IntRange(min=0), help="One more than RUN's if absent.")
@OVERRIDE_OPTION
def finetune(
    base: Path,
    randomization: Path,
    old_share: float | None,
    steps: int | None,
    residual: Path | None,
    run_path: Path | None,
    seed: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Train RUN's policy on in a new run, among robots like the one that was identified."""
    from simreal.adapt.finetune import finetune as run_finetuning
    from simreal.adapt.finetune import start_finetuning
    from simreal.cli.train import conclude, end_interrupted, training_progress
    from simreal.run import Run
    from simreal.train import planned_steps

    began = Run.open(base)
    ready = start_finetuning(began, randomization, old_share, steps, run_path, overrides, seed, residual)
    run = ready.run
    tell_if_kept_back(began)
    planned = planned_steps(run)
    console.print(
        f"{base} goes on for {planned:,} steps in {run.path}: {100 * (1 - ready.old_share):.0f} % of "
        f"the robots are drawn from {randomization} ({ready.change.describe()}), the others as for "
        f"{base}",
        soft_wrap=True,
    )
    warn_of_coverage(
        randomization,
        ready.change.coverage,
        "of both policies on it tell whether this one is better (simreal gate)",
    )
    with training_progress(planned) as show:
        finished = run_finetuning(run, show)
    if not finished:
        end_interrupted(run)
    conclude(run)


def tell_if_kept_back(base: "Run") -> None:
    """Say of a policy that may not leave that nothing which goes on from it may, either."""
    from simreal.run_verdict import reasons_against_export

    for reason in reasons_against_export(base)[:1]:
        errors.print(
            f"note: {base.path} may not be exported, nor what goes on from it: {reason}",
            style="yellow",
            soft_wrap=True,
        )


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option(
    "--against", type=PATH, help="Run or .onnx file of the base policy; the one RUN keeps if absent."
)
@click.option(
    "--log",
    "logs",
    type=PATH,
    multiple=True,
    help="Of the real robot, flights of either policy too; may be repeated.",
)
@MAPPING_OPTION
@click.option("--randomization", type=PATH, help="Identified robot; the one that RUN keeps if absent.")
@click.option("--episodes", type=click.IntRange(min=2), default=256, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict for programs.")
def gate(
    run_path: Path,
    against: Path | None,
    logs: tuple[Path, ...],
    mapping: str | None,
    randomization: Path | None,
    episodes: int,
    seed: int,
    as_json: bool,
) -> None:
    """Hold RUN's adapted policy against its base policy; exit status 1 if it must not be exported.

    In the old worlds, among robots as identified, on states of real logs, and by their flights there.
    """
    from simreal.adapt import gate as verb
    from simreal.adapt.gate_page import write_page
    from simreal.run import Run

    run = Run.open(run_path)
    worlds = 1 if verb.identified_robot(run, randomization) is None else 2
    many = "2 worlds" if worlds == 2 else "1 world"
    errors.print(f"{episodes} episodes x 2 policies x {many}", soft_wrap=True)
    with progress(episodes * 2 * worlds) as show:
        found = verb.judge(run, against, _read(logs, mapping), randomization, episodes, seed, show)
    if as_json:
        print_json(verb.as_json(found))
    else:
        _print(found)
    # Told before: what took minutes is not lost where the folder cannot be written.
    page = verb.write_verdict(run, found).with_suffix(".html")
    write_page(found, page)
    if not as_json:
        console.print(f"report: {page}", soft_wrap=True)
    if not found.passed:
        sys.exit(1)


def _read(logs: tuple[Path, ...], mapping: str | None) -> "list[RobotLog]":
    from simreal.logs.formats import read_logs
    from simreal.randomization.posterior import refuse_twice, sources_of

    found = [each for path in logs for each in read_logs(path, mapping)]
    if logs and not found:
        raise UserError(f"{logs[0]}: no log in it")
    refuse_twice(logs, sources_of(logs), "its flights would be told twice")
    return found


def _print(found: "Gate") -> None:
    from simreal.adapt.gate_page import HEADER, rows, verdict_text

    table = folded_table(*HEADER, box=SIMPLE_HEAD)
    for row in rows(found):
        table.add_row(*row)
    console.print(table)
    for missing in found.not_judged:
        errors.print(f"not judged: {missing}", style="yellow", soft_wrap=True)
    console.print(verdict_text(found), soft_wrap=True)
    for reason in found.reasons:
        console.print(f"  {reason}", soft_wrap=True)
    for note in found.notes:
        errors.print(f"note: {note}", style="yellow", soft_wrap=True)


@click.command("fit-actuator")
@click.argument("logs", metavar="LOG...", type=PATH, nargs=-1, required=True)
@MAPPING_OPTION
@click.option("--robot", required=True, metavar="ROBOT|EXPERIMENT")
@click.option(
    "--randomization", type=PATH, help="What `simreal identify` wrote of it; else the model as it is."
)
@click.option(
    "--all-joints",
    is_flag=True,
    help="Residual dynamics: torques on undriven joints, too.",
)
@click.option("--rate", type=NumberRange(min=1.0), required=True, help="Control rate, Hz.")
@click.option("--fixed-base", is_flag=True, help="The robot's base was held.")
@click.option("--input", "channel", help="Channel that drove the actuators, such as joint_effort.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("-o", "--output", type=PATH, default=Path("actuator.npz"), show_default=True)
def fit_actuator(
    logs: tuple[Path, ...],
    mapping: str | None,
    robot: str,
    randomization: Path | None,
    all_joints: bool,
    rate: float,
    fixed_base: bool,
    channel: str | None,
    seed: int,
    output: Path,
) -> None:
    """Fit networks to the torque that a robot's model lacks in LOGs, of which it takes four or more."""
    from simreal.adapt.residual_split import refuse_too_few
    from simreal.cli.identify import find_robot

    refuse_taken(output, "-o")
    machine = find_robot(robot)
    recordings, sources = read_recordings(logs, mapping, machine, channel)
    refuse_too_few(recordings)

    from simreal.adapt.residual_fit import fit_residual, known_robot
    from simreal.randomization.residual import write_residual

    known = known_robot(machine, fixed_base, randomization)

    def tell(text: str) -> None:
        console.print(text, soft_wrap=True)

    model = fit_residual(known, recordings, 1.0 / rate, all_joints, tell, seed)
    model = replace(model, sources=sources)
    write_residual(output, model)
    console.print(f"written: {output}\n{model.provenance}", soft_wrap=True)
    if model.strength == 0.0:
        errors.print(
            "it predicts held-out logs no better than the model alone: its strength is 0", style="yellow"
        )
        return
    console.print(
        f"next:\n  simreal finetune RUN --randomization {randomization or 'identified.yaml'} "
        f"--residual {output}",
        soft_wrap=True,
    )
