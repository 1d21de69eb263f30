"""The command line: one thin command per verb. Heavy imports wait until a verb needs them."""

import errno
import sys
from pathlib import Path
from typing import get_args

import click

from simreal import __version__
from simreal.cli.adapt import finetune, fit_actuator, gate
from simreal.cli.bench import bench
from simreal.cli.calibrate import calibrate
from simreal.cli.deploy import deploy
from simreal.cli.doctor import doctor
from simreal.cli.emulate import emulate
from simreal.cli.evaluate import evaluate
from simreal.cli.export import export, inspect
from simreal.cli.finetune_offline import finetune_offline
from simreal.cli.finetune_online import finetune_online
from simreal.cli.identify import design, identify
from simreal.cli.inventory import Kind, inventory, listing
from simreal.cli.latent import latent
from simreal.cli.lint import lint
from simreal.cli.logs import check_log, convert_log
from simreal.cli.preflight import preflight
from simreal.cli.preview import preview
from simreal.cli.replay import replay
from simreal.cli.robot import robot
from simreal.cli.sensitivity import sensitivity
from simreal.cli.train import train, training_progress
from simreal.cli.transfer import transfer
from simreal.cli.transfer_bench import transfer_benchmark
from simreal.cli.watch import watch
from simreal.cli_types import PATH, console, errors, print_json
from simreal.deploy.drivers import DriverError
from simreal.errors import UserError, missing_extra, nearest
from simreal.files import NO_ROOM
from simreal.fresh_module import fresh_module_hint
from simreal.tables import folded_table, keep_names_whole

TRAIN_MODULES = (
    "torch",
    "stable_baselines3",
    "gymnasium",
    "onnx",
    "onnxscript",
    "matplotlib",
    "tensorboard",
)

OF_A_DISK = (*NO_ROOM, errno.EIO, errno.EROFS, errno.EACCES, errno.EPIPE)
"""Faults that are told without a traceback, even if the file has no name: the output has none."""


class _Commands(click.Group):
    """A group that names the nearest command for one that it does not know."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(context, args[0]) is None and not args[0].startswith("-"):
            context.fail(f"no command {args[0]!r}: {nearest(args[0], self.list_commands(context))}")
        return super().resolve_command(context, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="simreal")
def cli() -> None:
    """Train in randomized simulation, export, run on the robot, evaluate.

    Start with `simreal list`, then `simreal train qube_swingup`.
    """


def main() -> None:
    """Entry point: a user's mistake is one message and exit status 2, never a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (UserError, DriverError) as error:
        errors.print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(2)
    except MemoryError as error:
        errors.print(f"error: not enough memory: {error}", style="red", soft_wrap=True)
        sys.exit(2)
    except OSError as error:  # of a disk as a rule, which may be behind the output, too
        if error.filename is None and error.errno not in OF_A_DISK:
            raise
        where = error.filename or "the output, or another file"
        errors.print(f"error: {where}: {error.strerror or error}", style="red", soft_wrap=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        errors.print(f"error: {_missing_module(error)}", soft_wrap=True)
        sys.exit(2)
    except ImportError as error:
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        sys.exit(130)  # Ctrl-C while a compiled module was imported, which tells of it in its own way
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)


def _missing_module(error: ModuleNotFoundError) -> str:
    """What brings a module; a fault of ours is raised again."""
    name = error.name or ""
    hint = fresh_module_hint(name)
    if hint is not None:
        return hint
    if name.partition(".")[0] not in TRAIN_MODULES:
        raise error
    return str(missing_extra(name, "train"))


@cli.command("list")
@click.argument("kind", type=click.Choice(get_args(Kind)), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print names for programs, of all kinds whole.")
def list_everything(kind: Kind | None, as_json: bool) -> None:
    """List what can be named: of one KIND with all details, or everything in short."""
    found = listing(kind) if kind or not as_json else inventory()
    if as_json:
        print_json({part: list(entries) for part, entries in found.items()})
        return
    for part, entries in found.items():
        said = any(entries.values())
        table = folded_table(part, *([""] if said else []))
        for name, text in entries.items():
            table.add_row(name, *([text] if said else []))
        console.print(keep_names_whole(table))


@cli.command()
@click.option("--folder", type=PATH, default=Path("runs/demo"), show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def demo(folder: Path, seed: int) -> None:
    """Train the Qube, evaluate, export, deploy on an emulated robot, and write a report."""
    from simreal.cli.demo import run_demo

    run_demo(folder, seed, console, training_progress)


for command in (
    train,
    evaluate,
    sensitivity,
    export,
    design,
    identify,
    fit_actuator,
    finetune,
    gate,
    inspect,
    deploy,
    replay,
    doctor,
    preflight,
    watch,
    preview,
    lint,
    transfer,
    latent,
    finetune_offline,
    finetune_online,
    transfer_benchmark,
    check_log,
    convert_log,
    robot,
    emulate,
    calibrate,
    bench,
):
    cli.add_command(command)
