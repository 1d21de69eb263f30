"""Layouts, checksums and the IDL types: each against something that does not know of the other."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("cyclonedds")

from simreal.deploy.emulators.unitree import codec as written_out
from simreal.deploy.unitree.crc import crc32
from simreal.deploy.unitree.idl import (
    Identity,
    Lease,
    Policy,
    Request,
    RequestHeader,
    as_message,
    message_type,
    packed_type,
)
from simreal.deploy.unitree.layout import Frame, FrameError, Struct, decode
from simreal.deploy.unitree.messages import (
    GO_COMMAND,
    GO_STATE,
    HG_COMMAND,
    HG_STATE,
    POSITION_STOP,
    VELOCITY_STOP,
)

STRUCTS = [GO_COMMAND, GO_STATE, HG_COMMAND, HG_STATE]
FORMATS = {
    GO_COMMAND: (written_out.GO_COMMAND_C, written_out.GO_COMMAND_CDR),
    GO_STATE: (written_out.GO_STATE_C, written_out.GO_STATE_CDR),
    HG_COMMAND: (written_out.HG_COMMAND_C, written_out.HG_COMMAND_CDR),
    HG_STATE: (written_out.HG_STATE_C, written_out.HG_STATE_CDR),
}


def bitwise(words: bytes) -> int:
    """CRC-32/MPEG-2 by its definition: one bit at a time, of little-endian words from the top."""
    register = 0xFFFFFFFF
    for start in range(0, len(words), 4):
        word = int.from_bytes(words[start : start + 4], "little")
        for bit in range(31, -1, -1):
            top = register >> 31
            register = (register << 1) & 0xFFFFFFFF
            if top ^ (word >> bit & 1):
                register ^= 0x04C11DB7
    return register


def random_frame(struct: Struct, rng: np.random.Generator) -> Frame:
    """Any bits in every field."""
    frame = Frame(struct)
    _fill(frame.fields, rng)
    return frame


def _fill(record: NDArray[np.void], rng: np.random.Generator) -> None:
    assert record.dtype.names is not None
    for name in record.dtype.names:
        part = record[name]
        if part.dtype.names is not None:
            _fill(part, rng)
        elif part.dtype.kind == "f":
            part[...] = rng.normal(0.0, 1e3, part.shape).astype(np.float32)
        else:
            limits = np.iinfo(part.dtype)
            part[...] = rng.integers(limits.min, limits.max, part.shape, part.dtype, endpoint=True)


@pytest.mark.parametrize(
    ("struct", "c", "cdr"),
    [(GO_COMMAND, 812, 808), (GO_STATE, 1180, 1176), (HG_COMMAND, 1004, 1000), (HG_STATE, 2092, 2088)],
)
def test_sizes_are_those_of_the_vendors_structs(struct: Struct, c: int, cdr: int) -> None:
    assert (struct.size, struct.cdr_size) == (c, cdr)


@pytest.mark.parametrize(
    ("struct", "path", "offset"),
    [
        (GO_COMMAND, "level_flag", 2),
        (GO_COMMAND, "bandwidth", 20),
        (GO_COMMAND, "motor_cmd", 24),
        (GO_COMMAND, "bms_cmd", 744),
        (GO_COMMAND, "wireless_remote", 748),
        (GO_COMMAND, "gpio", 802),
        (GO_COMMAND, "crc", 808),
        (GO_STATE, "imu_state", 24),
        (GO_STATE, "motor_state", 80),
        (GO_STATE, "bms_state", 1040),
        (GO_STATE, "foot_force", 1084),
        (GO_STATE, "tick", 1100),
        (GO_STATE, "adc_reel", 1148),
        (GO_STATE, "power_v", 1156),
        (GO_STATE, "crc", 1176),
        (HG_COMMAND, "mode_machine", 1),
        (HG_COMMAND, "motor_cmd", 4),
        (HG_COMMAND, "crc", 1000),
        (HG_STATE, "mode_machine", 9),
        (HG_STATE, "tick", 12),
        (HG_STATE, "imu_state", 16),
        (HG_STATE, "motor_state", 72),
        (HG_STATE, "wireless_remote", 2032),
        (HG_STATE, "crc", 2088),
    ],
)
def test_fields_stand_where_the_vendors_structs_have_them(
    struct: Struct, path: str, offset: int
) -> None:
    assert struct.dtype.fields is not None
    assert struct.dtype.fields[path][1] == offset


@given(struct=st.sampled_from(STRUCTS), seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_packed_bytes_are_those_of_the_idl_classes_and_of_formats_written_out(
    struct: Struct, seed: int
) -> None:
    frame = random_frame(struct, np.random.default_rng(seed))
    frame.seal()
    payload = frame.encode()
    message = as_message(frame)
    assert message.serialize() == payload
    assert message_type(struct).deserialize(payload) == message
    in_c, cdr = FORMATS[struct]
    c_bytes = frame.fields.tobytes()
    values = cdr.unpack_from(payload, 4)
    assert in_c.pack(*values) == c_bytes
    assert bitwise(c_bytes[:-4]) == values[-1]
    again = decode(struct, payload)
    assert again.fields.tobytes() == c_bytes
    assert again.sealed


@pytest.mark.parametrize("struct", STRUCTS)
def test_types_have_the_robots_names(struct: Struct) -> None:
    package, _, name = struct.name.partition(".msg.dds_.")
    for kind in (message_type(struct), packed_type(struct)):
        assert kind.__idl__.idl_transformed_typename == f"{package}::msg::dds_::{name}"  # type: ignore[union-attr]


@pytest.mark.parametrize("struct", STRUCTS)
def test_a_name_that_is_no_field_fails_instead_of_vanishing(struct: Struct) -> None:
    frame = Frame(struct)
    part = "motor_cmd" if "motor_cmd" in struct.dtype.names else "motor_state"  # type: ignore[operator]
    with pytest.raises(ValueError, match="qd"):
        frame.fields[part]["qd"] = 1.0
    message = as_message(frame)
    with pytest.raises(AttributeError, match="'qd'"):
        getattr(message, part)[0].qd = 1.0
    with pytest.raises(AttributeError, match="'levelflag'"):
        message.levelflag = 1


def test_a_request_refuses_what_is_no_field() -> None:
    request = Request(RequestHeader(Identity(1, 2), Lease(0), Policy(0, False)), "{}", [])
    with pytest.raises(AttributeError, match="params"):
        request.params = "{}"
    assert Request.deserialize(request.serialize()) == request


def test_checksum_of_single_words() -> None:
    assert crc32(bytes(4)) == 0xC704DD7B
    assert crc32((0x12345678).to_bytes(4, "little")) == 0xDF8A8A2B


@given(st.binary(max_size=600).filter(lambda data: len(data) % 4 == 0))
def test_checksum_is_that_of_its_definition(words: bytes) -> None:
    assert crc32(words) == bitwise(words)


def _go_command(mode: int, position: float, velocity: float) -> Frame:
    frame = Frame(GO_COMMAND)
    frame.fields["head"][:] = 0xFE, 0xEF
    frame.fields["level_flag"] = 0xFF
    motors = frame.fields["motor_cmd"]
    motors["mode"][:], motors["q"][:], motors["dq"][:] = mode, position, velocity
    return frame


def test_checksums_of_worked_examples() -> None:
    assert Frame(GO_COMMAND).checksum == 0x4B5A4880
    assert _go_command(1, POSITION_STOP, VELOCITY_STOP).checksum == 0x06E577CD
    assert _go_command(0, 0.0, 0.0).checksum == 0x322AC991
    standing = _go_command(1, POSITION_STOP, VELOCITY_STOP)
    for name, value in {"q": (0.0, 1.36, -2.65) * 4, "dq": 0.0, "kp": 60.0, "kd": 5.0}.items():
        standing.fields["motor_cmd"][name][:12] = value
    assert standing.checksum == 0x5ACF3425
    assert Frame(HG_COMMAND).checksum == 0xFE172F9F
    humanoid = Frame(HG_COMMAND)
    humanoid.fields["mode_machine"] = 5
    motors = humanoid.fields["motor_cmd"]
    motors["mode"][:] = 1
    assert humanoid.checksum == 0x77176F39
    motors["mode"][29:] = 0
    motors["q"][:29] = 0.1 * np.arange(29)
    motors["kp"][:29] = [60, 60, 60, 100, 40, 40] * 2 + [40] * 17
    motors["kd"][:29] = 1.0
    assert humanoid.checksum == 0x86E69460


@pytest.mark.parametrize(
    ("struct", "preset", "checksum"),
    [
        (GO_STATE, {"head": (0xFE, 0xEF), "level_flag": 0xFF}, 0x349300EB),
        (HG_STATE, {"mode_machine": 5}, 0x0F89B033),
    ],
)
def test_checksums_of_worked_states(struct: Struct, preset: dict[str, int], checksum: int) -> None:
    frame = Frame(struct)
    for name, value in preset.items():
        frame.fields[name] = value
    frame.fields["imu_state"]["quaternion"][:] = 1, 0, 0, 0
    frame.fields["tick"] = 1234
    assert frame.checksum == checksum


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_changed_byte_that_counts_is_noticed(struct: Struct) -> None:
    frame = random_frame(struct, np.random.default_rng(5))
    frame.seal()
    payload = frame.encode()
    unnoticed = 0
    for place in range(4, len(payload)):
        changed = bytearray(payload)
        changed[place] ^= 0x10
        unnoticed += decode(struct, bytes(changed)).sealed
    assert unnoticed == struct.cdr_size - len(struct._places[0])  # padding, and nothing else


@pytest.mark.parametrize(("struct", "payload"), [*product(STRUCTS, [b"", b"\0\1\0\0", bytes(5000)])])
def test_what_is_no_message_is_an_error(struct: Struct, payload: bytes) -> None:
    with pytest.raises(FrameError):
        decode(struct, payload)


@pytest.mark.parametrize("struct", STRUCTS)
def test_another_byte_order_is_an_error(struct: Struct) -> None:
    payload = bytearray(Frame(struct).encode())
    payload[1] = 0
    with pytest.raises(FrameError, match="0000"):
        decode(struct, bytes(payload))
