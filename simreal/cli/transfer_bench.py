"""`simreal transfer-benchmark`."""

from pathlib import Path

import click

from simreal.cli_types import PATH, console, errors
from simreal.errors import UserError


@click.command("transfer-benchmark")
@click.option("--folder", type=PATH, default=Path("runs/transfer_benchmark"), show_default=True)
@click.option("--robot", "robots", multiple=True, help="May be repeated; all with targets if absent.")
@click.option("--target", "targets", multiple=True, help="a, b, c; may be repeated; all if absent.")
@click.option("--arm", "arms", multiple=True, help="May be repeated; all if absent.")
@click.option("--seeds", default="0-9", show_default=True, help="Such as 0-9, or 0,3,5.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=1_200_000,
    show_default=True,
    help="Environment steps of training, the same for every arm.",
)
@click.option("--episodes", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--page-only", is_flag=True, help="Run nothing; write the page of what stands there.")
def transfer_benchmark(
    folder: Path,
    robots: tuple[str, ...],
    targets: tuple[str, ...],
    arms: tuple[str, ...],
    seeds: str,
    steps: int,
    episodes: int,
    page_only: bool,
) -> None:
    """Hold every way from simulation to a robot against hidden robots.

    Results stay in --folder, and jobs that have one are not done again: a benchmark may be run in parts,
    interrupted, and gone on with. Everything takes hours; the page tells of what there is.
    """
    from simreal.transfer_bench.arms import ARMS
    from simreal.transfer_bench.jobs import do, jobs, results_in
    from simreal.transfer_bench.page import write_page
    from simreal.transfer_bench.targets import TARGETS, find_target

    chosen = list(robots or TARGETS)
    numbers = read_seeds(seeds)
    names = list(arms or ARMS)
    if not page_only:
        places = list(targets or ("a", "b", "c"))
        for robot in chosen:
            for place in places:
                find_target(robot, place)
        wanted = list(jobs(folder, chosen, places, names, numbers, steps))

        def tell(text: str) -> None:
            errors.print(text, soft_wrap=True)

        for number, job in enumerate(wanted, 1):
            found = do(job, episodes, tell)
            console.print(
                f"{number} of {len(wanted)}: {job.robot} {job.target} {job.arm} seed {job.seed}: "
                f"return {found.mean_return:.1f}, success {100 * found.success:.0f} %",
                soft_wrap=True,
            )
            write_page(results_in(folder), folder / "page.html")
    found_all = results_in(folder)
    if not found_all:
        raise UserError(f"{folder}: no result in it yet")
    write_page(found_all, folder / "page.html")
    console.print(f"page: {folder / 'page.html'}", soft_wrap=True)


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
