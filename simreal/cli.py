"""The command line: one thin command per verb. Heavy imports wait until a verb needs them."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from simreal import __version__
from simreal.cli_bench import bench
from simreal.cli_robot import print_findings, robot
from simreal.cli_sensitivity import sensitivity
from simreal.cli_types import PATH, numbers_by_name, print_json
from simreal.errors import UserError, missing_extra, nearest

if TYPE_CHECKING:
    from simreal.experiment import BaseExperiment
    from simreal.report import Page
    from simreal.train import TrainingStatus

TRAIN_MODULES = (
    "torch",
    "stable_baselines3",
    "gymnasium",
    "onnx",
    "onnxscript",
    "matplotlib",
    "tensorboard",
)
console = Console(highlight=False, markup=False)
errors = Console(stderr=True, highlight=False, markup=False)


class _Commands(click.Group):
    """A group that names the nearest command for one that it does not know."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(context, args[0]) is None and not args[0].startswith("-"):
            context.fail(f"no command {args[0]!r}: {nearest(args[0], self.list_commands(context))}")
        return super().resolve_command(context, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="simreal")
def cli() -> None:
    """Train in randomized simulation, export, run on the robot, evaluate.

    Start with `simreal list`, then `simreal train qube_swingup`.
    """


def main() -> None:
    """Entry point: a user's mistake is one message and exit status 2, never a traceback."""
    from simreal.deploy.drivers import DriverError

    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (UserError, DriverError) as error:
        errors.print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_MODULES:
            raise
        errors.print(f"error: {missing_extra(str(error.name), 'train')}")
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)


def _progress_text(status: "TrainingStatus") -> str:
    ended = not math.isnan(status.mean_return)
    return (
        f"{status.steps / 1e6:.2f} M steps, "
        f"return {f'{status.mean_return:.1f}' if ended else '-'}, "
        f"success {f'{100 * status.success:.0f} %' if ended else '-'}, "
        f"{status.steps_per_second / 1e3:.1f} k steps/s"
    )


@contextmanager
def _training_progress(total: int) -> Iterator[Callable[["TrainingStatus"], None]]:
    """A progress bar in a terminal, a line now and then elsewhere."""
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
        next_line = 0.0

        def show(status: "TrainingStatus") -> None:
            nonlocal next_line
            state = _progress_text(status)
            bar.update(task, completed=status.steps, state=state)
            if not console.is_terminal and status.steps / total >= next_line:
                next_line = status.steps / total + 0.05
                console.print(f"training {min(100, 100 * status.steps / total):3.0f} %: {state}")

        yield show


OVERRIDE_OPTION = click.option(
    "-o",
    "--override",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the configuration, such as agent=sac; may be repeated.",
)

PIN_OPTION = click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="NAME=VALUE",
    help="Hold a randomized parameter at a value; may be repeated.",
)


@cli.command()
@click.argument("experiment", required=False)
@OVERRIDE_OPTION
@click.option("--seed", type=click.IntRange(min=0), help="0 if absent.")
@PIN_OPTION
@click.option("--run", "run_path", type=PATH, help="Run folder; a new one in runs/ if absent.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --run.")
def train(
    experiment: str | None,
    overrides: tuple[str, ...],
    seed: int | None,
    pins: tuple[str, ...],
    run_path: Path | None,
    resume: bool,
) -> None:
    """Train EXPERIMENT: a name of `simreal list`, or the path of a YAML file."""
    from simreal.experiment import load_any_experiment
    from simreal.run import Run
    from simreal.train import start_run
    from simreal.train import train as train_run

    total = None
    if resume:
        if run_path is None:
            raise UserError("--resume needs --run: the folder of the run to go on with")
        if experiment is not None or seed is not None or pins:
            raise UserError("--resume goes on with the run as it is: no EXPERIMENT, --seed or --pin")
        total = _resumed_steps(overrides)
        run = Run.open(run_path)
    else:
        if experiment is None:
            raise UserError("which experiment? `simreal list` names them")
        overrides += tuple(f"pins.{pin}" for pin in pins)
        config = load_any_experiment(experiment, overrides)
        _refuse_faults(experiment, overrides)
        run = start_run(config, seed or 0, run_path)
    config = run.experiment()
    console.print(f"{config.agent} on {config.task}, seed {run.seed}, folder {run.path}", soft_wrap=True)
    with _training_progress(total or config.total_steps) as show:
        finished = train_run(run, resume, total, show)
    if not finished:
        console.print(
            f"interrupted; go on with: simreal train --resume --run {run.path}", soft_wrap=True
        )
        sys.exit(130)
    console.print(
        f"done; next:\n  simreal evaluate {run.path} --report evaluation.html\n"
        f"  simreal export {run.path} -o policy.onnx",
        soft_wrap=True,
    )


