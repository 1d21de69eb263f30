"""`simreal check-log` and `simreal convert-log`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD

from simreal.cli.progress import progress
from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import MAPPING_OPTION, PATH, console, print_json
from simreal.files import refuse_taken
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.check_log.finding import Finding

STYLES = {"pass": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


@click.command("check-log")
@click.argument("logs", metavar="LOG...", type=PATH, nargs=-1, required=True)
@click.option("--robot", metavar="NAME", help="Whose log it is; else what the log or its mapping says.")
@MAPPING_OPTION
@REPORT_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print findings for programs.")
def check_log(
    logs: tuple[Path, ...], robot: str | None, mapping: str | None, report: Path | None, as_json: bool
) -> None:
    """Look for what is wrong with each LOG before anything is learned from it.

    Exit status 1 if a check fails.
    """
    from simreal.check_log.checker import check_log as verb
    from simreal.check_log.finding import worst
    from simreal.check_log.subject import make_subject
    from simreal.logs.formats import read_logs

    found = [(path, log) for path in logs for log in read_logs(path, mapping)]
    results: dict[str, list[Finding]] = {}
    notes: dict[str, list[str]] = {}
    with progress(len(found), "logs") as show:
        for number, (path, log) in enumerate(found):
            show(log.source, number)
            # Files of one name may stand in several folders.
            source = log.source if log.source not in results else f"{path.parent}/{log.source}"
            subject = make_subject(log, robot)
            results[source], notes[source] = verb(subject), subject.notes
    if report is not None:
        from simreal.check_log.page import add_checks
        from simreal.report import Page

        page = Page("simreal: check-log")
        add_checks(page, results, notes)
        page.write(report)
    if as_json:
        print_json({source: _as_json(found, notes[source]) for source, found in results.items()})
    else:
        for source, findings in results.items():
            _print(source, findings, notes[source])
        if report is not None:
            console.print(f"page: {report}", soft_wrap=True)
    if any(worst(findings) == "fail" for findings in results.values()):
        sys.exit(1)


def _as_json(findings: "list[Finding]", notes: list[str]) -> dict[str, Any]:
    from simreal.check_log.finding import worst

    return {
        "verdict": worst(findings),
        "notes": notes,
        "checks": {
            each.check: {
                "verdict": each.verdict,
                "text": each.text,
                "numbers": {
                    name: value if value == value else None for name, value in each.numbers.items()
                },
                "advice": each.advice,
            }
            for each in findings
        },
    }


def _print(source: str, findings: "list[Finding]", notes: list[str]) -> None:
    from simreal.check_log.finding import worst

    for note in notes:
        console.print(f"{source}: {note}", style=STYLES["warn"], soft_wrap=True)
    table = folded_table("check", "", "finding", box=SIMPLE_HEAD, title=f"{source}: {worst(findings)}")
    table.title_justify = "left"
    for each in findings:
        if each.verdict != "skip":
            text = each.text + (f"\n-> {each.advice}" if each.advice else "")
            table.add_row(each.check, each.verdict, text, style=STYLES[each.verdict])
    console.print(table)
    for each in findings:
        if each.unfit:
            console.print(f"{each.check}: {each.text}", style=STYLES["warn"], soft_wrap=True)
    skipped = [each.check for each in findings if each.verdict == "skip" and not each.unfit]
    if skipped:
        console.print(f"not checked: {', '.join(skipped)}\n", style="dim", soft_wrap=True)


@click.command("convert-log")
@click.argument("source", metavar="IN", type=PATH)
@click.argument("target", metavar="OUT", type=PATH)
@MAPPING_OPTION
@click.option("--run", metavar="NAME", help="Which run, of a file that holds several.")
def convert_log(source: Path, target: Path, mapping: str | None, run: str | None) -> None:
    """Read the log IN and write it to OUT: .mcap, .parquet, or a folder as a LeRobot dataset.

    Says what the format of OUT cannot hold.
    """
    from simreal.logs.formats import read_logs, select_runs, write_logs

    refuse_taken(target, "name")
    logs = select_runs(read_logs(source, mapping), run, target)
    for loss in write_logs(logs, target):
        console.print(f"not kept: {loss}", style="yellow", soft_wrap=True)
    console.print(f"log: {target}", soft_wrap=True)
