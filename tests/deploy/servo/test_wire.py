"""Frames: the emulators' own coder against the vendors' handlers, and both against the fact sheets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simreal.deploy.drivers.servo.dynamixel_protocol import DynamixelProtocol
from simreal.deploy.drivers.servo.feetech_protocol import FeetechProtocol
from simreal.deploy.drivers.servo.protocol import Protocol, Status
from simreal.deploy.emulators.servo import dynamixel_wire, feetech_wire
from simreal.deploy.emulators.servo.bus import WRITE, Decoder


class Wire:
    """A port that keeps what is sent, and gives what the test has put there."""

    def __init__(self) -> None:
        self.sent, self.coming, self.is_using, self.arrival, self.latency = b"", b"", False, 0.0, 0.0

    def clearPort(self) -> None:  # noqa: N802
        pass

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        self.sent += bytes(packet)
        return len(packet)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        taken, self.coming = self.coming[: max(0, length)], self.coming[max(0, length) :]
        return taken

    def peek(self, length: int) -> bytes:
        return self.coming

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        pass

    def isPacketTimeout(self) -> bool:  # noqa: N802
        return not self.coming


def speak(kind: type[Any], request: Callable[[Protocol], None]) -> str:
    """What a request is on the wire, in hexadecimal."""
    wire = Wire()
    request(kind(wire))
    return wire.sent.hex(" ").upper()


def feetech(request: Callable[[Protocol], None]) -> str:
    return speak(FeetechProtocol, request)


def dynamixel(request: Callable[[Protocol], None]) -> str:
    return speak(DynamixelProtocol, request)


def test_feetech_s_examples() -> None:
    assert feetech(lambda p: p.ping(1)) == "FF FF 01 02 01 FB"
    assert feetech(lambda p: p.read(1, 56, 2)) == "FF FF 01 04 02 38 02 BE"
    assert feetech(lambda p: p.write(1, 40, b"\x01")) == "FF FF 01 04 03 28 01 CE"
    assert feetech(lambda p: p.write(1, 42, b"\x00\x08")) == "FF FF 01 05 03 2A 00 08 C4"
    assert feetech(lambda p: p.sync_read([1, 2, 3], 56, 4)) == "FF FF FE 07 82 38 04 01 02 03 36"
    sent = feetech(lambda p: p.sync_write(42, 2, b"\x01\x00\x08\x02\xe8\x03"))
    assert sent == "FF FF FE 0A 83 2A 02 01 00 08 02 E8 03 52"


def test_dynamixel_s_examples() -> None:
    assert dynamixel(lambda p: p.ping(1)) == "FF FF FD 00 01 03 00 01 19 4E"
    assert dynamixel(lambda p: p.read(1, 132, 4)) == "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"
    goal = (512).to_bytes(4, "little")
    sent = dynamixel(lambda p: p.write(1, 116, goal))
    assert sent == "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"
    sent = dynamixel(lambda p: p.sync_read([1, 2], 132, 4))
    assert sent == "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"


def test_dynamixel_s_stuffing_reaches_the_wire() -> None:
    """The vendor's own handler computes it and sends the packet without it."""
    sent = dynamixel(lambda p: p.write(1, 116, b"\xff\xff\xfd\x00"))
    assert sent == "FF FF FD 00 01 0A 00 03 74 00 FF FF FD FD 00 21 E7"


def test_the_emulators_coder_knows_the_examples() -> None:
    assert dynamixel_wire.crc(b"123456789") == 0xFEE8
    answer = dynamixel_wire.status(1, 0, bytes([0x06, 0x04, 0x26]))
    assert answer.hex(" ").upper() == "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"
    (asked,) = feetech_wire.StsDecoder().feed(bytes.fromhex("FF FF FE 07 82 38 04 01 02 03 36"))
    assert (asked.id, asked.code, asked.parameters) == (0xFE, 0x82, bytes([56, 4, 1, 2, 3]))


def _payload(limit: int) -> st.SearchStrategy[bytes]:
    """Bytes with many that look like headers."""
    return st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55, 0x01, 0x80]), max_size=limit).map(bytes)


DECODERS: dict[str, type[Decoder]] = {
    "feetech": feetech_wire.StsDecoder,
    "dynamixel": dynamixel_wire.DynamixelDecoder,
}
CODERS: dict[str, tuple[type[Any], Any]] = {
    "feetech": (FeetechProtocol, feetech_wire),
    "dynamixel": (DynamixelProtocol, dynamixel_wire),
}