def _refuse_faults(experiment: str, overrides: tuple[str, ...]) -> None:
    """Lint before a training: warnings are told, errors refuse it."""
    from simreal.lint import lint_experiment

    found = lint_experiment(experiment, overrides)
    faults = [str(each) for each in found if each.severity == "error"]
    if faults:
        raise UserError("\n".join(faults))
    for each in found:
        errors.print(str(each), style="yellow", soft_wrap=True)


def _add_schedule(page: "Page", path: Path, experiment: "BaseExperiment") -> None:
    """How the ranges moved in training, if the path is a run whose schedule moved them."""
    from simreal.environment import make_environment
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


def _resumed_steps(overrides: tuple[str, ...]) -> int | None:
    """A resumed run keeps its configuration; only its length may change."""
    from simreal.config import override, parse
    from simreal.experiment import TrainConfig

    data = override({}, overrides)
    section = data.pop("train", {})
    if data or not isinstance(section, dict) or set(section) - {"total_steps"}:
        raise UserError("--resume keeps the run's configuration; only train.total_steps may change")
    return parse(TrainConfig, section).total_steps


@cli.command()
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
@click.option("--json", "as_json", is_flag=True, help="Print numbers for programs.")
@click.option("--report", type=PATH, help="Write an HTML page with pictures.")
def evaluate(
    policy: Path,
    episodes: int,
    seed: int,
    pins: tuple[str, ...],
    sweeps: tuple[str, ...],
    as_json: bool,
    report: Path | None,
) -> None:
    """Evaluate POLICY, a run folder or an exported .onnx file, under randomization."""
    from simreal import evaluate as verb

    candidate = verb.load_candidate(policy)
    vary = verb.parse_sweeps(sweeps)
    total = episodes * (1 + sum(map(len, vary.values())))
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("evaluating", total=total)
        result = verb.evaluate(
            candidate,
            episodes,
            seed,
            numbers_by_name("--pin", pins),
            vary,
            lambda done: bar.update(task, completed=done),
        )
    if report is not None:
        from simreal.report import Page, add_evaluation

        page = Page(f"simreal: {candidate.name}")
        add_evaluation(page, result)
        _add_schedule(page, policy, candidate.experiment)
        page.write(report)
    if as_json:
        print_json(verb.as_json(result))
        return
    table = Table("", "value (95 % interval)")
    for row in verb.summary_rows(result.summary):
        table.add_row(*row)
    console.print(table)
    for name, points in result.curves.items():
        sweep = Table(name, "success", "return")
        for value, summary in points:
            sweep.add_row(
                f"{value:g}",
                f"{100 * summary.success.value:.1f} %",
                f"{summary.mean_return.value:.1f}",
            )
        console.print(sweep)
    if report is not None:
        console.print(f"report: {report}", soft_wrap=True)


@cli.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("-o", "--output", type=PATH, default=Path("policy.onnx"), show_default=True)
def export(run_path: Path, output: Path) -> None:
    """Export the newest policy of RUN to one ONNX file."""
    from simreal.export import export as export_run
    from simreal.run import Run

    made = export_run(Run.open(run_path), output)
    console.print(
        f"{made.path}: graph and agent differ by at most {made.parity:.1e} over "
        f"{made.observations} observations\nnext: simreal inspect {made.path}; "
        f"simreal deploy {made.path} --driver sim --log flight.mcap",
        markup=False,
        soft_wrap=True,
    )


