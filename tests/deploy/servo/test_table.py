"""Registers, against the fact sheets' examples and the vendor's own tables."""

from itertools import pairwise
from pathlib import Path

import dynamixel_easy_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.deploy.drivers.servo import dynamixel_table, feetech_table
from simreal.deploy.drivers.servo.table import Register

REGISTERS = [*feetech_table.REGISTERS.values(), *dynamixel_table.REGISTERS.values()]


@pytest.mark.parametrize("register", REGISTERS)
def test_every_number_that_fits_comes_back(register: Register) -> None:
    low, high = register.range()

    @settings(max_examples=15)
    @given(st.integers(low, high))
    def comes_back(number: int) -> None:
        data = register.encode(number)
        assert len(data) == register.size and register.decode(data) == number

    comes_back()
    for number in (low - 1, high + 1):
        with pytest.raises((ValueError, OverflowError)):
            register.encode(number)


@given(st.binary(min_size=2, max_size=2))
def test_sign_and_magnitude_reads_any_bytes(data: bytes) -> None:
    position, load = (feetech_table.REGISTERS[n] for n in ("present_position", "present_load"))
    assert abs(position.decode(data)) < 1 << 15 and abs(load.decode(data)) < 1 << 10


@pytest.mark.parametrize(
    ("name", "number", "data"),
    [
        ("goal_position", 2048, "00 08"),
        ("goal_position", 1000, "E8 03"),
        ("goal_position", -1, "01 80"),
        ("homing_offset", -83, "53 08"),
        ("present_load", -500, "F4 05"),
    ],
)
def test_feetech_s_numbers(name: str, number: int, data: str) -> None:
    register = feetech_table.REGISTERS[name]
    assert register.encode(number) == bytes.fromhex(data)
    assert register.decode(bytes.fromhex(data)) == number


def _vendor_table(model: str) -> dict[str, tuple[int, int]]:
    """Name to address and size, as the SDK ships them."""
    path = Path(dynamixel_easy_sdk.__file__).parent / "control_table" / model
    _, _, table = path.read_text().partition("[control table]")
    rows = [line.split("\t") for line in table.splitlines() if line.count("\t") >= 2]
    return {row[2].strip(): (int(row[0]), int(row[1])) for row in rows if row[0].isdigit()}


SAME = {
    "torque_enable": "Torque Enable",
    "goal_position": "Goal Position",
    "goal_pwm": "Goal PWM",
    "bus_watchdog": "Bus Watchdog",
    "hardware_error": "Hardware Error Status",
    "homing_offset": "Homing Offset",
    "lowest_position": "Min Position Limit",
    "highest_position": "Max Position Limit",
    "position_p": "Position P Gain",
    "position_i": "Position I Gain",
    "position_d": "Position D Gain",
    "present_velocity": "Present Velocity",
    "present_position": "Present Position",
    "present_voltage": "Present Input Voltage",
    "present_temperature": "Present Temperature",
    "profile_velocity": "Profile Velocity",
    "profile_acceleration": "Profile Acceleration",
    "shutdown": "Shutdown",
    "return_delay": "Return Delay Time",
    "mode": "Operating Mode",
    "model_number": "Model Number",
    "firmware": "Firmware Version",
}


@pytest.mark.parametrize(
    "model", ["xl330_m288.model", "xl330_m077.model", "xl430_w250.model", "xm430_w350.model"]
)
def test_dynamixel_s_addresses_are_those_of_the_vendor(model: str) -> None:
    table = _vendor_table(model)
    assert len(table) > 30
    for ours, theirs in SAME.items():
        register = dynamixel_table.REGISTERS[ours]
        assert (register.address, register.size) == table[theirs], ours


def test_registers_of_a_table_do_not_overlap() -> None:
    for table in (feetech_table.REGISTERS, dynamixel_table.REGISTERS):
        ordered = sorted(table.values(), key=lambda each: each.address)
        assert all(a.end <= b.address for a, b in pairwise(ordered))
