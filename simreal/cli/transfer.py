"""`simreal transfer`."""

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD

from simreal.cli.progress import progress
from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import PATH, console, print_json
from simreal.tables import folded_table


@click.command()
@click.argument("policies", metavar="POLICY...", type=PATH, nargs=-1, required=True)
@click.option(
    "--episodes",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Of each policy in each physics.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@REPORT_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print numbers for programs.")
def transfer(
    policies: tuple[Path, ...], episodes: int, seed: int, report: Path | None, as_json: bool
) -> None:
    """Judge each POLICY, a run folder or an .onnx file, in MuJoCo, perturbed MuJoCo and PyBullet."""
    from simreal import transfer as verb

    candidates = verb.load_candidates(policies)
    total = episodes * len(candidates) * len(verb.CONDITIONS)
    with progress(total) as show:
        result = verb.compare(candidates, episodes, seed, show)
    if report is not None:
        from simreal.report import Page

        page = Page("simreal: transfer")
        verb.add_transfer(page, result)
        page.write(report)
    if as_json:
        print_json(verb.as_json(result))
        return
    table = folded_table(*verb.header(result), box=SIMPLE_HEAD)
    for row in verb.rows(result):
        table.add_row(*row)
    console.print(table)
    if report is not None:
        console.print(f"page: {report}", soft_wrap=True)