@cli.command()
@click.argument("policy", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the contract for programs.")
def inspect(policy: Path, as_json: bool) -> None:
    """Print what POLICY, an exported .onnx file, believes about its robot."""
    from simreal.deploy.policy import load_policy
    from simreal.inspect import describe_contract

    loaded = load_policy(policy)
    if as_json:
        print_json(loaded.contract.model_dump(mode="json"))
        return
    for table in describe_contract(loaded.contract):
        console.print(table)
    mismatch = loaded.golden_mismatch()
    verdict = "reproduced on this machine" if mismatch is None else f"NOT reproduced: {mismatch}"
    console.print(f"golden vectors: {len(loaded.golden.action)} steps, {verdict}")


@cli.command()
@click.argument("policy", type=PATH)
@click.option(
    "--driver",
    default="sim",
    show_default=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="Such as sim, or sim:mass=1.2,action_latency_ms=8.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Until Ctrl-C if absent.",
)
@click.option("--log", type=PATH, help="Write an MCAP log.")
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is asked of the policy, such as forward_velocity=0.5. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome for programs.")
def deploy(
    policy: Path,
    driver: str,
    duration: float | None,
    log: Path | None,
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run POLICY, an exported .onnx file, on a robot."""
    from dataclasses import asdict

    from simreal.deploy.drivers import open_driver
    from simreal.deploy.loop import deploy as run_policy
    from simreal.deploy.policy import load_policy

    if duration is not None and not math.isfinite(duration):
        raise UserError(f"--duration {duration}: expected seconds; leave it out to run until Ctrl-C")
    loaded = load_policy(policy)
    robot = loaded.contract.robot.name
    asked = numbers_by_name("--command", commands)
    if not as_json:
        length = "until Ctrl-C" if duration is None else f"for {duration:g} s"
        console.print(f"{policy.name} on {robot} through {driver}, {length}")
    connection = open_driver(driver, robot, loaded.contract.provenance.task)
    outcome = run_policy(loaded, connection, duration, log, asked)
    if as_json:
        print_json(asdict(outcome))
    else:
        table = Table("ms", "p50", "p90", "p99", "max")
        for name, row in outcome.timing.items():
            table.add_row(name, *(f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")))
        console.print(table)
        share = 100 * outcome.overruns / max(1, outcome.cycles)
        console.print(
            f"{outcome.cycles} cycles, {outcome.overruns} overruns ({share:.2f} %), "
            f"ended by {outcome.ended_by}"
        )
        if log is not None:
            console.print(f"log: {log}", soft_wrap=True)
    if outcome.log_failure is not None:
        errors.print(
            f"{log}: incomplete, {outcome.dropped} entries lost or more: {outcome.log_failure}",
            style="red",
            soft_wrap=True,
        )
    if outcome.fault is not None:
        errors.print(f"fault: {outcome.fault}", style="red", soft_wrap=True)
        sys.exit(1)


@cli.command()
@click.argument("experiment")
@OVERRIDE_OPTION
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--worlds", type=click.IntRange(min=1, max=100), default=12, show_default=True)
@PIN_OPTION
@click.option("--output", type=PATH, help="The HTML page; preview_EXPERIMENT.html if absent.")
@click.option("--viewer", is_flag=True, help="Open MuJoCo's window instead of writing a page.")
def preview(
    experiment: str,
    overrides: tuple[str, ...],
    seed: int,
    worlds: int,
    pins: tuple[str, ...],
    output: Path | None,
    viewer: bool,
) -> None:
    """Show what EXPERIMENT randomizes, as one HTML page: worlds, motions, distributions."""
    from simreal.experiment import load_experiment
    from simreal.preview import sample_worlds

    config = load_experiment(experiment, overrides)
    config = config.model_copy(update={"pins": config.pins | numbers_by_name("--pin", pins)})
    if viewer:
        from simreal.viewer import view_worlds

        view_worlds(config, seed, lambda text: console.print(text, soft_wrap=True))
        return
    from simreal.preview_page import preview_page

    name = Path(experiment).stem
    path = output or Path(f"preview_{name}.html")
    with console.status("sampling worlds"):
        preview_page(sample_worlds(config, name, worlds, seed)).write(path)
    console.print(f"preview: {path}\nopen it in a browser: {path.resolve().as_uri()}", soft_wrap=True)


@cli.command()
@click.argument("experiment")
@OVERRIDE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print findings for programs.")
def lint(experiment: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Find faults in EXPERIMENT and in the model of its robot; exit status 1 if there are errors."""
    from dataclasses import asdict

    from simreal.lint import lint_experiment

    found = lint_experiment(experiment, overrides)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_findings(found)
    if any(each.severity == "error" for each in found):
        sys.exit(1)


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print names for programs.")
def list_everything(as_json: bool) -> None:
    """List robots, tasks, experiments, agents, drivers and randomizable parameters."""
    from simreal.inspect import inventory

    found = inventory()
    if as_json:
        print_json({kind: list(entries) for kind, entries in found.items()})
        return
    for kind, entries in found.items():
        table = Table(kind, "", show_header=True)
        for name, text in entries.items():
            table.add_row(name, text)
        console.print(table)


@cli.command()
@click.option("--folder", type=PATH, default=Path("runs/demo"), show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def demo(folder: Path, seed: int) -> None:
    """Train the Qube, evaluate, export, deploy on an emulated robot, and write a report."""
    from simreal.demo import run_demo

    run_demo(folder, seed, console, _training_progress)


cli.add_command(bench)
cli.add_command(robot)
cli.add_command(sensitivity)
