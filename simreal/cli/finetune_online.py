"""`simreal finetune-online`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, Progress, TextColumn

from simreal.cli_types import PATH, NumberRange, console, errors, override_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from simreal.adapt.finetune_online import OnlineTuning
    from simreal.adapt.online_session import Status


@click.command("finetune-online")
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--driver", required=True, metavar="NAME[:KEY=VALUE,...]", help="As of `simreal deploy`.")
@click.option(
    "--budget-seconds",
    required=True,
    type=NumberRange(min=1.0),
    help="For which the policy moves the robot, in all sessions together.",
)
@click.option(
    "--max-falls",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Episodes that ended for what the policy did, of all sessions.",
)
@click.option(
    "--max-resets", type=click.IntRange(min=1), help="How often it is put back; any if absent."
)
@click.option("--log", "logs", multiple=True, type=PATH, help="Half of each batch; may be repeated.")
@click.option("--run", "output", required=True, type=PATH, help="Folder of the run, new or to go on in.")
@override_option("Such as noise=0.3, bounds.largest=0.2, filter=null.")
@click.option(
    "--ask/--no-ask",
    default=True,
    help="After an episode that was cut short, wait until a person has put the robot back.",
)
@click.option("--real-time/--no-real-time", "wants_real_time", default=True, help="As of `deploy`.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def finetune_online(
    run_path: Path,
    driver: str,
    budget_seconds: float,
    max_falls: int,
    max_resets: int | None,
    logs: tuple[Path, ...],
    output: Path,
    overrides: tuple[str, ...],
    ask: bool,
    wants_real_time: bool,
    seed: int,
) -> None:
    """Let the policy of RUN learn on a robot: a bounded residual on it, within a small budget.

    The robot flies under the supervisor; between episodes its motors are passive and the learner learns.
    Ctrl-C, a kill and a used-up budget leave a folder in which the same command goes on.
    """
    from simreal.adapt.finetune_online import finetune_online as tune
    from simreal.adapt.online_session import OnlineConfig, OnRobot
    from simreal.adapt.robot_budget import Budget
    from simreal.cli.adapt import tell_if_kept_back
    from simreal.config import override, parse
    from simreal.deploy.drivers import open_driver
    from simreal.deploy.loop_options import LoopOptions
    from simreal.deploy.realtime import RealTime
    from simreal.run import Run

    config = parse(OnlineConfig, override({}, overrides))
    base = Run.open(run_path)
    tell_if_kept_back(base)
    contract = base.contract()
    robot = OnRobot(
        open_driver(driver, contract.robot.name, contract.provenance.task),
        driver,
        starts_anew=driver.partition(":")[0] == "sim",
        put_back=_ask if ask and driver.partition(":")[0] != "sim" else None,
        options=LoopOptions(real_time=RealTime() if wants_real_time else None),
    )
    told: set[str] = set()

    def warn(text: str) -> None:
        if text not in told:
            told.add(text)
            errors.print(f"warning: {text}", style="yellow", soft_wrap=True)

    budget = Budget(budget_seconds, max_falls, max_resets)
    with _progress(budget_seconds) as listen:
        found = tune(base, robot, budget, logs, output, config, seed, listen, warn)
    _print(found, output)
    if found.stopped == "interrupted":
        sys.exit(130)


def _ask() -> bool:
    """Whether a person has put the robot back; no answer is a no."""
    try:
        return click.confirm(
            "\nthe episode ended before its time; is the robot back at its start?",
            default=True,
            err=True,
        )
    except click.Abort:
        return False


@contextmanager
def _progress(budget: float) -> "Iterator[Callable[[Status], None]]":
    """A bar of the robot's seconds, where there is a terminal; else a line for each episode."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, shown = bar.add_task("", total=budget, told=""), -1

        def listen(status: "Status") -> None:
            nonlocal shown
            ledger, done = status.ledger, sum(each.seconds for each in status.ledger.episodes)
            last = ledger.episodes[-1] if ledger.episodes else None
            told = f"{done:.0f} of {budget:g} s, {ledger.falls} falls"
            if last is not None:
                told += f", {last.kind} {last.told_reward}, width {ledger.bounds.width:.2f}"
            if status.doing == "learning":
                told += f", learned {100 * status.share:.0f} %"
            bar.update(task, completed=done, description=status.doing, told=told)
            if not console.is_terminal and last is not None and last.number != shown:
                shown = last.number
                console.print(f"episode {last.number}: {told}, {last.ended_by}", soft_wrap=True)

        yield listen


def _print(found: "OnlineTuning", output: Path) -> None:
    ledger = found.ledger
    if found.filtered is not None:
        errors.print(f"commands were not filtered: {found.filtered}", style="yellow", soft_wrap=True)
    counts = {
        "commands beyond a range": "beyond_range",
        "measurements beyond a joint's limits": "beyond_limits",
        "commands limited by the supervisor": "limited",
    }
    counted = (
        f"{sum(getattr(each, name) for each in ledger.episodes)} {words}"
        for words, name in counts.items()
    )
    console.print(
        f"stopped: {found.stopped}\n"
        f"{len(ledger.episodes)} episodes, {ledger.seconds:.1f} s on the robot, {ledger.falls} falls, "
        f"{ledger.resets} resets; {', '.join(counted)}\n"
        f"the same command goes on, as far as a budget allows. Is it any better?\n"
        f"  simreal gate {output} --log LOG\nthe policy that it began from is kept: {output / 'base'}",
        soft_wrap=True,
    )
