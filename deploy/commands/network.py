"""Commands as UDP datagrams of JSON, on this computer alone unless another address is given.

``{"command": {"forward_velocity": 0.5}, "wish": "run", "stop": "somebody fell", "sequence": 17}``; every
key may be left out. A datagram with a lower sequence than one before came late and is ignored, but for
its stop. What is no such JSON is ignored.
"""

import json
import socket
from collections.abc import Sequence
from typing import Any

from simreal.contract import Command
from simreal.deploy.command_source import Wish
from simreal.deploy.commands.steering import SILENCE, Steering
from simreal.errors import UserError

LONGEST = 4096
"""Bytes of a datagram."""
MOST = 64
"""Datagrams that are heard in one cycle: a flood must not hold up the loop."""
LOOPBACK = "127.0.0.1"


class Network:
    """Hears a UDP socket."""

    def __init__(self, host: str, port: int) -> None:
        """Bind it.

        Raises:
            UserError: the address is taken, or not of this computer.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise UserError(f"--commands udp:{host}:{port}: {error}") from None
        self._socket.setblocking(False)
        self._heard: float | None = None
        self._sequence = -1

    @property
    def port(self) -> int:
        """As bound."""
        port: int = self._socket.getsockname()[1]
        return port

    def listen(self, steering: Steering, now: float) -> bool:
        """See `Ear`; before the first word, nobody is missed."""
        for _ in range(MOST):
            try:
                data = self._socket.recv(LONGEST)
            except OSError:  # nothing more, or closed
                break
            if self._take(steering, data):
                self._heard = now
        return self._heard is None or now - self._heard <= SILENCE

    def _take(self, steering: Steering, data: bytes) -> bool:
        """Obey a datagram; whether it was one for us."""
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(content, dict):
            return False
        if stop := content.get("stop"):
            steering.stop(f"remote stop: {stop if isinstance(stop, str) else 'asked for'}"[:200])
        sequence = content.get("sequence", self._sequence + 1)
        if not isinstance(sequence, int) or sequence <= self._sequence:
            return False
        self._sequence = sequence
        _ask(steering, content.get("command"))
        wish = content.get("wish")
        if wish in [each.value for each in Wish]:
            steering.want(Wish(wish))
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _ask(steering: Steering, values: Any) -> None:
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if name in steering.names and isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                continue
            steering.set(steering.names.index(name), number)


def open_network(commands: Sequence[Command], address: str) -> Steering:
    """Listen at ``PORT``, or at ``HOST:PORT``.

    Raises:
        UserError: no such address.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise UserError(f"--commands udp:{address}: expected udp:PORT or udp:HOST:PORT")
    return Steering(commands, Network(host or LOOPBACK, int(port)))
