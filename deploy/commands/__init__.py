"""Sources of commands: keyboard, gamepad, network, or a file."""

from simreal.deploy.commands.registry import open_commands

__all__ = ["open_commands"]
