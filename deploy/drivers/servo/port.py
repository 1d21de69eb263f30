"""A serial port with the interface that both vendors' packet handlers expect of theirs.

Why not theirs: they wait 34 ms for a reply that does not come, poll with a processor at full load,
measure time on the wall clock, and Feetech's keeps old bytes when it clears its input, so that a late
reply answers the next question. This one waits in `select`, for the time that the bytes need on the
wire and `latency` on top, and forgets whatever has come before a request goes out.
"""

import contextlib
import os
import select
import time

import serial

from simreal.deploy.drivers.driver import DriverError

BITS_PER_BYTE = 10
LATENCY = 3e-3
"""s for an answer to begin: two USB frames, 0.5 ms of a servo's return delay, a scheduler's slice."""
READ_SIZE = 4096


class SerialPort:
    """A port that is open, and when its last bytes came.

    Attributes:
        is_using: of the packet handlers: whether an answer is awaited.
        arrival: s of `time.monotonic`, when the last bytes came.
        latency: s, what an answer may take beyond its time on the wire.
    """

    def __init__(self, path: str, baud: int, latency: float = LATENCY) -> None:
        """Open a port.

        Args:
            path: such as /dev/ttyACM0.
            baud: bits per s.
            latency: s.

        Raises:
            DriverError: it cannot be opened.
        """
        try:
            self._serial = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise DriverError(_why_not_open(path, error)) from None
        # FTDI's adapters hold short answers back for 16 ms otherwise; others, and ptys, refuse.
        with contextlib.suppress(ValueError, OSError, AttributeError):
            self._serial.set_low_latency_mode(True)
        self._fd: int = self._serial.fileno()
        self._path, self._baud, self.latency = path, baud, latency
        self.is_using = False
        self.arrival = self._deadline = time.monotonic()
        self._buffer = b""
        self._last_chance = True

    @property
    def fd(self) -> int:
        """The open file, for a guardian that shall outlive this process."""
        return self._fd

    def now(self) -> float:
        """The time in s, on the clock by which bytes arrive."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let s pass on that clock."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close it; may be called twice."""
        with contextlib.suppress(OSError):
            self._serial.close()

    # What follows is called by the packet handlers, by these names.

    def getBaudRate(self) -> int:  # noqa: D102, N802
        return self._baud

    def clearPort(self) -> None:  # noqa: N802
        """Forget what has come: nothing of it answers what is asked next."""
        self._buffer = b""
        while len(self._read()) == READ_SIZE:
            pass

    def writePort(self, packet: list[int] | bytes) -> int:  # noqa: N802
        """Send; the number of bytes that were taken."""
        try:
            return os.write(self._fd, bytes(packet))
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from None

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Wait from now on for an answer of so many bytes."""
        self.setPacketTimeoutMillis(1e3 * (packet_length * BITS_PER_BYTE / self._baud + self.latency))

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """Wait for so many ms from now on."""
        self._deadline, self._last_chance = time.monotonic() + 1e-3 * msec, True

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the time is over, and what had come by then was looked at."""
        return not self._last_chance and time.monotonic() > self._deadline

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Up to so many bytes; fewer when the time is over."""
        taken = self.peek(length)[: max(0, length)]
        self._buffer = self._buffer[len(taken) :]
        return taken

    def peek(self, length: int) -> bytes:
        """All that has come, as soon as it is so many bytes, or the time is over; it stays."""
        while len(self._buffer) < length and self._last_chance:
            remaining = self._deadline - time.monotonic()
            # A process that was not scheduled in time still finds what came in time, once.
            self._last_chance = remaining > 0.0
            if self._ready(max(0.0, remaining)):
                self._buffer += self._receive()
        return self._buffer

    def _ready(self, seconds: float) -> bool:
        try:
            return bool(select.select([self._fd], [], [], seconds)[0])
        except (OSError, ValueError) as error:
            raise self._lost(error) from None

    def _receive(self) -> bytes:
        """What has come, of which `select` said so."""
        received = self._read()
        if not received:
            raise self._lost(OSError("it was unplugged"))
        self.arrival = time.monotonic()
        return received

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> DriverError:
        return DriverError(f"{self._path}: the connection is lost: {error}")


def _why_not_open(path: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    # pyserial's own text names the path again, twice.
    text = f"{path}: cannot be opened: {os.strerror(number) if number else error}"
    if isinstance(error, ValueError):
        return f"{path}: {error}"
    match number:
        case 2:
            return (
                f"{text}; is the adapter plugged in? `ls /dev/ttyACM* /dev/ttyUSB*` shows what there is"
            )
        case 13:
            return f"{text}; `sudo usermod -aG dialout $USER`, then log in again"
        case 11 | 16:
            return f"{text}; another program has it open"
    return text
