"""The process that hears WebSocket clients for a control loop.

Started by `simreal.deploy.commands.websocket` as ``python -m ...``; it ends when its standard input
does. A message is the JSON of `simreal.deploy.commands.network` without `sequence`. One that is wrong
changes nothing, and its client is answered ``{"error": "..."}``.

The client that has been there longest steers. Of the others nothing is heard but a stop, until it
leaves. Web pages of other computers, which a browser here would let connect, are refused by origin.
"""

import asyncio
import json
import math
import os
import re
import socket
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from simreal.deploy.command_source import Wish
from simreal.deploy.commands.network import LONGEST, LOOPBACK
from simreal.errors import nearest

PACE = 2e-3
"""s between two messages of one client: the loop need not hear more, and a flood waits at its source."""
ORIGINS = (None, re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"))
"""No browser, or a page that this computer serves."""
KEYS = ("command", "wish", "stop")
WISHES = [wish.value for wish in Wish]


class Clients:
    """Who is connected, and what of their words reaches the loop."""

    def __init__(self, names: Sequence[str], loop: int) -> None:
        """Take the names of the commands, and the loop's UDP port."""
        self._names = list(names)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((LOOPBACK, loop))
        self._clients: list[ServerConnection] = []

    async def hear(self, client: ServerConnection) -> None:
        """One client, until it is gone."""
        self._clients.append(client)
        try:
            async for message in client:
                if error := self._take(message, client is self._clients[0]):
                    await client.send(json.dumps({"error": error}))
                await asyncio.sleep(PACE)
        except ConnectionClosed:
            pass  # it died without a word
        finally:
            self._clients.remove(client)

    def _take(self, message: str | bytes, steers: bool) -> str | None:
        """Hand a message to the loop; what is wrong with it, or None."""
        try:
            content = json.loads(message)
        except (ValueError, RecursionError):
            return "this is no JSON"
        if error := mistake(content, self._names):
            return error
        if not steers:
            if "stop" not in content:
                return "another client steers: of this one nothing is heard but a stop"
            content = {"stop": content["stop"]}
        try:
            self._socket.send(json.dumps(content).encode())
        except OSError:
            return "the loop has ended"
        return None


def mistake(content: Any, names: Sequence[str]) -> str | None:
    """What is wrong with a message, or None."""
    if not isinstance(content, dict):
        return "expected a JSON object"
    for key in content:
        if key not in KEYS:
            return f"unknown key {key!r}: {nearest(key, KEYS)}"
    if "wish" in content and content["wish"] not in WISHES:
        return f"unknown wish: expected one of {', '.join(WISHES)}"
    command = content.get("command", {})
    if not isinstance(command, dict):
        return "command: expected an object of numbers"
    for name, value in command.items():
        if name not in names:
            return f"no command {name!r}: {nearest(name, names)}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            return f"command {name!r}: expected a finite number"
    return None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


async def run(host: str, port: int, names: Sequence[str], loop: int) -> None:
    """Serve until standard input ends."""
    clients = Clients(names, loop)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    try:
        server = await serve(clients.hear, host, port, origins=ORIGINS, max_size=LONGEST)
    except OSError as error:
        print(json.dumps({"error": error.strerror or str(error)}), flush=True)
        return
    async with server:
        bound = next(iter(server.sockets)).getsockname()[1]
        print(json.dumps({"port": bound}), flush=True)
        await ended.wait()


def main() -> None:
    """Serve as the line on standard input says."""
    # Unbuffered: what the event loop sees must not stand in a buffer already.
    standard_input = os.fdopen(0, "rb", buffering=0)
    given = json.loads(standard_input.readline())
    asyncio.run(run(given["host"], given["port"], given["names"], given["loop"]))


if __name__ == "__main__":
    main()
