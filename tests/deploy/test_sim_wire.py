import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.deploy.sim_wire import (
    CommandPacket,
    Mode,
    StatePacket,
    WireError,
    decode_hello,
    encode_hello,
)
from simreal.state import RobotState

numbers = st.floats(allow_nan=True, allow_infinity=True)
sequences = st.integers(0, 2**64 - 1)
texts = st.text().filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text))


inertial = st.none() | st.lists(numbers, min_size=10, max_size=10)


@given(
    sequences,
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.tuples(numbers, numbers), max_size=40),
    inertial,
)
def test_a_state_keeps_every_bit(
    sequence: int, at: int, joints: list[tuple[float, float]], imu: list[float] | None
) -> None:
    state = RobotState(0.0, *np.array(joints, dtype=np.float64).reshape(-1, 2).T)
    if imu is not None:
        state.orientation, state.angular_velocity = np.array(imu[:4]), np.array(imu[4:7])
        state.linear_acceleration = np.array(imu[7:])
    packet = StatePacket.decode(StatePacket(sequence, at, state).encode(), len(joints), imu is not None)
    assert (packet.sequence, packet.time_ns) == (sequence, at)
    found = packet.state
    assert found.joint_position.tobytes() == state.joint_position.tobytes()
    assert found.joint_velocity.tobytes() == state.joint_velocity.tobytes()
    assert found.inertial().keys() == state.inertial().keys()
    for name, values in state.inertial().items():
        assert found.inertial()[name].tobytes() == values.tobytes()


@given(sequences, st.sampled_from(Mode), st.lists(numbers, max_size=40), st.floats(0.0, 1.0))
def test_a_command_keeps_every_bit(
    sequence: int, mode: Mode, target: list[float], authority: float
) -> None:
    values = np.array(target, dtype=np.float64)
    sent = CommandPacket(sequence, mode, values, authority)
    packet = CommandPacket.decode(sent.encode(), len(target), len(target))
    assert (packet.sequence, packet.mode, packet.authority) == (sequence, mode, authority)
    assert packet.target.tobytes() == values.tobytes()


@given(st.binary(max_size=120), st.integers(0, 6))
def test_foreign_bytes_are_refused_or_decode_to_what_encodes_them(data: bytes, width: int) -> None:
    for kind in (StatePacket, CommandPacket):
        try:
            packet = kind.decode(data, width)
        except WireError:
            continue
        assert packet.encode() == data


@given(st.integers(1, 8), st.integers(1, 200))
def test_a_packet_cut_short_or_too_long_is_refused(joints: int, cut: int) -> None:
    state = StatePacket(1, 2, RobotState(0.0, np.zeros(joints), np.zeros(joints))).encode()
    command = CommandPacket(1, Mode.FOLLOW, np.zeros(joints)).encode()
    for kind, data in ((StatePacket, state), (CommandPacket, command)):
        for wrong in (data[: -min(cut, len(data))], data + bytes(cut)):
            with pytest.raises(WireError, match=f"{len(wrong)} bytes"):
                kind.decode(wrong, joints)


@pytest.mark.parametrize(
    ("place", "value", "words"), [(8, b"\x05", "mode 5"), (9, np.array(1.5).tobytes(), "authority 1.5")]
)
def test_a_mode_is_a_known_one_and_authority_a_share(place: int, value: bytes, words: str) -> None:
    data = bytearray(CommandPacket(1, Mode.FOLLOW, np.zeros(1)).encode())
    data[place : place + len(value)] = value
    with pytest.raises(WireError, match=words):
        CommandPacket.decode(bytes(data), 1)


@given(st.none() | st.dictionaries(texts, st.integers() | texts), st.none() | texts)
def test_a_hello_round_trips(robot: dict[str, object] | None, error: str | None) -> None:
    assert decode_hello(encode_hello(robot, error)) == (robot, error)


@settings(max_examples=50)
@given(st.binary(max_size=60) | st.recursive(texts | st.integers(), st.lists).map(json.dumps))
def test_what_is_no_hello_is_refused(data: bytes | str) -> None:
    with pytest.raises(WireError, match="hello"):
        decode_hello(data.encode() if isinstance(data, str) else data)
