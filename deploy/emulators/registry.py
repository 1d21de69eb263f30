"""The emulators that `simreal emulate` offers."""

from dataclasses import dataclass
from importlib import import_module

import click

from simreal.errors import missing_extra


@dataclass(frozen=True, slots=True)
class EmulatorEntry:
    """An emulator that can be asked for.

    Attributes:
        description: one line for people.
        module: below `simreal.deploy.emulators`, with a click command `emulate`; it is imported when the
            emulator is asked for.
        extra: of the package, that brings what the module imports.
    """

    description: str
    module: str
    extra: str | None = None


EMULATORS = {
    "so101": EmulatorEntry(
        "SO-101 arm, or yours: Feetech STS3215 on a pseudo-terminal", "servo.feetech_arm"
    ),
    "dynamixel-arm": EmulatorEntry(
        "the same with Dynamixel X servos, protocol 2.0", "servo.dynamixel_arm"
    ),
    "can-leg": EmulatorEntry("robot with CAN motors, on slcan or udp_multicast", "can.can_leg", "can"),
    "go2": EmulatorEntry("Unitree Go2: LowCmd and LowState over DDS", "unitree.go2", "dds"),
}


def emulator_command(name: str) -> click.Command:
    """The command that runs an emulator of `EMULATORS`.

    Raises:
        UserError: an extra that it needs is not installed.
    """
    entry = EMULATORS[name]
    try:
        command = import_module(f"simreal.deploy.emulators.{entry.module}").emulate
    except ModuleNotFoundError as error:
        if entry.extra is None or (error.name or "").startswith("simreal"):
            raise
        raise missing_extra(str(error.name), entry.extra) from None
    assert isinstance(command, click.Command)
    return command
