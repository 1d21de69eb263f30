"""`simreal sensitivity`."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from simreal.cli_types import PATH, print_json

console = Console(highlight=False, markup=False)
errors = Console(stderr=True, highlight=False, markup=False)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar in a terminal; everywhere, how long it will take, after the first batch."""
    start, told = time.monotonic(), False
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("replaying")

        def show(done: int, total: int) -> None:
            nonlocal told
            if not told:
                minutes = (time.monotonic() - start) / done * total / 60
                errors.print(
                    f"at most {total} episodes, about {minutes:.1f} minutes by the first {done}"
                )
                told = True
            bar.update(task, completed=done, total=total)

        yield show


def _print(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    longest_word = max(len(word) for row in rows for word in row[0].split())
    table.add_column(header[0], min_width=longest_word)
    for name in header[1:]:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@click.command()
@click.argument("policy", type=PATH)
@click.option(
    "--episodes", type=click.IntRange(min=10), default=72, show_default=True, help="Per point."
)
@click.option("--points", type=click.IntRange(min=2), default=7, show_default=True, help="Per column.")
@click.option(
    "--columns", "patterns", multiple=True, metavar="PATTERN", help="Only these; may be repeated."
)
@click.option(
    "--beyond",
    type=click.FloatRange(min=0, max=10),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Go on at both ends of a range by this share of its width.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print numbers for programs.")
@click.option("--report", type=PATH, help="Write an HTML page with pictures.")
def sensitivity(
    policy: Path,
    episodes: int,
    points: int,
    patterns: tuple[str, ...],
    beyond: float,
    seed: int,
    as_json: bool,
    report: Path | None,
) -> None:
    """Rank the parameters that POLICY, a run folder or an .onnx file, is sensitive to.

    Each parameter alone, the worst ones in pairs, and the share of failures that each explains.
    """
    from simreal import sensitivity as verb
    from simreal.evaluate import load_candidate

    candidate = load_candidate(policy)
    with _progress() as show:
        result = verb.analyse(candidate, episodes, points, seed, patterns, beyond, show)
    if report is not None:
        from simreal.report import Page
        from simreal.sensitivity.page import add_sensitivity

        page = Page(f"simreal: {candidate.name}")
        add_sensitivity(page, result)
        page.write(report)
    if as_json:
        print_json(verb.as_json(result))
        return
    _print("each column alone", verb.COLUMN_HEADER, verb.column_rows(result))
    if result.pairs:
        _print("the worst columns in pairs", verb.PAIR_HEADER, verb.pair_rows(result))
    console.print(verb.failure_text(result))
    if result.attribution.repeated:
        _print("failed episodes again", verb.FAILURE_HEADER, verb.failure_rows(result))
    if report is not None:
        console.print(f"report: {report}", soft_wrap=True)
