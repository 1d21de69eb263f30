"""A small channel on which a running emulator is told of faults: lines on a Unix socket.

``drop=0.5``, ``stall:elbow_flex@1-2`` (times count from now), ``clear``. Each line is answered by
``ok: `` and what was set, or by what is wrong with it.
"""

import contextlib
import selectors
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from simreal.deploy.emulators.faults import Faults, parse_fault
from simreal.errors import UserError

LONGEST_LINE = 1024
ANSWER_TIMEOUT = 5.0
OBEYED = "ok: "


class FaultControl:
    """The emulator's end of the channel; the socket's file is there while it is open."""

    def __init__(self, path: Path, faults: Faults, devices: Sequence[str]) -> None:
        """Listen at a path.

        Args:
            path: of the socket; a file that is left over from an emulator that was killed is replaced.
            faults: to which the announced ones are added.
            devices: names of what can suffer.

        Raises:
            UserError: it cannot be made there.
        """
        self._path, self._faults, self._devices = path, faults, devices
        if path.is_socket():
            path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.bind(str(path))
        except OSError as error:
            self._socket.close()
            raise UserError(f"--control {path}: {error.strerror or error}") from None
        self._socket.listen()
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)

    def poll(self, now: float) -> None:
        """Hear what has been said, without waiting, at s since the emulator began."""
        for key, _ in self._selector.select(0):
            if key.fileobj is self._socket:
                client, _ = self._socket.accept()
                client.setblocking(False)
                self._selector.register(client, selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                self._hear(key.fileobj, now)

    def _hear(self, client: socket.socket, now: float) -> None:
        try:
            line = client.recv(LONGEST_LINE)
            if line:
                client.send(self._obey(line.decode(errors="replace").strip(), now).encode())
                return
        except OSError:
            pass
        self._selector.unregister(client)
        client.close()

    def _obey(self, line: str, now: float) -> str:
        if line == "clear":
            number = len(self._faults.announced)
            self._faults.clear()
            return f"{OBEYED}cleared, {number} faults ended"
        try:
            fault = parse_fault(line, self._devices)
        except UserError as error:
            return str(error)
        self._faults.announce(fault, now)
        return f"{OBEYED}set: {fault}"

    def close(self) -> None:
        """Stop listening."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def tell_fault(path: Path, line: str) -> str:
    """Announce a fault to the emulator that listens at a path, or ``clear`` all.

    Returns:
        What the emulator has set, for people; times count from now.

    Raises:
        UserError: nobody listens there, or the fault cannot be.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(ANSWER_TIMEOUT)
        try:
            client.connect(str(path))
            client.send(line.encode())
            answer = client.recv(LONGEST_LINE).decode()
        except OSError as error:
            raise UserError(f"no emulator answers at {path}: {error.strerror or error}") from None
    if not answer.startswith(OBEYED):
        raise UserError(answer or "the emulator has ended")
    return answer.removeprefix(OBEYED)
