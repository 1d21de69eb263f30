"""What all commands share."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from rich.console import Console

from simreal.errors import UserError

WITHOUT_END = 10_000
"""Letters to a line where there is no terminal: what is wrapped at 80 is cut for whoever searches it."""


def _console(stream: TextIO, stderr: bool) -> Console:
    width = None if stream.isatty() or "COLUMNS" in os.environ else WITHOUT_END
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


# File, run and bounds may stand between colons: flight.npz:x: is no cross.
console, errors = _console(sys.stdout, False), _console(sys.stderr, True)


def counted(number: int, what: str) -> str:
    """Such as ``1 error`` and ``2 errors``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class _Path(click.ParamType[Path]):
    """A path that need not exist: the verbs say what is wrong with one, and what it is instead."""

    name = "path"

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        return Path(value)


class NumberRange(click.FloatRange):
    """A range of numbers, to which infinity does not belong, nor nan, which no bound holds back."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read one."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


PATH = _Path()
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def override_option(text: str) -> Callable[[Decorated], Decorated]:
    """The option that changes values of a configuration, with its help."""
    return click.option("-o", "--override", "overrides", multiple=True, metavar="KEY=VALUE", help=text)


OVERRIDE_OPTION = override_option(
    "Change a value of the configuration, such as agent=sac; may be repeated."
)

MAPPING_OPTION = click.option(
    "--mapping",
    metavar="FILE|NAME",
    help="Which column is which channel, for CSV and npz, or which topics of a bag: a file, or a name "
    "that ships (docs/logs.md).",
)

PIN_OPTION = click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="NAME=VALUE",
    help="Hold a randomized parameter at a value; may be repeated.",
)


def print_json(content: Any) -> None:
    """Print for programs."""
    click.echo(json.dumps(content, indent=2))


def numbers_by_name(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Read the ``name=number`` values of an option.

    Raises:
        UserError: one that is none.
    """
    numbers = {}
    for text in texts:
        name, separator, value = text.partition("=")
        try:
            numbers[name.strip()] = number = float(value)
        except ValueError:
            number = math.nan
        if not separator or not math.isfinite(number):
            raise UserError(f"{option} {text}: expected name=number")
    return numbers
