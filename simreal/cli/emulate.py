"""`simreal emulate`: robots that are not there, behind the wires of those that are."""

from pathlib import Path

import click

from simreal.cli_types import PATH, console
from simreal.errors import nearest


class _Emulators(click.Group):
    """A group whose emulators are imported when they are asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        from simreal.deploy.emulators.registry import EMULATORS

        return [*EMULATORS, *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        from simreal.deploy.emulators.registry import EMULATORS, emulator_command

        return emulator_command(name) if name in EMULATORS else super().get_command(context, name)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(context)
        if args and args[0] not in names and not args[0].startswith("-"):
            context.fail(f"no emulator {args[0]!r}: {nearest(args[0], names)}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from simreal.deploy.emulators.registry import EMULATORS

        with formatter.section("Emulators"):
            formatter.write_dl([(name, entry.description) for name, entry in EMULATORS.items()])
        with formatter.section("Commands"):
            formatter.write_dl(
                [(each.name or "", each.get_short_help_str()) for each in self.commands.values()]
            )


@click.group(cls=_Emulators)
def emulate() -> None:
    """Run a robot with physics in real time, behind the protocol of the real one."""


@emulate.command("fault")
@click.argument("control", type=PATH)
@click.argument("fault")
def fault(control: Path, fault: str) -> None:
    """Let FAULT befall the emulator whose --control is CONTROL; `clear` ends all faults."""
    from simreal.deploy.emulators.fault_control import tell_fault

    console.print(tell_fault(control, fault), soft_wrap=True)
