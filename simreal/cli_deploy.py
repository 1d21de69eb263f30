"""`simreal deploy`."""

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from simreal.cli_types import PATH, console, errors, numbers_by_name, print_json
from simreal.errors import UserError

if TYPE_CHECKING:
    from simreal.deploy.loop import Outcome

STILL = 0.02
"""rad or m that a driven joint travels if its motor does anything; one that is dead settles by less."""


@click.command()
@click.argument("policy", type=PATH)
@click.option(
    "--driver",
    default="sim",
    show_default=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="Such as sim, or sim:mass=1.2,action_latency_ms=8.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Until Ctrl-C if absent.",
)
@click.option("--log", type=PATH, help="Write an MCAP log.")
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is asked of the policy, such as forward_velocity=0.5. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome for programs.")
def deploy(
    policy: Path,
    driver: str,
    duration: float | None,
    log: Path | None,
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run POLICY, an exported .onnx file, on a robot."""
    from simreal.deploy.drivers import open_driver
    from simreal.deploy.loop import deploy as run_policy
    from simreal.deploy.policy import load_policy

    if duration is not None and not math.isfinite(duration):
        raise UserError(f"--duration {duration}: expected seconds; leave it out to run until Ctrl-C")
    loaded = load_policy(policy)
    contract = loaded.contract
    robot, task = contract.robot.name, contract.provenance.task
    asked = numbers_by_name("--command", commands)
    if not as_json:
        length = "until Ctrl-C" if duration is None else f"for {duration:g} s"
        console.print(f"{policy.name} on {robot} through {driver}, {length}")
    outcome = run_policy(loaded, open_driver(driver, robot, task), duration, log, asked)
    if as_json:
        print_json(asdict(outcome))
    else:
        planned = outcome.cycles if duration is None else round(duration * contract.control_rate)
        _print(outcome, log, task, planned)
        _warn_if_still(outcome)
    if outcome.log_failure is not None:
        errors.print(
            f"{log}: incomplete, {outcome.dropped} entries lost or more: {outcome.log_failure}",
            style="red",
            soft_wrap=True,
        )
    if outcome.fault is not None:
        errors.print(f"fault: {outcome.fault}", style="red", soft_wrap=True)
        sys.exit(1)


def _print(outcome: "Outcome", log: Path | None, task: str, planned: int) -> None:
    table = Table("ms", "p50", "p90", "p99", "max")
    for name, row in outcome.timing.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")))
    console.print(table)
    share = 100 * outcome.overruns / max(1, outcome.cycles)
    console.print(
        f"{outcome.cycles} cycles, {outcome.overruns} overruns ({share:.2f} %), "
        f"ended by {outcome.ended_by}"
    )
    if log is not None:
        console.print(f"{_goal(log, task, planned)}\nlog: {log}", soft_wrap=True)
    else:
        console.print("goal: not known without --log", soft_wrap=True)


def _goal(log: Path, task: str, planned: int) -> str:
    """Whether the task's goal held, as far as the log tells. The motors are off by now."""
    from simreal.logs.messages import read_messages

    try:
        from simreal.evaluate import goal_share_of_log

        share = goal_share_of_log(read_messages(log), task, planned)
    except (ModuleNotFoundError, UserError) as error:  # the log alone may have come to this computer
        return f"goal: not known: {error}"
    if math.isnan(share):
        return f"goal of {task}: what the robot measures does not tell"
    return f"goal of {task}: held in {100 * share:.0f} % of the second half"


def _warn_if_still(outcome: "Outcome") -> None:
    """A policy that balances on a motor that is dead looks well until something pushes."""
    travel = outcome.driven_travel
    if outcome.cycles > 1 and max(travel.values()) < STILL:
        errors.print(
            f"warning: no driven joint moved by more than {STILL:g} rad or m ({', '.join(travel)}); "
            "do the motors have power?",
            style="yellow",
            soft_wrap=True,
        )
