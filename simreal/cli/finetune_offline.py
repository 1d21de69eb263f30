"""`simreal finetune-offline`."""

from pathlib import Path

import click
from rich.progress import Progress

from simreal.cli_types import PATH, console, override_option


@click.command("finetune-offline")
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    type=PATH,
    help="Of `simreal deploy`; may be repeated.",
)
@click.option("--run", "output", required=True, type=PATH, help="Folder of the new run.")
@override_option("Such as algorithm=iql, updates=50000.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def finetune_offline(
    run_path: Path, logs: tuple[Path, ...], output: Path, overrides: tuple[str, ...], seed: int
) -> None:
    """Change the policy of RUN by what logs of it show, without a simulator and without a robot.

    Refuses where the logs do not support the change.
    """
    from simreal.adapt.finetune_offline import finetune_offline as tune
    from simreal.adapt.offline import OfflineConfig
    from simreal.cli.adapt import tell_if_kept_back
    from simreal.config import override, parse
    from simreal.run import Run

    config = parse(OfflineConfig, override({}, overrides))
    base = Run.open(run_path)
    tell_if_kept_back(base)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("learning from logs", total=config.updates)
        found = tune(base, logs, output, config, seed, lambda done: bar.update(task, completed=done))
    learned, kept = found.transitions
    console.print(
        f"{learned} steps learned from, {kept} kept to judge by, {found.left_out} left out since a "
        "limit stood between action and command.",
        soft_wrap=True,
    )
    for check in found.coverage.checks:
        console.print(f"  {check.name}: {check.found:.3g} (bound {check.bound:.3g})")
    console.print(
        f"The logs support the change; whether it is better, they cannot say.\nnext:\n"
        f"  simreal gate {output} --log LOG\n"
        f"the policy that it began from is kept: {output / 'base'}",
        soft_wrap=True,
    )
