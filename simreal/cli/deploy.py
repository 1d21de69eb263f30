"""`simreal deploy`."""

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.table import Table

from simreal.cli_types import PATH, NumberRange, console, errors, numbers_by_name, print_json
from simreal.errors import UserError

if TYPE_CHECKING:
    from simreal.contract import Contract
    from simreal.deploy.command_source import CommandSource
    from simreal.deploy.outcome import Outcome
    from simreal.deploy.policy import Runnable

LONGEST = 1e9
"""s that a run may be asked to last: some thirty years."""
STILL = 0.02
"""rad or m that a driven joint travels if its motor does anything; one that is dead settles by less."""


@click.command()
@click.argument("policy", type=PATH, required=False)
@click.option(
    "--driver",
    default="sim",
    show_default=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="Such as sim, or sim:mass=1.2,action_latency_ms=8.",
)
@click.option(
    "--duration",
    type=NumberRange(min=0, min_open=True, max=LONGEST),
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
@click.option(
    "--commands",
    "source_name",
    metavar="SOURCE",
    help="Who asks while it runs: keyboard, gamepad, udp:PORT, websocket:PORT, or a file (walk.yaml).",
)
@click.option(
    "--camera",
    "cameras",
    multiple=True,
    metavar="NAME=SOURCE",
    help="Of a policy that sees: a device's number or path, a video file, a named pipe, an address.",
)
@click.option("--excite", type=PATH, help="Play an excitation file instead of a policy.")
@click.option(
    "--driver-rate",
    type=float,
    metavar="HZ",
    help="Read and tell the driver at a whole multiple of the policy's rate.",
)
@click.option(
    "--between",
    type=click.Choice(["hold", "interpolate"]),
    default="hold",
    show_default=True,
    help="What the driver is told between two actions; to interpolate delays by one of them.",
)
@click.option(
    "--on-overrun",
    type=click.Choice(["continue", "hold", "stop"]),
    default="continue",
    show_default=True,
    help="When the loop comes late by a period: count it, hold the posture, or stop as by a fault.",
)
@click.option("--shadow", is_flag=True, help="Run everything, send nothing.")
@click.option(
    "--real-time/--no-real-time",
    "wants_real_time",
    default=True,
    help="Ask for SCHED_FIFO, locked memory and no garbage collection (the default), or do not.",
)
@click.option("--cpu", type=click.IntRange(min=0), metavar="N", help="Keep the loop on a processor.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome for programs.")
def deploy(
    policy: Path | None,
    driver: str,
    duration: float | None,
    log: Path | None,
    commands: tuple[str, ...],
    source_name: str | None,
    cameras: tuple[str, ...],
    excite: Path | None,
    driver_rate: float | None,
    between: Literal["hold", "interpolate"],
    on_overrun: Literal["continue", "hold", "stop"],
    shadow: bool,
    wants_real_time: bool,
    cpu: int | None,
    as_json: bool,
) -> None:
    """Run POLICY, an exported .onnx file, on a robot; or play an excitation to it."""
    from simreal.deploy.cameras import open_eyes
    from simreal.deploy.drivers import open_driver
    from simreal.deploy.live import live_view
    from simreal.deploy.loop import deploy as run_policy
    from simreal.deploy.loop_options import LoopOptions
    from simreal.deploy.phase_lines import phase_lines
    from simreal.deploy.realtime import RealTime
    from simreal.robots.loader import CHANGED, robot_has_changed

    if log is not None and log.is_file():
        raise UserError(f"{log}: exists already; give the log another name")
    loaded, name, own_duration = _what_runs(policy, excite)
    duration = own_duration if duration is None else duration
    contract = loaded.contract
    robot, task = contract.robot.name, contract.provenance.task if excite is None else None
    eyes = open_eyes(contract, _sources(cameras))
    opened = open_driver(driver, robot, task)
    if policy is not None and driver.partition(":")[0] == "sim" and robot_has_changed(contract):
        errors.print(f"note: {CHANGED}", style="yellow", soft_wrap=True)
    source = _source(contract, commands, source_name, tells=not as_json)
    real_time = RealTime(cpu=cpu) if wants_real_time else None
    options = LoopOptions(driver_rate, between, on_overrun, shadow, real_time)
    if not as_json:
        length = "until Ctrl-C" if duration is None else f"for {duration:g} s"
        told = ", sending nothing" if shadow else ""
        console.print(f"{name} on {robot} through {driver}, {length}{told}")
    outcome = run_policy(
        loaded,
        opened,
        duration,
        log,
        source,
        options,
        [] if as_json else [live_view if errors.is_terminal else phase_lines],
        lambda text: errors.print(f"warning: {text}", style="yellow", soft_wrap=True),
        eyes,
    )
    if as_json:
        print_json(asdict(outcome))
    elif outcome.cycles == 0:
        console.print(_never_acted(outcome, log), soft_wrap=True)
    else:
        planned = outcome.cycles if duration is None else round(duration * contract.control_rate)
        _print(outcome, log, task, planned)
        if not shadow:
            _warn_if_still(outcome)
    if outcome.log_failure is not None:
        lost = f", {outcome.dropped} entries lost or more" if outcome.dropped else ""
        errors.print(
            f"{log}: incomplete{lost}: {outcome.log_failure}",
            style="red",
            soft_wrap=True,
        )
    if outcome.fault is not None:
        errors.print(f"fault: {outcome.check}: {outcome.fault}", style="red", soft_wrap=True)
    if outcome.fault is not None or outcome.log_failure is not None:
        sys.exit(1)


def _sources(cameras: tuple[str, ...]) -> dict[str, str]:
    """Name of each camera to its source."""
    found = {}
    for text in cameras:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise UserError(f"--camera {text}: expected NAME=SOURCE, such as front=0")
        found[name.strip()] = source
    return found


def _what_runs(policy: Path | None, excite: Path | None) -> tuple["Runnable", str, float | None]:
    """What the loop shall run, its file's name, and how long it lasts by itself in s."""
    from simreal.deploy.excitation import load_excitation
    from simreal.deploy.policy import load_policy

    if policy is not None and excite is None:
        return load_policy(policy), policy.name, None
    if excite is not None and policy is None:
        played = load_excitation(excite)
        return played, excite.name, played.duration
    raise UserError("give either a policy or --excite FILE")


def _source(
    contract: "Contract", commands: tuple[str, ...], name: str | None, tells: bool
) -> "CommandSource":
    from simreal.deploy.command_source import FixedSource, asked_values
    from simreal.deploy.commands import open_commands

    asked = numbers_by_name("--command", commands)
    if name is None:
        return FixedSource(asked_values(contract, asked))
    if asked:
        raise UserError("--command and --commands: one of them alone says what is asked")
    if tells and name in ("keyboard", "gamepad"):
        from simreal.deploy.commands import gamepad, keyboard

        help_text = keyboard.describe(contract.commands) if name == "keyboard" else gamepad.HELP
        console.print(help_text, soft_wrap=True)
    return open_commands(name, contract)


def _print(outcome: "Outcome", log: Path | None, task: str | None, planned: int) -> None:
    """Print what became of a run; an excitation has no task, and so no goal."""
    table = Table("ms", "p50", "p90", "p99", "max")
    for name, row in outcome.timing.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")))
    console.print(table)
    console.print(
        f"{outcome.cycles} cycles, {outcome.overruns} overruns ({100 * outcome.overrun_share:.2f} %), "
        f"{outcome.limited_told}, ended by {outcome.ended_by}",
        soft_wrap=True,
    )
    if task is not None:
        goal = "goal: not known without --log" if log is None else _goal(log, task, planned)
        console.print(goal, soft_wrap=True)
    if log is not None:
        console.print(f"log: {log}", soft_wrap=True)


def _never_acted(outcome: "Outcome", log: Path | None) -> str:
    """All that there is to tell: shares and percentiles of nothing would be nonsense."""
    phase = f" while {outcome.fault_phase}" if outcome.fault_phase else ""
    told = f"the policy never acted: ended by {outcome.ended_by}{phase}"
    return told if log is None else f"{told}\nlog: {log}"


def _goal(log: Path, task: str, planned: int) -> str:
    """Whether the task's goal held, as far as the log tells. The motors are off by now."""
    from simreal.logs.messages import read_messages

    try:
        from simreal.goal_in_log import goal_share_of_log

        messages = read_messages(log)
        if not messages.complete:  # what it lacks would count as failed
            return f"goal of {task}: not known: the log is incomplete"
        share = goal_share_of_log(messages, task, planned)
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
