"""`simreal preflight`."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simreal.cli_types import PATH, NumberRange, console, print_json
from simreal.errors import UserError
from simreal.files import write_text

if TYPE_CHECKING:
    from simreal.contract import RobotDescription
    from simreal.deploy.drivers import Driver
    from simreal.deploy.preflight.preflight import GiveHand
    from simreal.deploy.preflight.wiggle import Hand


@click.command()
@click.argument("policy", type=PATH)
@click.option("--driver", required=True, metavar="NAME[:KEY=VALUE,...]", help="As for `deploy`.")
@click.option(
    "--hand",
    type=click.Choice(["person", "emulated", "nobody"]),
    help="Who moves the joints; a person at a terminal if absent, else nobody.",
)
@click.option("--allow-motion", is_flag=True, help="Step one joint a little, to measure its latency.")
@click.option(
    "--patience",
    type=NumberRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="For each joint to be moved.",
)
@click.option("-o", "--output", type=PATH, help="File for the verdict, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict for programs.")
def preflight(
    policy: Path,
    driver: str,
    hand: str | None,
    allow_motion: bool,
    patience: float,
    output: Path | None,
    as_json: bool,
) -> None:
    """Check a robot and POLICY before it moves; motors stay passive.

    Golden vectors, contract, gravity by the IMU, bus round trips, joint order and signs by hand,
    latency against what was trained. Exit status 0 if all was checked and passed, 1 if something
    failed, 3 if something was not checked.
    """
    from simreal.deploy.drivers import open_driver
    from simreal.deploy.policy import load_policy
    from simreal.deploy.preflight.preflight import preflight as check

    loaded = load_policy(policy)
    contract = loaded.contract
    opened = open_driver(driver, contract.robot.name, contract.provenance.task)
    verdict = check(
        loaded,
        opened,
        driver,
        _give_hand(hand, opened),
        allow_motion,
        patience,
        (lambda text: None) if as_json else (lambda text: console.print(text, soft_wrap=True)),
    )
    content = asdict(verdict) | {"ready": verdict.ready, "verdict": verdict.sentence()}
    if as_json:
        print_json(content)
    else:
        console.print(f"verdict: {verdict.sentence()}", style="green" if verdict.ready else "red")
    if output is not None:  # last: a folder that may not be written costs nobody the verdict
        write_text(output, json.dumps(content, indent=2) + "\n")
    if not verdict.ready:
        sys.exit(1 if any(finding.result == "fail" for finding in verdict.findings) else 3)


def _give_hand(kind: str | None, driver: "Driver") -> "GiveHand":
    from simreal.deploy.drivers.sim import SimDriver
    from simreal.deploy.preflight.hands import EmulatedHand, Person
    from simreal.deploy.preflight.preflight import nobody

    if kind is None:
        kind = "person" if sys.stdin.isatty() and console.is_terminal else "nobody"
    if kind == "nobody":
        return nobody
    if kind == "emulated":
        if not isinstance(driver, SimDriver):
            raise UserError("--hand emulated: only the driver sim can push its robot's joints")
        emulated = driver
        return lambda robot: nullcontext(EmulatedHand(emulated, robot))

    def person(robot: "RobotDescription") -> "AbstractContextManager[Hand | None]":
        from simreal.cli.joint_directions import joint_directions

        return Person(robot, joint_directions(robot.name), console)

    return person
