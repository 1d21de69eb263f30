"""`simreal latent`."""

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD

from simreal.cli.report_option import REPORT_OPTION
from simreal.cli_types import PATH, console, print_json
from simreal.tables import folded_table


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--episodes", type=click.IntRange(min=32), default=256, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1_000_000, show_default=True)
@click.option("--json", "as_numbers", is_flag=True, help="Print numbers for programs.")
@REPORT_OPTION
def latent(run_path: Path, episodes: int, seed: int, as_numbers: bool, report: Path | None) -> None:
    """Say how well the policy of RUN, trained with `-o adaptation=rma`, finds out its world."""
    from simreal.adapt import latent as verb
    from simreal.experiment import ExperimentConfig
    from simreal.run import Run

    run = Run.open(run_path)
    found = verb.latent_report(run, episodes, seed)
    if report is not None:
        experiment = run.experiment()
        assert isinstance(experiment, ExperimentConfig)
        verb.page(found, run_path.name, experiment.control_rate).write(report)
    if as_numbers:
        print_json(verb.as_json(found))
        return
    for header, rows in (
        (("latent in use", "success", "return"), verb.success_rows(found)),
        (verb.HEADER, verb.table(found)),
    ):
        table = folded_table(*header, box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*row)
        console.print(table)
