"""Where an emulator meets its controller: a terminal that speaks slcan, or a bus of python-can."""

import os
import select
import time
import tty
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

import can

from simreal.deploy.emulators.can.motors import CanFrame
from simreal.errors import UserError

LONGEST_LINE = 64
"""Bytes of an slcan line; what is longer is none."""
IDENTIFIER_DIGITS = {"t": 3, "T": 8}
CHUNK = 4096


class CanPort(ABC):
    """A place that takes and gives frames, and never blocks but in `wait`."""

    @abstractmethod
    def receive(self) -> list[CanFrame]:
        """What has arrived."""

    @abstractmethod
    def send(self, frame: CanFrame) -> None:
        """Give a frame out; lost if nobody takes it."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait until something arrives, or for s."""

    @abstractmethod
    def close(self) -> None:
        """Give it back."""


class SlcanPort(CanPort):
    """An slcan adapter on a pseudo-terminal: the commands C, O, L, S, s, V, N, F, t and T.

    Attributes:
        device: path of the terminal.
    """

    def __init__(self, path: Path | None = None, confirms: bool = False) -> None:
        """Make a terminal.

        Args:
            path: of a link to it, for a name that stays.
            confirms: whether each line is answered, as some adapters do.

        Raises:
            UserError: something else stands at the path.
        """
        self._master, self._slave = os.openpty()  # ours stays open, so that clients may come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._link = path
        if path is not None:
            if path.exists() and not path.is_symlink():
                raise UserError(f"--port {path}: something else stands there")
            path.unlink(missing_ok=True)
            path.symlink_to(self.device)
        self._confirms = confirms
        self._rest = b""
        self._open = False

    def receive(self) -> list[CanFrame]:
        try:
            self._rest += os.read(self._master, CHUNK)
        except BlockingIOError:
            return []
        *lines, self._rest = self._rest.split(b"\r")
        self._rest = self._rest[-LONGEST_LINE:]
        frames = [self._take(line) for line in lines]
        return [frame for frame in frames if frame is not None]

    def _take(self, line: bytes) -> CanFrame | None:
        """Obey a line; the frame, if it is one."""
        text = line.decode("ascii", errors="replace")
        head = text[:1]
        frame = _frame(text) if head in IDENTIFIER_DIGITS else None
        known = frame is not None or head in {"", "C", "O", "L", "S", "s", "V", "N", "F", "Y"}
        if head in ("O", "L", "C"):
            self._open = head != "C"
        answer = {"V": b"V1013", "N": b"N0001", "F": b"F00"}.get(head, b"")
        if not known:
            self._write(b"\a")
        elif answer:
            self._write(answer + b"\r")
        elif self._confirms:
            self._write(b"z\r" if head == "t" else b"Z\r" if head == "T" else b"\r")
        return frame if self._open else None

    def send(self, frame: CanFrame) -> None:
        if self._open:
            head = f"T{frame.id:08X}" if frame.extended else f"t{frame.id:03X}"
            self._write(f"{head}{len(frame.data)}{frame.data.hex().upper()}\r".encode())

    def _write(self, data: bytes) -> None:
        with suppress(BlockingIOError):  # nobody reads: a real adapter overruns, too
            os.write(self._master, data)

    def wait(self, seconds: float) -> None:
        select.select([self._master], [], [], max(seconds, 0.0))

    def close(self) -> None:
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)


def _frame(text: str) -> CanFrame | None:
    """The data frame that a line is, or None."""
    digits = IDENTIFIER_DIGITS[text[0]]
    try:
        identifier, length = int(text[1 : 1 + digits], 16), int(text[1 + digits])
        data = bytes.fromhex(text[2 + digits :])
    except (ValueError, IndexError):
        return None
    if length > 8 or len(data) < length or identifier >= 1 << (29 if text[0] == "T" else 11):
        return None
    return CanFrame(identifier, data[:length], text[0] == "T")


class BusPort(CanPort):
    """A bus of python-can, such as `udp_multicast`, or `virtual` within one process."""

    def __init__(self, interface: str, channel: str) -> None:
        """Join it.

        Raises:
            UserError: python-can cannot.
        """
        options = {"hop_limit": 0} if interface == "udp_multicast" else {}
        try:
            self._bus = can.Bus(channel, interface=interface, **options)  # type: ignore[arg-type]
        except (can.CanError, OSError, ValueError) as error:
            raise UserError(f"--interface {interface}: {error}") from None
        try:
            self._file: int | None = self._bus.fileno()
        except NotImplementedError:
            self._file = None

    def receive(self) -> list[CanFrame]:
        frames = []
        while (message := self._bus.recv(0.0)) is not None:
            if not (message.is_error_frame or message.is_remote_frame or message.is_fd):
                data = bytes(message.data)
                frames.append(CanFrame(message.arbitration_id, data, message.is_extended_id))
        return frames

    def send(self, frame: CanFrame) -> None:
        with suppress(can.CanError):
            self._bus.send(
                can.Message(
                    arbitration_id=frame.id, is_extended_id=frame.extended, data=frame.data, check=False
                )
            )

    def wait(self, seconds: float) -> None:
        if self._file is None:
            time.sleep(min(max(seconds, 0.0), 2e-4))
        else:
            select.select([self._file], [], [], max(seconds, 0.0))

    def close(self) -> None:
        self._bus.shutdown()
