"""Commands over a WebSocket, on this computer alone unless another address is given.

The server is a process of its own (`simreal.deploy.commands.websocket_server`): the loop's thread
neither waits for a client nor shares an interpreter with one. What it takes for a command reaches the
loop as a datagram, and is heard, aged and forgotten as those of `simreal.deploy.commands.network`.
"""

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from simreal.contract import Command
from simreal.deploy.commands.network import LOOPBACK, Network
from simreal.deploy.commands.steering import Steering
from simreal.errors import UserError, missing_extra

PATIENCE = 5.0
"""s until a server that does not end is killed."""


class WebSocket:
    """Hears what a WebSocket's clients say."""

    def __init__(self, host: str, port: int, names: Sequence[str]) -> None:
        """Start the server.

        Args:
            host: address to bind.
            port: to bind; any that is free if 0.
            names: of the commands.

        Raises:
            UserError: the address is taken, or not of this computer.
        """
        self._network = Network(LOOPBACK, 0)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "simreal.deploy.commands.websocket_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        given = {"host": host, "port": port, "names": list(names), "loop": self._network.port}
        answer = self._ask(given)
        if "error" in answer:
            self.close()
            raise UserError(f"--commands websocket:{host}:{port}: {answer['error']}")
        self.port: int = answer["port"]

    def _ask(self, given: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(given).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "its server did not start"}
        return answer

    def listen(self, steering: Steering, now: float) -> bool:
        """See `Ear`; a server that is gone falls silent like its clients."""
        return self._network.listen(steering, now)

    def close(self) -> None:
        """End the server."""
        self._network.close()
        if self._process.stdin is None or self._process.stdin.closed:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def open_websocket(commands: Sequence[Command], address: str) -> Steering:
    """Serve at ``PORT``, or at ``HOST:PORT``.

    Raises:
        UserError: no such address, or the extra is not installed.
    """
    if importlib.util.find_spec("websockets") is None:
        raise missing_extra("websockets", "websocket")
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"--commands websocket:{address}: expected websocket:PORT or websocket:HOST:PORT"
        )
    names = [command.name for command in commands]
    return Steering(commands, WebSocket(host or LOOPBACK, int(port), names))
