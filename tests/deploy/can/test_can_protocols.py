"""Frames of each maker against worked examples, the emulated firmware, and noise."""

import struct

import numpy as np
import pytest

from simreal.deploy.drivers.can.mit import MitCommand
from simreal.deploy.drivers.can.protocols import (
    PROTOCOLS,
    FaultReport,
    Frame,
    MotorProtocol,
    Parameter,
    Reading,
    speak_to,
)
from simreal.deploy.drivers.can.protocols.cybergear import CyberGear
from simreal.deploy.drivers.can.protocols.damiao import Damiao
from simreal.robots.can_wire import CanLimits, CanMotorConfig

SCALE = CanLimits(position=12.5663706, velocity=30, torque=12)
CONFIGS = {
    "damiao": CanMotorConfig(model="dm4310", id=1, master_id=0x11),
    "robstride": CanMotorConfig(model="rs00", id=2, master_id=0xFD),
    "cybergear": CanMotorConfig(model="cybergear", id=0x7F, master_id=0xFD, limits=SCALE),
    "ak": CanMotorConfig(model="ak80_6", id=3, master_id=0),
}
EXAMPLE = MitCommand(1.0, -2.0, 50.0, 1.0, 0.5)


def _motor(name: str) -> MotorProtocol:
    return speak_to(CONFIGS[name])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def test_every_protocol_has_an_example() -> None:
    assert CONFIGS.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("name", ["damiao", "robstride", "ak"])
def test_frames_of_mit_mode(name: str) -> None:
    motor, ones = _motor(name), "FF FF FF FF FF FF FF "
    number = CONFIGS[name].id
    assert motor.enable() == Frame(number, _bytes(ones + "FC"))
    assert motor.disable() == Frame(number, _bytes(ones + "FD"))
    clear = "FD" if name == "ak" else "FB"
    assert motor.clear_fault() == Frame(number, _bytes(ones + clear))
    assert motor.command(EXAMPLE).id == number


def test_a_damiao_state() -> None:
    found = _motor("damiao").decode(Frame(0x11, _bytes("11 8A 3C 77 78 65 23 28")))
    assert isinstance(found, Reading)
    assert (found.temperature, found.enabled, found.fault) == (40.0, True, None)
    assert found.position == pytest.approx(0.99966, abs=5e-6)
    assert found.torque == pytest.approx(0.49573, abs=5e-6)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x8, "over-voltage"),
        (0x9, "under-voltage"),
        (0xA, "over-current"),
        (0xB, "power stage"),
        (0xC, "windings"),
        (0xD, "time-out"),
        (0xE, "overload"),
    ],
)
def test_damiao_faults(status: int, words: str) -> None:
    found = _motor("damiao").decode(Frame(0x11, bytes([status << 4 | 1]) + bytes(7)))
    assert isinstance(found, Reading)
    assert found.fault is not None
    assert words in found.fault
    assert found.enabled is False


def test_damiao_registers() -> None:
    motor = _motor("damiao")
    assert isinstance(motor, Damiao)
    assert motor.read_register(21) == Frame(0x7FF, _bytes("01 00 33 15 00 00 00 00"))
    assert motor.write_register(9, 2000) == Frame(0x7FF, _bytes("01 00 55 09 D0 07 00 00"))
    assert motor.poll() == Frame(0x7FF, _bytes("01 00 CC 00 00 00 00 00"))
    answer = Frame(0x11, _bytes("01 00 33 15") + struct.pack("<f", 12.5))
    assert motor.decode(answer) == Parameter(21, 12.5)
    assert motor.decode(Frame(0x11, _bytes("01 00 55 09 D0 07 00 00"))) == Parameter(9, 2000)


def test_a_neighbour_s_state_is_not_ours() -> None:
    """Of ids 0x01 and 0x11 the low four bits are the same: only the number that it answers on tells."""
    ours, other = _motor("damiao"), Damiao(CanMotorConfig(model="dm4310", id=0x11, master_id=0x21))
    state = _bytes("11 8A 3C 77 78 65 23 28")
    assert ours.decode(Frame(0x11, state)) is not None
    assert ours.decode(Frame(0x21, state)) is None
    assert other.decode(Frame(0x21, state)) is not None
    assert ours.decode(Frame(0x11, _bytes("12 8A 3C 77 78 65 23 28"))) is None
    assert ours.decode(Frame(0x11, state, extended=True)) is None


