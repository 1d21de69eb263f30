"""The wire of Dynamixel's protocol 2.0 as a servo sees it; written apart from the driver, to check it.

FF FF FD 00, id, length (2), instruction, parameters, CRC (2); the length counts from the instruction
on. A status has the instruction 55 and an error byte behind it. Behind each FF FF FD from the
instruction on, one more FD is stuffed. The CRC is over everything before it.
"""

from simreal.deploy.emulators.servo.bus import BROADCAST, Decoder, Instruction

REBOOT, FAST_SYNC_READ = 8, 0x8A
STATUS = 0x55
HEADER = b"\xff\xff\xfd\x00"
LONGEST = 1024
"""Bytes of a packet. What claims more is none."""


def _crc_of_byte(byte: int) -> int:
    value = byte << 8
    for _ in range(8):
        value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value


CRC_OF_BYTE = [_crc_of_byte(byte) for byte in range(256)]


def crc(data: bytes) -> int:
    """CRC-16 of polynomial 8005, most significant bit first, from 0."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFF00) ^ CRC_OF_BYTE[value >> 8 ^ byte]
    return value


def status(servo: int, error: int, data: bytes = b"") -> bytes:
    """A servo's answer."""
    body = (bytes([STATUS, error]) + data).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
    packet = HEADER + bytes([servo]) + (len(body) + 2).to_bytes(2, "little") + body
    return packet + crc(packet).to_bytes(2, "little")


def fast_status(answers: list[tuple[int, int, bytes]]) -> bytes:
    """The one answer of several servos: (id, error, data) of each; there is no stuffing."""
    length = 1 + sum(len(data) + 4 for _, _, data in answers)
    packet = HEADER + bytes([BROADCAST]) + length.to_bytes(2, "little") + bytes([STATUS])
    for servo, error, data in answers:
        packet += bytes([error, servo]) + data
        packet += crc(packet).to_bytes(2, "little")
    return packet


class DynamixelDecoder(Decoder):
    """Finds instructions in a stream of bytes."""

    def _next(self) -> Instruction | None:
        data = self._bytes
        while (begin := data.find(HEADER)) >= 0:
            del data[:begin]
            if len(data) < 10:
                return None
            end = int.from_bytes(data[5:7], "little") + 7
            if 10 <= end <= LONGEST and len(data) < end:
                return None
            if not 10 <= end <= LONGEST or crc(bytes(data[: end - 2])) != int.from_bytes(
                data[end - 2 : end], "little"
            ):
                del data[0]
                continue
            body = bytes(data[7 : end - 2]).replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
            instruction = Instruction(data[4], body[0], body[1:])
            del data[:end]
            return instruction
        del data[: max(0, len(data) - len(HEADER) + 1)]
        return None
