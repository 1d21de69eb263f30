"""Bits of MIT mode: worked examples of the makers' libraries, and what no number may do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.drivers.can.mit import MitCommand, decode, encode, pack_command, unpack_reading
from simreal.deploy.emulators.can.motors.motor import mit_law
from simreal.robots.can_motors import CAN_MOTORS, Limits

DM4310 = CAN_MOTORS["dm4310"].limits
EXAMPLE = MitCommand(1.0, -2.0, 50.0, 1.0, 0.5)
FINITE = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("dm4310", "8A 3C 77 71 99 33 38 65"),
        ("ak80_6", "8A 3C 7C 91 99 33 38 54"),
        ("ak80_6_v1_1", "8A 3C 74 91 99 33 38 54"),
        ("rs00", "8A 2E 78 31 99 33 38 48"),
    ],
)
def test_a_command_is_the_maker_s_own_bytes(model: str, data: str) -> None:
    """Worked with the public Python libraries of the makers: p=1, v=-2, kp=50, kd=1, t=0.5."""
    assert pack_command(EXAMPLE, CAN_MOTORS[model].limits) == bytes.fromhex(data)


def test_nothing_is_half_a_step_below_zero() -> None:
    data = pack_command(MitCommand(), DM4310)
    assert data == bytes.fromhex("7F FF 7F F0 00 00 07 FF")
    position, velocity, torque = unpack_reading(bytes.fromhex("7F FF 7F F7 FF"), DM4310)
    assert position == pytest.approx(-0.00019, abs=1e-5)
    assert velocity == pytest.approx(-0.0073, abs=1e-4)
    assert torque == pytest.approx(-0.0024, abs=1e-4)


def test_a_reading_is_what_the_example_says() -> None:
    position, velocity, torque = unpack_reading(bytes.fromhex("8A 3C 77 78 65"), DM4310)
    assert position == pytest.approx(0.99966, abs=5e-6)
    assert velocity == pytest.approx(-2.0, abs=1e-9)
    assert torque == pytest.approx(0.49573, abs=5e-6)


@given(FINITE, st.floats(0.01, 1e4), st.sampled_from([12, 16]))
def test_no_number_wraps(value: float, limit: float, bits: int) -> None:
    code = encode(value, -limit, limit, bits)
    assert 0 <= code < 1 << bits
    if value >= limit:
        assert code == (1 << bits) - 1
    if value <= -limit:
        assert code == 0


@given(st.sampled_from([12, 16]), st.floats(0.1, 1e4), st.data())
def test_every_code_comes_back_as_itself(bits: int, limit: float, data: st.DataObject) -> None:
    code = data.draw(st.integers(0, (1 << bits) - 1))
    assert encode(decode(code, -limit, limit, bits), -limit, limit, bits) == code
    assert encode(decode(code, 0.0, limit, bits), 0.0, limit, bits) == code


@given(st.floats(0.1, 1e4), st.floats(-1.0, 1.0), st.sampled_from([12, 16]))
def test_a_number_loses_less_than_a_step_and_never_grows(limit: float, share: float, bits: int) -> None:
    step = 2 * limit / ((1 << bits) - 1)
    lost = share * limit - decode(encode(share * limit, -limit, limit, bits), -limit, limit, bits)
    assert -2e-6 * step - 1e-12 <= lost < step * (1 + 1e-9)


@given(
    st.builds(MitCommand, *[FINITE] * 5),
    st.sampled_from(sorted(name for name, each in CAN_MOTORS.items() if each.protocol != "cybergear")),
)
def test_the_emulators_own_decoder_understands_every_command(command: MitCommand, model: str) -> None:
    """Another way to the same numbers: within a step of what was meant, and within the limits."""
    limits: Limits = CAN_MOTORS[model].limits
    ends = limits.position, limits.velocity, limits.torque, limits.stiffness, limits.damping
    law = mit_law(pack_command(command, limits), ends)
    ranges = {
        "position": (-limits.position, limits.position, 16),
        "velocity": (-limits.velocity, limits.velocity, 12),
        "stiffness": (0.0, limits.stiffness, 12),
        "damping": (0.0, limits.damping, 12),
        "torque": (-limits.torque, limits.torque, 12),
    }
    for name, (low, high, bits) in ranges.items():
        found, meant = getattr(law, name), min(max(getattr(command, name), low), high)
        step = (high - low) / (2**bits - 1)
        assert low - 1e-9 <= found <= high + 1e-9
        assert -1e-5 * step <= meant - found < step * (1 + 1e-9), name


def test_infinity_is_an_end_and_no_number_is_none() -> None:
    assert encode(math.inf, -1.0, 1.0, 12) == 0xFFF
    assert encode(-math.inf, -1.0, 1.0, 12) == 0
    with pytest.raises(ValueError, match="NaN"):
        encode(math.nan, -1.0, 1.0, 12)
