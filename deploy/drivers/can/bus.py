"""CAN buses over python-can, as the driver wants them: never blocking, and not minding garbage."""

import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from contextlib import ExitStack
from pathlib import Path

import can

from simreal.deploy.drivers.can.protocols import Frame
from simreal.deploy.drivers.driver import DriverError
from simreal.errors import UserError, nearest

INTERFACES = ("socketcan", "slcan", "udp_multicast", "virtual")
"""Those that are tried here; what else python-can has is named `interface=` as well."""
SEND_TIMEOUT = 0.5
"""s, for which a line that has just filled up may hold a frame up; a full one takes none at all. Not
less: a busy computer may take this process its time in the middle of a write."""
POLL_INTERVAL = 2e-4
"""s, where an interface gives nothing to wait on."""
LONGEST_CHATTER = 64
"""Lines that are no data frames, after which a read ends all the same."""
GARBAGE = (ValueError, IndexError, KeyError, UnicodeError)
"""What python-can raises for a line that was damaged on its way."""
TAKEN = (errno.EWOULDBLOCK, errno.EBUSY)
"""Faults of a serial port that another program has locked, or marked as its own (TIOCEXCL)."""
PSEUDO_TERMINALS = range(136, 144)
"""Major numbers of Linux's."""


def _settings(interface: str, bitrate: int) -> dict[str, object]:
    """What each interface needs so as not to wait."""
    match interface:
        case "slcan":
            return {"bitrate": bitrate, "sleep_after_open": 0.0, "timeout": 0.0}
        case "udp_multicast":
            return {"hop_limit": 0}  # stays on this computer
        case "socketcan":
            return {}  # its bit rate belongs to the interface: ip link set can0 type can bitrate ...
    return {"bitrate": bitrate}


def _lock_terminal(channel: str, lock: ExitStack) -> int | None:
    """Keep an adapter's serial port to this process, until the lock is closed.

    Whoever opens it closes the adapter's bus first, and takes away answers that are another's.

    Args:
        channel: path of the port, with @ and its own bit rate perhaps; else nothing is locked.
        lock: holds it.

    Returns:
        The port's file, to be marked as soon as python-can has opened it, too.

    Raises:
        OSError: another program has locked or marked it.
    """
    path = channel.partition("@")[0]
    if not Path(path).is_char_device():
        return None
    try:
        file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        lock.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            raise OSError("another program has it open") from None
        raise
    return file


def _mark_terminal(file: int, lock: ExitStack) -> None:
    """Let nobody else open the port, whether they look for locks or not; root may.

    Not an emulator's: it has its pseudo-terminal open, too, where the mark of a deployment that was
    killed would stay.
    """
    if os.major(os.fstat(file).st_rdev) not in PSEUDO_TERMINALS:
        _mark(file, termios.TIOCEXCL)
        lock.callback(_mark, file, termios.TIOCNXCL)


def _mark(file: int, request: int) -> None:
    with contextlib.suppress(OSError):  # of an adapter that is unplugged
        fcntl.ioctl(file, request)


class CanBus:
    """A bus that is open.

    Attributes:
        name: for people.
    """

    def __init__(self, interface: str, channel: str | None, bitrate: int) -> None:
        """Open it.

        Raises:
            UserError: no such interface.
            DriverError: it cannot be opened.
        """
        self.name = f"{interface} {channel}" if channel else interface
        if interface not in can.VALID_INTERFACES:
            raise UserError(f"driver can: interface={interface}: {nearest(interface, INTERFACES)}")
        settings = _settings(interface, bitrate)
        self._lock = ExitStack()
        try:
            terminal = channel if interface == "slcan" else None
            file = _lock_terminal(terminal, self._lock) if terminal else None
            self._bus = can.Bus(channel, interface=interface, **settings)  # type: ignore[arg-type]
            if file is not None:
                _mark_terminal(file, self._lock)
        except can.CanInterfaceNotImplementedError as error:
            self._lock.close()
            raise UserError(f"{self.name}: {error}: pip install 'simreal[can]'") from None
        except (can.CanError, OSError, ValueError) as error:
            self._lock.close()
            raise DriverError(f"{self.name} cannot be opened: {error}") from None
        try:
            self._file: int | None = self._bus.fileno()
        except (NotImplementedError, can.CanError):
            self._file = None

    @property
    def raw(self) -> can.BusABC:
        """The bus of python-can, for who measures."""
        return self._bus

    def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            DriverError: the bus takes none.
        """
        message = can.Message(
            arbitration_id=frame.id, is_extended_id=frame.extended, data=frame.data, check=False
        )
        if not self._takes_more():
            raise DriverError(f"{self.name} takes no more frames: nobody reads there")
        try:
            self._bus.send(message, SEND_TIMEOUT)
        except (can.CanError, OSError) as error:
            raise DriverError(f"{self.name} cannot be written: {error.__cause__ or error}") from None

    def _takes_more(self) -> bool:
        return self._file is None or bool(select.select([], [self._file], [], 0)[1])

    def receive(self) -> Frame | None:
        """The next frame that has arrived; None where there is none.

        Raises:
            DriverError: the bus is gone.
        """
        for _ in range(LONGEST_CHATTER):
            try:
                message = self._bus.recv(0.0)
            except GARBAGE:
                continue
            except (can.CanError, OSError) as error:
                if self._forgets_garbage(error):
                    continue
                raise DriverError(f"{self.name} cannot be read: {error.__cause__ or error}") from None
            if message is None:
                if self._has_more():
                    continue
                return None
            if not (message.is_error_frame or message.is_remote_frame or message.is_fd):
                return Frame(message.arbitration_id, bytes(message.data), message.is_extended_id)
        return None

    def _forgets_garbage(self, error: Exception) -> bool:
        """After a byte that is no text, python-can's slcan would fail for ever: it keeps the line."""
        flush = getattr(self._bus, "flush", None)
        if flush is None or not isinstance(error.__cause__ or error.__context__, UnicodeError):
            return False
        flush()
        return True

    def _has_more(self) -> bool:
        """Adapters that confirm each frame make python-can return early, with frames still waiting."""
        return self._file is not None and bool(select.select([self._file], [], [], 0)[0])

    def wait(self, seconds: float) -> None:
        """Wait until something may have arrived."""
        if self._file is None:
            time.sleep(min(seconds, POLL_INTERVAL))
        else:
            select.select([self._file], [], [], seconds)

    def close(self) -> None:
        """Give the bus back; never raises."""
        with contextlib.suppress(can.CanError, OSError, ValueError):
            self._bus.shutdown()
        self._lock.close()
