"""`simreal lint`."""

import click

from simreal.cli.robot import tell_findings
from simreal.cli_types import OVERRIDE_OPTION


@click.command()
@click.argument("experiment")
@OVERRIDE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print findings for programs.")
def lint(experiment: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Find faults in EXPERIMENT and in the model of its robot; exit status 1 if there are errors."""
    from simreal.lint import lint_experiment

    tell_findings(lint_experiment(experiment, overrides), as_json)
