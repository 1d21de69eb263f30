"""The options that all emulators have: who the robot truly is, and what goes wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from simreal.cli_types import PATH, numbers_by_name
from simreal.deploy.emulators.faults import GRAMMAR, KINDS, Fault, parse_fault
from simreal.deploy.realtime import FIRMWARE_PRIORITY, hurry


@dataclass(frozen=True, slots=True)
class Emulated:
    """What is emulated.

    Attributes:
        parameters: true parameters where they differ from the model, by the names of randomization.
        faults: that were announced on the command line; their devices are not checked yet.
        control: path of a socket on which more of them are announced.
        seed: of start, noise and chance.
        task: whose start and surroundings the robot has.
    """

    parameters: Mapping[str, float]
    faults: Sequence[Fault]
    control: Path | None
    seed: int
    task: str | None


def emulator_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command; it is given them as ``emulated``, an `Emulated`."""

    @wraps(function)
    def wrapped(
        settings: Sequence[str],
        faults: Sequence[str],
        control: Path | None,
        seed: int,
        task: str | None,
        **others: Any,
    ) -> None:
        hurry(FIRMWARE_PRIORITY)
        parameters = numbers_by_name("--set", settings)
        announced = [parse_fault(text) for text in faults]
        function(emulated=Emulated(parameters, announced, control, seed, task), **others)

    kinds = ", ".join(KINDS)
    for option in (
        click.option("--task", help="Start and surroundings of a task; the default posture without."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option(
            "--control", type=PATH, help="Make a socket there, for `simreal emulate fault PATH FAULT`."
        ),
        click.option(
            "--fault",
            "faults",
            multiple=True,
            metavar="FAULT",
            help=f"{GRAMMAR} of {kinds}; repeatable.",
        ),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="True value of a parameter of randomization, such as mass=1.2; repeatable.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped
