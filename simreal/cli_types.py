"""What all commands share."""

import json
from pathlib import Path
from typing import Any

import click


class _Path(click.ParamType[Path]):
    """A path that need not exist: the verbs say what is wrong with one, and what it is instead."""

    name = "path"

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        return Path(value)


PATH = _Path()


def print_json(content: Any) -> None:
    """Print for programs."""
    click.echo(json.dumps(content, indent=2))
