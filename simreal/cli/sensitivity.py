"""`simreal sensitivity`."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.progress import Progress

from simreal.cli.progress import to_go
from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import PATH, NumberRange, console, errors, print_json
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.sensitivity import Sensitivity

QUICK_EPISODES = 24
QUICK_POINTS = 3
TELL_SHARE = 0.1
"""Of the episodes, between two lines where there is no terminal."""
TELL_SECONDS = 30.0
"""At most so long without a line there."""


@click.command()
@click.argument("policy", type=PATH)
@click.option("--episodes", type=click.IntRange(min=10), help="Per point; 72 if absent.")
@click.option("--points", type=click.IntRange(min=2), help="Per column; 7 if absent.")
@click.option(
    "--quick", is_flag=True, help=f"{QUICK_POINTS} points and {QUICK_EPISODES} episodes if absent."
)
@click.option(
    "--columns", "patterns", multiple=True, metavar="PATTERN", help="Only these; may be repeated."
)
@click.option(
    "--beyond",
    type=NumberRange(min=0, max=10),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Go on at both ends of a range by this share of its width.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print numbers for programs.")
@REPORT_OPTION
def sensitivity(
    policy: Path,
    episodes: int | None,
    points: int | None,
    quick: bool,
    patterns: tuple[str, ...],
    beyond: float,
    seed: int,
    as_json: bool,
    report: Path | None,
) -> None:
    """Rank the parameters that POLICY, a run folder or an .onnx file, is sensitive to.

    Each parameter alone, the worst ones in pairs, and the share of failures that each explains.
    Ctrl-C ends it with what is known by then.
    """
    from simreal import sensitivity as verb
    from simreal.evaluate import load_candidate

    candidate = load_candidate(policy)
    episodes = episodes or (QUICK_EPISODES if quick else verb.EPISODES)
    points = points or (QUICK_POINTS if quick else verb.POINTS)
    errors.print(f"at most {points} values for each column, {episodes} episodes at each")
    known: Sensitivity | None = None
    with _progress() as show:
        try:
            for known in verb.stages(candidate, episodes, points, seed, patterns, beyond, show):
                if not as_json:
                    _print_when_ready(known)
        except KeyboardInterrupt:
            if known is None:
                raise
    assert known is not None
    if report is not None:
        _write_report(known, report)
    if as_json:
        print_json(verb.as_json(known))
    elif report is not None:
        console.print(f"report: {report}", soft_wrap=True)
    if not known.is_complete:
        if not as_json:
            _print_the_rest(known)
        errors.print("interrupted: what was known by then stands above")
        sys.exit(130)


def _print_when_ready(known: "Sensitivity") -> None:
    """Print the tables to which nothing will be added any more, each once."""
    from simreal import sensitivity as verb

    if not known.sweeps:
        console.print(verb.failure_text(known))
        if known.attribution.repeated:
            _print("failed episodes again", verb.FAILURE_HEADER, verb.failure_rows(known))
    elif known.has_all_columns and not known.pairs:
        _print("each column alone", verb.COLUMN_HEADER, verb.column_rows(known))
    elif known.pairs and known.is_complete:
        _print("the worst columns in pairs", verb.PAIR_HEADER, verb.pair_rows(known))


def _print_the_rest(known: "Sensitivity") -> None:
    """Print the table that was interrupted."""
    from simreal import sensitivity as verb

    if known.pairs:
        _print("some of the worst columns in pairs", verb.PAIR_HEADER, verb.pair_rows(known))
    elif known.sweeps and not known.has_all_columns:
        title = f"{len(known.sweeps)} of {len(known.attribution.columns)} columns, each alone"
        _print(title, verb.COLUMN_HEADER, verb.column_rows(known))


def _write_report(known: "Sensitivity", path: Path) -> None:
    from simreal.report import Page
    from simreal.sensitivity.page import add_sensitivity

    page = Page(f"simreal: {known.candidate}")
    add_sensitivity(page, known)
    page.write(path)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar in a terminal, a line now and then elsewhere; how long it will take, everywhere."""
    told_at, told_share = time.monotonic(), -1.0
    first: tuple[float, int] | None = None
    with Progress(
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
        redirect_stdout=console.is_terminal,  # tables appear above the bar, but go where they should
    ) as bar:
        task = bar.add_task("replaying")

        def show(done: int, total: int) -> None:
            nonlocal told_at, told_share, first
            if not done:
                return  # of a robot that is slow to simulate, no whole episode yet
            now, share = time.monotonic(), done / total
            bar.update(task, completed=done, total=total)
            if first is None:  # it warms everything up: the pace is that of the others
                first = now, done
                errors.print(f"at most {total} episodes")
            elif errors.is_terminal or (
                share - told_share < TELL_SHARE and now - told_at < TELL_SECONDS
            ):
                return
            else:
                left = to_go((now - first[0]) * (total - done) / max(done - first[1], 1))
                errors.print(f"{done} of at most {total} episodes{left}", soft_wrap=True)
            told_at, told_share = now, share

        yield show


def _print(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = folded_table(*header, title=title, title_justify="left", box=SIMPLE_HEAD)
    table.columns[0].min_width = max(len(word) for row in rows for word in row[0].split())
    for row in rows:
        table.add_row(*row)
    console.print(table)
