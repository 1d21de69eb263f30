"""The option `--report` of all commands that have it."""

from pathlib import Path

import click

from simreal.cli_types import PATH
from simreal.files import refuse_no_page


def _refused(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuses a place that is none before anything is computed."""
    if path is not None:
        refuse_no_page(path)
    return path


REPORT_OPTION = click.option(
    "--report",
    type=PATH,
    callback=_refused,
    help="Write an HTML page with pictures; of files that exist, it replaces only such pages.",
)
