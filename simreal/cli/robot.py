"""`simreal robot`: anybody's model becomes a robot, and is audited."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from simreal.cli_types import console, counted, print_json

if TYPE_CHECKING:
    from simreal.lint import Finding
    from simreal.robot_add import Added


@click.group()
def robot() -> None:
    """Add a robot from an MJCF or a URDF, or audit one that is there."""


@robot.command("add")
@click.argument("model")
@click.option("--name", required=True, help="Lower-case letters, digits and underscores.")
@click.option(
    "--base",
    type=click.Choice(["free", "fixed"]),
    help="Of a URDF, whether the robot stands on its own; by the shape of its tree if absent.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="In place of the robot NAME that was added before, unless you have changed its files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome for programs.")
def add(
    model: str, name: str, base: Literal["free", "fixed"] | None, replace: bool, as_json: bool
) -> None:
    """Audit MODEL, an .xml or .urdf file or menagerie:NAME, and make it a robot.

    Exit status 1 if there are errors; then nothing is written.
    """
    from simreal.robot_add import add_robot
    from simreal.robot_add.menagerie import PREFIX, menagerie_path

    path = menagerie_path(model) if model.startswith(PREFIX) else Path(model)
    added = add_robot(path, name, base, replace)
    if as_json:
        folder = None if added.folder is None else str(added.folder)
        print_json(asdict(added) | {"folder": folder})
    else:
        _print_added(added)
    if added.folder is None:
        sys.exit(1)


def _print_added(added: "Added") -> None:
    _print_findings(added.findings)
    for note in added.notes:
        console.print(f"settled: {note}", soft_wrap=True)
    if added.folder is None:
        console.print("nothing was written: mend the errors first")
        return
    console.print(
        f"written: {added.folder}\nnext: simreal train {added.experiment}; "
        f"simreal robot check {added.folder.name} after you have changed it",
        soft_wrap=True,
    )


@robot.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print findings for programs.")
def check(name: str, as_json: bool) -> None:
    """Audit the robot NAME as it stands in its folder; exit status 1 if there are errors."""
    from simreal.robot_add import check_robot

    tell_findings(check_robot(name), as_json)


def tell_findings(found: "list[Finding]", as_json: bool) -> None:
    """Print findings for people or for programs; exit status 1 if there are errors."""
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        _print_findings(found)
    if any(each.severity == "error" for each in found):
        sys.exit(1)


def _print_findings(found: "list[Finding]") -> None:
    """Each finding on two lines, and how many they are."""
    for each in found:
        style = "red" if each.severity == "error" else "yellow"
        console.print(f"{each.where}: {each.severity} [{each.check}]", style=style, soft_wrap=True)
        mend = f"\n  mend: {each.mend}" if each.mend else ""
        console.print(f"  {each.what}{mend}", soft_wrap=True)
    wrong = sum(each.severity == "error" for each in found)
    told = f"{counted(wrong, 'error')}, {counted(len(found) - wrong, 'warning')}"
    console.print(told if found else "nothing found")
