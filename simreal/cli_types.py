"""What all commands share."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from simreal.errors import UserError


class _Path(click.ParamType[Path]):
    """A path that need not exist: the verbs say what is wrong with one, and what it is instead."""

    name = "path"

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        return Path(value)


PATH = _Path()


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
            numbers[name.strip()] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise UserError(f"{option} {text}: expected name=number")
    return numbers
