"""Frames on the wire, through the vendors' packet handlers; both kinds look alike from here."""

import inspect
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo.port import SerialPort
from simreal.errors import UserError

LONGEST_PACKET = 250
"""Bytes, of Feetech's SDK; Dynamixel's take more."""
BROADCAST = 0xFE
SYNC_READ, SYNC_WRITE = 0x82, 0x83
"""Instructions that both makers number alike."""
LAST_ID = 252
HEADER, STUFFED, STATUS = b"\xff\xff\xfd\x00", b"\xff\xff\xfd", 0x55
"""Of Dynamixel's frames: how they begin, what is stuffed within, and the instruction of an answer."""


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


class FeetechProtocol(Protocol):
    """Of STS and SMS servos."""

    overhead = 6

    def __init__(self, port: SerialPort) -> None:
        """Speak on a port.

        Raises:
            UserError: the module `scservo_sdk` is that of another package.
        """
        import scservo_sdk

        if not hasattr(scservo_sdk, "PacketHandler"):
            raise UserError(
                "two packages on PyPI bring a module scservo_sdk, and the one here is not Feetech's "
                "first: pip uninstall ftservo-python-sdk; pip install --force-reinstall "
                "feetech-servo-sdk"
            )
        little_endian = 0
        super().__init__(port, scservo_sdk.PacketHandler(little_endian))

    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, servo, 2, 1, 0]))
        self.port.setPacketTimeout(self.overhead)

    def _to_all(self, instruction: int, start: int, length: int, data: bytes) -> bytes:
        if len(data) + 8 > LONGEST_PACKET:
            raise DriverError(f"serial bus: a request cannot be sent: {len(data)} bytes are too many")
        body = bytes((BROADCAST, len(data) + 4, instruction, start, length)) + data
        return b"\xff\xff%b%c" % (body, ~sum(body) & 0xFF)

    def _whole(self, frame: bytes, length: int) -> Status | None:
        if frame[:2] != b"\xff\xff" or frame[2] > LAST_ID or frame[3] != length + 2 or frame[4] > 0x7F:
            return None
        if sum(frame[2:]) & 0xFF != 0xFF:  # the checksum is the complement of the sum of the others
            return None
        return Status(frame[2], frame[4], frame[5:-1], self.port.arrival)

    def _receive(self) -> tuple[list[int], int]:
        packet, result = self._handler.rxPacket(self.port)
        return packet, result

    def _status(self, packet: list[int], time: float) -> Status | None:
        if packet[3] < 2:  # no room for an error and a checksum: the handler does not look
            return None
        return Status(packet[2], packet[4], bytes(packet[5 : packet[3] + 3]), time)


def _crc_table() -> tuple[int, ...]:
    """Of the polynomial 0x8005, highest bit first: Dynamixel's, protocol 2.0."""
    table = []
    for byte in range(256):
        remainder = byte << 8
        for _ in range(8):
            remainder = remainder << 1 ^ (0x8005 if remainder & 0x8000 else 0)
        table.append(remainder & 0xFFFF)
    return tuple(table)


CRC_TABLE = _crc_table()


def _crc(frame: bytes) -> int:
    remainder = 0
    for byte in frame:
        remainder = (remainder << 8 & 0xFFFF) ^ CRC_TABLE[remainder >> 8 ^ byte]
    return remainder


def _without_stuffing(packet: list[int]) -> list[int]:
    """The handler's own goes by bytes that it has moved already, and so removes too much."""
    end = packet[5] + (packet[6] << 8) + 5
    body = bytes(packet[7:end]).replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
    length = len(body) + 2
    return [*packet[:5], length & 0xFF, length >> 8, *body, *packet[end : end + 2]]


class DynamixelProtocol(Protocol):
    """Of X servos, protocol 2.0."""

    overhead = 11

    def __init__(self, port: SerialPort) -> None:
        """Speak on a port."""
        from dynamixel_sdk import PacketHandler

        handler: Any = PacketHandler(2.0)
        add_stuffing = handler.addStuffing

        def stuff(packet: list[int]) -> list[int]:
            """The handler's own makes a longer packet and sends the short one."""
            packet[:] = add_stuffing(packet)
            return packet

        handler.addStuffing, handler.removeStuffing = stuff, _without_stuffing
        # Releases 3 and 4 of the SDK differ in a flag for an instruction that is not used here.
        parameters = inspect.signature(handler.rxPacket).parameters
        self._slow = (False,) if "fast_option" in parameters else ()
        super().__init__(port, handler)

    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, 0, 0, servo, 3, 0, 1, 0, 0]))
        self.port.setPacketTimeout(self.overhead + 3)

    def _to_all(self, instruction: int, start: int, length: int, data: bytes) -> bytes:
        body = struct.pack("<BHH", instruction, start, length) + data
        body = body.replace(STUFFED, STUFFED + STUFFED[-1:])
        frame = struct.pack("<4sBH", HEADER, BROADCAST, len(body) + 2) + body
        return frame + _crc(frame).to_bytes(2, "little")

    def _whole(self, frame: bytes, length: int) -> Status | None:
        if frame[:4] != HEADER or frame[4] > LAST_ID or frame[7] != STATUS:
            return None
        if int.from_bytes(frame[5:7], "little") != length + 4:
            return None
        if STUFFED in frame[7:-2] or _crc(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            return None
        return Status(frame[4], frame[8], frame[9:-2], self.port.arrival)

    def reboot(self, servo: int) -> None:
        """Start a servo anew, which is what ends a hardware error; it may not answer."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, 0, 0, servo, 3, 0, 8, 0, 0]))
        self.port.setPacketTimeout(self.overhead)

    def _receive(self) -> tuple[list[int], int]:
        packet, result = self._handler.rxPacket(self.port, *self._slow)
        return packet, result

    def _status(self, packet: list[int], time: float) -> Status | None:
        length = packet[5] + (packet[6] << 8)
        if length < 4 or packet[7] != STATUS:
            return None
        return Status(packet[4], packet[8], bytes(packet[9 : length + 5]), time)
