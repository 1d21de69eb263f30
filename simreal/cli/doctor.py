"""`simreal doctor`."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from simreal.cli_types import console, counted, print_json

if TYPE_CHECKING:
    from simreal.doctor import Diagnosis

STYLES = {"ok": "green", "note": "blue", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings for programs.")
def doctor(as_json: bool) -> None:
    """Look at this computer: real time, timers, devices, graphics, versions, disk.

    Each finding comes with the command that mends it. Exit status 1 if one breaks something.
    """
    from simreal.doctor import diagnose, verdict

    found = []
    for diagnosis in diagnose():
        found.append(diagnosis)
        if not as_json:
            _print(diagnosis)
    if as_json:
        print_json([asdict(diagnosis) for diagnosis in found])
    else:
        counts = {status: sum(each.status == status for each in found) for status in STYLES}
        console.print(
            f"{counted(counts['problem'], 'problem')}, {counted(counts['warning'], 'warning')}, "
            f"{counted(counts['note'], 'note')}, {counts['ok']} as they should be"
        )
        console.print(f"verdict: {verdict(found)}", soft_wrap=True)
    if any(diagnosis.status == "problem" for diagnosis in found):
        sys.exit(1)


def _print(diagnosis: "Diagnosis") -> None:
    console.print(diagnosis.status.ljust(8), style=STYLES[diagnosis.status], end="")
    console.print(f"{diagnosis.check}: {diagnosis.what}", soft_wrap=True)
    if diagnosis.mend:
        console.print(f"          $ {diagnosis.mend}", soft_wrap=True)