def test_a_robstride_s_temperature_is_in_tenths() -> None:
    found = _motor("robstride").decode(Frame(0xFD, _bytes("02 8A 2E 78 38 48 01 1D")))
    assert isinstance(found, Reading)
    assert found.temperature == pytest.approx(28.5)
    assert found.position == pytest.approx(1.0, abs=4e-4)
    assert found.torque == pytest.approx(0.5, abs=7e-3)


def test_a_robstride_s_faults() -> None:
    motor = _motor("robstride")
    report = motor.decode(Frame(0xFD, _bytes("02 05 40 00 00 00 00 00")))
    assert report == FaultReport("over-temperature, under-voltage, overload: stalled")
    assert motor.decode(Frame(0xFD, _bytes("02 00 00 00 00 00 00 00"))) is None
    assert motor.decode(Frame(0xFD, _bytes("02 00 00 00 80 00 00 00"))) is None


def test_an_ak_answers_in_six_bytes_or_eight() -> None:
    motor = _motor("ak")
    found = motor.decode(Frame(0, _bytes("03 8A 3C 7C 98 54")))
    assert isinstance(found, Reading)
    assert found.temperature is None
    assert found.velocity == pytest.approx(-2.0, abs=0.04)
    long = motor.decode(Frame(0, _bytes("03 8A 3C 7C 98 54 2A 02")))
    assert isinstance(long, Reading)
    assert (long.temperature, long.fault) == (42.0, "over-current")


def test_cybergear_examples() -> None:
    """Worked by hand from the manual's tables; host 0xFD, motor 0x7F."""
    motor = _motor("cybergear")
    assert isinstance(motor, CyberGear)
    assert motor.enable().id == 0x0300FD7F
    command = motor.command(MitCommand(0.5, -1.0, 30.0, 1.0, 1.0))
    assert command == Frame(0x018AAA7F, _bytes("85 17 7B BB 0F 5C 33 33"), True)
    write = motor.write_register(0x7005, 2)
    assert write == Frame(0x1200FD7F, _bytes("05 70 00 00 02 00 00 00"), True)
    found = motor.decode(Frame(0x02807FFD, _bytes("85 17 7B BB 8A AA 01 1D"), True))
    assert isinstance(found, Reading)
    assert found.position == pytest.approx(0.5, abs=4e-4)
    assert found.velocity == pytest.approx(-1.0, abs=1e-3)
    assert found.torque == pytest.approx(1.0, abs=4e-4)
    assert found.temperature == pytest.approx(28.5)
    assert (found.enabled, found.fault) == (True, None)


@pytest.mark.parametrize(
    ("bit", "words"), [(16, "under-voltage"), (18, "over-temperature"), (21, "not calibrated")]
)
def test_cybergear_faults(bit: int, words: str) -> None:
    found = _motor("cybergear").decode(Frame(0x02007FFD | 1 << bit, bytes(8), True))
    assert isinstance(found, Reading)
    assert found.fault is not None
    assert words in found.fault
    assert found.enabled is False


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_random_frames_never_raise_and_never_leave_the_scale(name: str) -> None:
    """25,000 frames of each protocol, most with identifiers that it listens to."""
    random, motor, config = np.random.default_rng(0), _motor(name), CONFIGS[name]
    known = [config.master_id, config.id, 0x7FF]
    extended_known = [kind << 24 | config.id << 8 | config.master_id for kind in range(32)]
    understood = 0
    for _ in range(25_000):
        extended = bool(random.random() < (0.8 if name == "cybergear" else 0.1))
        likely = extended_known if extended else known
        top = 1 << (29 if extended else 11)
        number = int(random.choice(likely)) if random.random() < 0.9 else int(random.integers(top))
        if extended:
            number |= int(random.integers(256)) << 16
        data = random.bytes(int(random.choice([0, 1, 5, 6, 7, 8, 8, 8, 8])))
        if data and random.random() < 0.7:
            data = bytes([config.id]) + data[1:]
        found = motor.decode(Frame(number, data, extended))
        understood += found is not None
        if isinstance(found, Reading):
            limits = config.scale
            assert abs(found.position) <= limits.position * (1 + 1e-9)
            assert abs(found.velocity) <= limits.velocity * (1 + 1e-9)
            assert abs(found.torque) <= limits.torque * (1 + 1e-9)
    assert understood > 500