@pytest.mark.parametrize("kind", CODERS)
def test_what_an_emulator_answers_is_what_the_driver_reads(kind: str) -> None:
    protocol, coder = CODERS[kind]

    @example(0, 0, bytes.fromhex("FF FF FD FF FD FD"))  # which the vendor's handler shortens
    @given(st.integers(0, 252), st.integers(0, 0x7F), _payload(40))
    def reads(servo: int, error: int, data: bytes) -> None:
        wire = Wire()
        wire.coming = coder.status(servo, error, data)
        quick = Wire()
        quick.coming = wire.coming
        status = protocol(wire).receive()
        assert status is not None and [status] == protocol(quick).receive_awaited(len(data))
        assert (status.id, status.error, status.data) == (servo, error, data)

    reads()


@pytest.mark.parametrize("kind", CODERS)
def test_what_the_driver_asks_is_what_an_emulator_hears(kind: str) -> None:
    protocol, _ = CODERS[kind]

    @given(st.integers(0, 252), _payload(40).filter(len))
    def hears(servo: int, data: bytes) -> None:
        wire = Wire()
        protocol(wire).write(servo, 42, data)
        (asked,) = DECODERS[kind]().feed(wire.sent)
        address = bytes([42]) if kind == "feetech" else bytes([42, 0])
        assert (asked.id, asked.code, asked.parameters) == (servo, WRITE, address + data)

    hears()


@pytest.mark.parametrize("kind", CODERS)
def test_what_is_sent_to_all_is_what_the_vendor_s_handler_sends(kind: str) -> None:
    protocol, _ = CODERS[kind]

    @given(st.lists(st.integers(0, 252), min_size=1, max_size=20, unique=True), _payload(9).filter(len))
    def is_the_same(servos: list[int], each: bytes) -> None:
        ours, theirs = Wire(), Wire()
        data = b"".join(bytes([servo]) + each for servo in servos)
        speaks, handler = protocol(ours), protocol(theirs)._handler
        speaks.sync_read(servos, 56, len(each))
        slow = (False,) if kind == "dynamixel" else ()
        handler.syncReadTx(theirs, 56, len(each), servos, len(servos), *slow)
        speaks.sync_write(42, len(each), data)
        theirs.is_using = False
        handler.syncWriteTxOnly(theirs, 42, len(each), list(data), len(data))
        assert ours.sent == theirs.sent

    is_the_same()


@pytest.mark.parametrize("kind", CODERS)
def test_the_crc_and_the_checksum_notice_every_changed_byte(kind: str) -> None:
    protocol, coder = CODERS[kind]
    whole = coder.status(3, 0, bytes(range(11)))
    for place in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[place] ^= change
            for receive in (lambda p: p.receive(), lambda p: p.receive_awaited(11)):
                wire = Wire()
                wire.coming = bytes(changed)
                assert not receive(protocol(wire))


def _frames(coder: Any, random: np.random.Generator, number: int) -> list[bytes]:
    """Random bytes, and whole frames that were cut, changed or run together."""
    frames = []
    for _ in range(number):
        frame = random.bytes(int(random.integers(0, 24)))
        if random.random() < 0.7:
            frame = coder.status(int(random.integers(0, 256)), int(random.integers(0, 256)), frame)
        if frame and random.random() < 0.5:
            changed = bytearray(frame[: int(random.integers(1, len(frame) + 1))])
            changed[random.integers(len(changed))] ^= int(random.integers(256))
            frame = bytes(changed)
        frames.append(frame)
    return frames


def _fuzz(kind: str, number: int) -> None:
    protocol, coder = CODERS[kind]
    random = np.random.default_rng(0)
    decoder, wire, quick_wire = DECODERS[kind](), Wire(), Wire()
    ours, quick = protocol(wire), protocol(quick_wire)
    for frame in _frames(coder, random, number):
        wire.coming += frame
        quick_wire.coming += frame
        found = []
        while (status := ours.receive()) is not None:
            assert 0 <= status.id <= 0xFE and len(status.data) <= 1024
            found.append(status)
        # The way that does without the vendor's handler finds what the handler finds.
        quickly: list[Status] = []
        lengths = [0, 5, *(len(status.data) for status in found)]
        while statuses := quick.receive_awaited(int(random.choice(lengths))):
            quickly += statuses
        assert quickly == found
        for asked in decoder.feed(frame):
            assert 0 <= asked.code <= 0xFF


@pytest.mark.parametrize("kind", CODERS)
def test_random_frames_are_read_or_passed_over(kind: str) -> None:
    _fuzz(kind, 5_000)


@pytest.mark.long
@pytest.mark.parametrize("kind", CODERS)
def test_100_000_random_frames_are_read_or_passed_over(kind: str) -> None:
    _fuzz(kind, 100_000)
