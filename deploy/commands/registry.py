"""Finds a source of commands by what the user wrote."""

from pathlib import Path

from simreal.contract import Contract
from simreal.deploy.command_source import CommandSource
from simreal.errors import UserError, nearest

KINDS = {
    "keyboard": "keys of this terminal",
    "gamepad": "a gamepad, gamepad:/dev/input/eventN for a certain one",
    "udp": "udp:PORT, datagrams of JSON to this computer; udp:HOST:PORT to be heard from elsewhere",
    "websocket": "websocket:PORT or websocket:HOST:PORT, the same JSON from clients that connect",
    "FILE.yaml": "what is asked when",
}


def open_commands(specification: str, contract: Contract) -> CommandSource:
    """Open ``keyboard``, ``gamepad[:PATH]``, ``udp:[HOST:]PORT``, ``websocket:[HOST:]PORT`` or a file.

    Raises:
        UserError: no such source, or it cannot be opened.
    """
    kind, _, rest = specification.partition(":")
    if kind == "keyboard" and not rest:
        from simreal.deploy.commands.keyboard import open_keyboard

        return open_keyboard(contract.commands)
    if kind == "gamepad":
        from simreal.deploy.commands.gamepad import open_gamepad

        return open_gamepad(contract.commands, rest)
    if kind == "udp":
        from simreal.deploy.commands.network import open_network

        return open_network(contract.commands, rest)
    if kind == "websocket":
        from simreal.deploy.commands.websocket import open_websocket

        return open_websocket(contract.commands, rest)
    if Path(specification).suffix in (".yaml", ".yml"):
        from simreal.deploy.commands.profile import open_profile

        return open_profile(contract, Path(specification))
    raise UserError(f"--commands {specification}: {nearest(kind, KINDS)}")
