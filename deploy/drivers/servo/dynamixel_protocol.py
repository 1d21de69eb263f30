"""Dynamixel's frames on the wire, protocol 2.0: their checksum and their stuffing."""

import inspect
import struct
from typing import Any

from simreal.deploy.drivers.servo.port import SerialPort
from simreal.deploy.drivers.servo.protocol import BROADCAST, LAST_ID, Protocol, Status

HEADER, STUFFED, STATUS = b"\xff\xff\xfd\x00", b"\xff\xff\xfd", 0x55
"""How frames begin, what is stuffed within, and the instruction of an answer."""


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
