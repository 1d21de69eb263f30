"""Frames on the wire, through the vendors' packet handlers; both kinds look alike from here."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo.port import SerialPort

BROADCAST = 0xFE
SYNC_READ, SYNC_WRITE = 0x82, 0x83
"""Instructions that both makers number alike."""
LAST_ID = 252


class Status(NamedTuple):
    """What a servo answers.

    Attributes:
        id: of the servo.
        error: its error byte.
        data: what was asked for; empty as the answer to a ping or a write.
        time: s of `time.monotonic`, when it arrived.
    """

    id: int
    error: int
    data: bytes
    time: float


class Protocol(ABC):
    """Requests and answers on a port; a request that cannot be sent is a `DriverError`.

    The vendor's handler makes what is sent to one servo and finds its way through what comes. What the
    loop says and hears in each cycle goes without it, since it goes byte by byte: what is sent to all of
    them, and answers that stand where they were awaited, whole and sound.

    Attributes:
        port: on which they go.
        overhead: bytes of a status around its data.
    """

    overhead: int

    def __init__(self, port: SerialPort, handler: Any) -> None:
        """Speak on a port through a vendor's packet handler."""
        self.port, self._handler = port, handler

    @abstractmethod
    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""

    def read(self, servo: int, start: int, length: int) -> None:
        """Ask a servo for registers."""
        self._sent(self._handler.readTx(self._free_port(), servo, start, length))

    def write(self, servo: int, start: int, data: bytes) -> None:
        """Write registers of a servo, which answers with a status."""
        self._sent(self._handler.writeTxOnly(self._free_port(), servo, start, len(data), list(data)))
        self.port.setPacketTimeout(self.overhead)

    def sync_read(self, servos: Sequence[int], start: int, length: int) -> None:
        """Ask several servos for the same registers; they answer one after the other."""
        self.port.clearPort()
        self._send(self._to_all(SYNC_READ, start, length, bytes(servos)))
        self.port.setPacketTimeout((self.overhead + length) * len(servos))

    def sync_write(self, start: int, length: int, data: bytes) -> None:
        """Write the same registers of several servos, none of which answers.

        Args:
            start: address.
            length: bytes for each.
            data: the id of each, and its bytes.
        """
        self._send(self.sync_write_frame(start, length, data))

    def sync_write_frame(self, start: int, length: int, data: bytes) -> bytes:
        """What is sent for that."""
        return self._to_all(SYNC_WRITE, start, length, data)

    @abstractmethod
    def _to_all(self, instruction: int, start: int, length: int, data: bytes) -> bytes:
        """The frame of an instruction for several servos."""

    def _send(self, frame: bytes) -> None:
        if self.port.writePort(frame) != len(frame):
            raise DriverError("serial bus: a request cannot be sent: the port takes no more bytes")

    def receive(self) -> Status | None:
        """The next whole status with a right checksum, or None when the time is over."""
        while True:
            packet, result = self._receive()
            if result == 0 and (status := self._status(packet, self.port.arrival)) is not None:
                return status
            if result != 0 and self.port.isPacketTimeout():
                return None

    def receive_awaited(self, length: int) -> list[Status]:
        """The same, and faster for all that are there already and carry as many bytes as are awaited.

        Returns:
            One at least, in the order in which they came; none when the time is over.
        """
        size = self.overhead + length
        came, found = self.port.peek(size), []
        for begin in range(0, len(came) - size + 1, size):
            status = self._whole(came[begin : begin + size], length)
            if status is None:
                break
            found.append(status)
        if found:
            self.port.readPort(size * len(found))
            return found
        other = self.receive()
        return [] if other is None else [other]

    @abstractmethod
    def _whole(self, frame: bytes, length: int) -> Status | None:
        """A frame of `overhead + length` bytes, if it is a sound status and has no byte too many."""

    @abstractmethod
    def _receive(self) -> tuple[list[int], int]:
        """A packet and the handler's result, 0 for success."""

    @abstractmethod
    def _status(self, packet: list[int], time: float) -> Status | None:
        """What a packet says; None if it is no status."""

    def _free_port(self) -> SerialPort:
        self.port.is_using = False
        return self.port

    def _sent(self, result: int) -> None:
        if result != 0:
            raise DriverError(
                f"serial bus: a request cannot be sent: {self._handler.getTxRxResult(result)}"
            )
