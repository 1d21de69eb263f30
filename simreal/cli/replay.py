"""`simreal replay`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from simreal.cli_types import PATH, console, errors, print_json
from simreal.tables import folded_table

if TYPE_CHECKING:
    from simreal.deploy.replay import Replay

SHOWN = 12
"""Deviating numbers in the table."""


@click.command()
@click.argument("log", type=PATH)
@click.argument("policy", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print what was found for programs.")
def replay(log: Path, policy: Path, as_json: bool) -> None:
    """Feed the raw states in LOG through POLICY again; what comes out must be what was logged.

    Observations and actions must be identical, bit for bit; exit status 1 if they are not, or if
    another policy made the log.
    """
    from simreal.deploy.policy import load_policy
    from simreal.deploy.replay import replay as replay_log
    from simreal.logs.messages import read_messages

    found = replay_log(read_messages(log), load_policy(policy), str(log))
    if as_json:
        print_json(asdict(found) | {"identical": found.identical})
    else:
        _print(found)
    if not found.identical:
        sys.exit(1)


def _print(found: "Replay") -> None:
    if found.other_policy:
        errors.print("another policy made this log: the files differ by their SHA-256", style="red")
    elif found.other_policy is None:
        console.print("the log does not say which policy made it")
    if not found.complete:
        console.print("the log was cut off; replayed as far as it is whole")
    if found.lost:
        console.print(
            f"{found.lost} cycles are not in the log; {found.unknown} after them remember those, and "
            "their observations are not known"
        )
    if found.first is None and found.cycles:
        console.print(f"{found.cycles} cycles: observations and actions identical, bit for bit")
        return
    if found.first is None:
        errors.print("no cycle in the log can be replayed", style="red")
        return
    errors.print(f"first deviation: {found.first}", style="red", soft_wrap=True)
    console.print(_table(found))
    for name, (recorded, present) in found.elsewhere.items():
        console.print(f"{name}: recorded on {recorded}, this is {present}", soft_wrap=True)
    if found.elsewhere:
        console.print("another processor or library may round the last bit otherwise")


def _table(found: "Replay") -> Table:
    table = folded_table("deviates", f"cycles of {found.cycles}", "by at most")
    for name, spread in list(found.deviations.items())[:SHOWN]:
        table.add_row(name, str(spread.cycles), f"{spread.largest:.3g}")
    if len(found.deviations) > SHOWN:
        table.add_row(f"and {len(found.deviations) - SHOWN} more", "", "")
    return table
