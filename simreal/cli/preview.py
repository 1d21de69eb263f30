"""`simreal preview`."""

from pathlib import Path

import click

from simreal.cli_types import OVERRIDE_OPTION, PATH, PIN_OPTION, console, numbers_by_name
from simreal.files import refuse_no_page


@click.command()
@click.argument("experiment")
@OVERRIDE_OPTION
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--worlds", type=click.IntRange(min=1, max=100), default=12, show_default=True)
@PIN_OPTION
@click.option("--output", type=PATH, help="The HTML page; preview_EXPERIMENT.html if absent.")
@click.option("--viewer", is_flag=True, help="Open MuJoCo's window instead of writing a page.")
def preview(
    experiment: str,
    overrides: tuple[str, ...],
    seed: int,
    worlds: int,
    pins: tuple[str, ...],
    output: Path | None,
    viewer: bool,
) -> None:
    """Show what EXPERIMENT randomizes, as one HTML page: worlds, motions, distributions."""
    from simreal.experiment import load_experiment
    from simreal.preview.worlds import sample_worlds

    config = load_experiment(experiment, overrides)
    config = config.model_copy(update={"pins": config.pins | numbers_by_name("--pin", pins)})
    if viewer:
        from simreal.preview.viewer import view_worlds

        view_worlds(config, seed, lambda text: console.print(text, soft_wrap=True))
        return
    from simreal.preview.page import preview_page

    name = Path(experiment).stem
    path = output or Path(f"preview_{name}.html")
    refuse_no_page(path)
    with console.status("sampling worlds"):
        preview_page(sample_worlds(config, name, worlds, seed)).write(path)
    console.print(f"preview: {path}\nopen it in a browser: {path.resolve().as_uri()}", soft_wrap=True)
