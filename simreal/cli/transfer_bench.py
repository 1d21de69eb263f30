"""`simreal transfer-benchmark`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simreal.cli.progress import duration_text
from simreal.cli_types import PATH, console, errors
from simreal.errors import UserError, nearest
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.transfer_bench.job import Job


@click.command("transfer-benchmark")
@click.option("--folder", type=PATH, default=Path("runs/transfer_benchmark"), show_default=True)
@click.option("--robot", "robots", multiple=True, help="May be repeated; all with targets if absent.")
@click.option("--target", "targets", multiple=True, help="Such as a; may be repeated; all if absent.")
@click.option("--arm", "arms", multiple=True, help="May be repeated; all if absent.")
@click.option("--seeds", default="0-9", show_default=True, help="Such as 0-9, or 0,3,5.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Environment steps of training, the same for every arm; if absent, as many as the robot's "
    "experiment has.",
)
@click.option("--episodes", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--plan", is_flag=True, help="Run nothing; say what there is to do and how long it takes.")
@click.option("--page-only", is_flag=True, help="Run nothing; write the page of what stands there.")
def transfer_benchmark(
    folder: Path,
    robots: tuple[str, ...],
    targets: tuple[str, ...],
    arms: tuple[str, ...],
    seeds: str,
    steps: int | None,
    episodes: int,
    plan: bool,
    page_only: bool,
) -> None:
    """Hold every way from simulation to a robot against hidden robots.

    Results stay in --folder, and jobs that have one are not done again: a benchmark may be run in parts,
    interrupted, and gone on with. Everything takes days, as --plan tells.
    """
    from simreal.transfer_bench.page import write_page
    from simreal.transfer_bench.results import results_in

    if not page_only:
        wanted = _wanted(folder, robots, targets, arms, seeds, steps)
        _print_plan(wanted, folder, episodes, each=plan)
        if plan:
            return
        _do(wanted, folder, episodes)
    found = results_in(folder, _warn)
    if not found:
        raise UserError(f"{folder}: no result in it yet")
    write_page(found, folder / "page.html")
    console.print(f"page: {folder / 'page.html'}", soft_wrap=True)


def _warn(text: str) -> None:
    errors.print(f"warning: {text}", style="yellow", soft_wrap=True)


def _wanted(
    folder: Path,
    robots: Sequence[str],
    targets: Sequence[str],
    arms: Sequence[str],
    seeds: str,
    steps: int | None,
) -> "list[Job]":
    """The jobs that were asked for; those that a robot cannot have are named.

    Raises:
        UserError: names that are none, or an arm asked for by name that none of the robots can have.
    """
    from simreal.transfer_bench.arms import ARMS, missing
    from simreal.transfer_bench.jobs import jobs
    from simreal.transfer_bench.targets import TARGETS, find_target

    chosen, names = list(robots or TARGETS), list(arms or ARMS)
    for robot in chosen:
        for place in targets or TARGETS.get(robot, "a"):
            find_target(robot, place)
    for name in names:
        if name not in ARMS:
            raise UserError(f"no arm {name!r}: {nearest(name, ARMS)}")
        for robot in chosen:
            if (why := missing(robot, name)) is not None:
                errors.print(f"{robot} has no arm {name}: {why}", soft_wrap=True)
    wanted = list(jobs(folder, chosen, targets, names, read_seeds(seeds), steps))
    if not wanted:
        raise UserError(f"nothing to do: no arm {', '.join(names)} of {', '.join(chosen)}")
    return wanted


def _print_plan(wanted: "Sequence[Job]", folder: Path, episodes: int, each: bool) -> None:
    from simreal.transfer_bench.cost import seconds_each, seconds_left
    from simreal.transfer_bench.results import results_in

    done = results_in(folder, _warn)
    if each:
        known = {(one.key, one.steps) for one in done}
        table = folded_table("robot", "target", "arm", "seed", "steps", "on quiet cores", "")
        for job, seconds in zip(wanted, seconds_each(wanted, episodes), strict=True):
            stands = "done" if (job.key, job.steps) in known else ""
            row = job.robot, job.target, job.arm, str(job.seed), f"{job.steps:,}"
            table.add_row(*row, duration_text(seconds), stands)
        console.print(table)
    left, slower = seconds_left(wanted, done, episodes)
    how = (
        "on quiet cores"
        if slower is None
        else f"at the pace so far ({slower:.1f} times that of quiet cores)"
    )
    console.print(f"{len(wanted)} jobs, about {duration_text(left)} to go {how}", soft_wrap=True)


def _do(wanted: "Sequence[Job]", folder: Path, episodes: int) -> None:
    from simreal.transfer_bench.cost import seconds_left
    from simreal.transfer_bench.jobs import do
    from simreal.transfer_bench.page import write_page
    from simreal.transfer_bench.results import results_in

    def tell(text: str) -> None:
        errors.print(text, soft_wrap=True)

    for number, job in enumerate(wanted, 1):
        found = do(job, episodes, tell)
        done = results_in(folder)
        left, _ = seconds_left(wanted, done, episodes)
        rest = f"; about {duration_text(left)} to go" if number < len(wanted) and left else ""
        console.print(
            f"{number} of {len(wanted)}: {job.robot} {job.target} {job.arm} seed {job.seed}: "
            f"return {found.mean_return:.1f}, success {100 * found.success:.0f} %{rest}",
            soft_wrap=True,
        )
        write_page(done, folder / "page.html")


def read_seeds(text: str) -> list[int]:
    """Read ``0-2,5``.

    Raises:
        UserError: it is none of this kind.
    """
    found: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.partition("-")
            found += range(int(low), int(high or low) + 1)
    except ValueError:
        found = []
    if not found:
        raise UserError(f"--seeds {text}: expected numbers and ranges, such as 0-2,5")
    return list(dict.fromkeys(found))
