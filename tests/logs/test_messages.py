import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from simreal.contract import Contract
from simreal.deploy.cycle import Event
from simreal.errors import UserError
from simreal.logs.messages import LogMessages, read_messages

from .flights import cycle, qube_contract, write_flight

CYCLES = 120
MAGIC = 8
CHUNK, METADATA, MESSAGE = 0x06, 0x0C, 0x05
# The fixtures below give the same files to every example.
many = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def contract() -> Contract:
    return qube_contract()


@pytest.fixture(scope="module")
def content(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A complete log of several chunks."""
    path = tmp_path_factory.mktemp("log") / "flight.mcap"
    cycles = [
        cycle(number, 10_000_000 * number, 0.01 * number, np.array([0.1 * number, -0.1 * number]))
        for number in range(CYCLES)
    ]
    begun, ended = Event(0, "start", "of a test"), Event(10**9, "end", "duration")
    write_flight(path, contract, [begun, *cycles, ended])
    return path.read_bytes()


def _records(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Operation code, end, and content of each record: the format of MCAP, read without its library."""
    place = MAGIC
    while place + 9 <= len(content) - MAGIC:
        operation, length = struct.unpack_from("<BQ", content, place)
        place += 9 + length
        yield operation, place, content[place - length : place]


def _messages_of_chunk(chunk: bytes) -> int:
    [name_length] = struct.unpack_from("<I", chunk, 28)
    assert chunk[32 : 32 + name_length] == b"lz4"
    data = lz4.frame.decompress(chunk[32 + name_length + 8 :])
    place = messages = 0
    while place < len(data):
        operation, length = struct.unpack_from("<BQ", data, place)
        messages += operation == MESSAGE
        place += 9 + length
    return messages


def _number_of_messages(log: LogMessages) -> int:
    assert {topic: len(times) for topic, times in log.times.items()} == {
        topic: len(messages) for topic, messages in log.messages.items()
    }
    return sum(map(len, log.messages.values()))


def _read(content: bytes, folder: Path) -> LogMessages:
    path = folder / "log.mcap"
    path.write_bytes(content)
    return read_messages(path)


def test_a_complete_log(content: bytes, contract: Contract, tmp_path: Path) -> None:
    log = _read(content, tmp_path)
    assert log.complete
    assert log.contract == contract
    assert log.events() == ["start: of a test", "end: duration"]
    number = np.arange(CYCLES)[:, None]
    np.testing.assert_array_equal(
        log.array("/state", "joint_position"), np.hstack((0.1 * number, -0.1 * number))
    )
    np.testing.assert_array_equal(log.array("/state", "time"), 0.01 * number)
    np.testing.assert_array_equal(log.array("/timing", "cycle"), number)
    np.testing.assert_array_equal(log.array("/command"), -0.1 * number)
    assert log.array("/absent").size == 0


@many
@given(data=st.data())
def test_a_log_cut_off_at_any_byte_is_readable_up_to_its_last_chunk(
    content: bytes, contract: Contract, tmp_path: Path, data: st.DataObject
) -> None:
    ends = [end for _, end, _ in _records(content)]
    cut = data.draw(st.integers(MAGIC, len(content) - 1) | st.sampled_from(ends))
    log = _read(content[:cut], tmp_path)
    whole = [(operation, body) for operation, end, body in _records(content) if end <= cut]
    assert not log.complete
    assert _number_of_messages(log) == sum(_messages_of_chunk(b) for o, b in whole if o == CHUNK)
    assert log.contract == (contract if any(o == METADATA for o, _ in whole) else None)
    states = log.array("/state", "time")[:, 0] if log.messages else np.empty(0)
    np.testing.assert_array_equal(states, 0.01 * np.arange(len(states)))


@many
@given(data=st.data())
def test_damage_costs_messages_but_never_changes_one(
    content: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    original = _read(content, tmp_path)
    try:
        log = _read(bytes(damaged), tmp_path)
    except UserError as error:
        assert str(error)
        return
    for topic, messages in log.messages.items():
        assert messages == original.messages[topic][: len(messages)]
        assert log.times[topic] == original.times[topic][: len(messages)]


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD])
def test_a_chunk_that_cannot_be_decompressed_is_where_a_log_is_cut(
    compression: CompressionType, tmp_path: Path
) -> None:
    stream = BytesIO()
    writer = Writer(stream, compression=compression, chunk_size=1000)
    writer.start("simreal", "test")
    channel = writer.register_channel("/state", "json", 0)
    for number in range(200):
        writer.add_message(channel, number, b'{"number": %d}' % number, number)
    writer.finish()
    damaged = bytearray(stream.getvalue())
    chunks = [
        (end, len(body)) for operation, end, body in _records(bytes(damaged)) if operation == CHUNK
    ]
    end, length = chunks[2]
    damaged[end - length + 45 : end] = bytes(length - 45)
    log = _read(bytes(damaged), tmp_path)
    assert not log.complete
    numbers = [message["number"] for message in log.messages["/state"]]
    assert numbers == list(range(len(numbers))) and 0 < len(numbers) < 200


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"hello\n", "a text file"),
        (b"PK\x03\x04" + bytes(20), "a zip file"),
        (b"\x89MCAP", "a binary file"),
    ],
)
def test_what_is_no_log_is_named(content: bytes, kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=kind) as caught:
        _read(content, tmp_path)
    assert "expected an MCAP log" in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.mcap"):
        with pytest.raises(UserError, match="no such log") as caught:
            read_messages(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("chunks", [True, False])
def test_a_log_of_another_program_is_read_as_far_as_it_is_json(
    compression: CompressionType, chunks: bool, tmp_path: Path
) -> None:
    stream = BytesIO()
    writer = Writer(stream, compression=compression, use_chunking=chunks)
    writer.start(profile="ros2", library="another")
    schema = writer.register_schema("any", "jsonschema", b"{}")
    json_channel = writer.register_channel("/pose", "json", schema)
    binary_channel = writer.register_channel("/image", "cdr", 0)
    for number in range(5):
        writer.add_message(json_channel, number, b'{"x": %d, "y": 2}' % number, number)
        writer.add_message(binary_channel, number, b"\x00\x01", number)
    writer.finish()
    log = _read(stream.getvalue(), tmp_path)
    assert log.complete
    assert log.contract is None
    assert list(log.messages) == ["/pose"]
    np.testing.assert_array_equal(log.array("/pose"), [[number, 2] for number in range(5)])
