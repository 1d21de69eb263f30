"""Control tables of Feetech's STS servos, from the maker's memory table and lerobot's (7427f31).

Sign and magnitude: the highest bits tell the sign. Where sources differ (addresses 24, 67, 71), nothing
is named.
"""

import math

from simreal.deploy.drivers.servo.table import Block, Model, Register

STEP = 2 * math.pi / 4096
"""rad"""
ERRORS = {
    0x01: "supply voltage out of range",
    0x02: "encoder fault",
    0x04: "over-temperature",
    0x08: "over-current",
    0x20: "overload",
}
"""Bits of the error byte, and of the registers `status`, `unload_mask` and `led_alarm_mask`."""
POSITION_MODE = 0
TORQUE_OFF, TORQUE_ON, TORQUE_DAMPING = 0, 1, 2
SPEED_IN_STEPS = 0x04
"""Bit of `phase`: speeds count steps/s; else 50 steps/s."""
MULTI_TURN = 0x10
"""Bit of `phase`: positions go on beyond a turn."""


def _signed(address: int, sign_bit: int, unit: str, scale: float) -> Register:
    return Register(address, 2, "sign_magnitude", sign_bit, unit, scale)


REGISTERS = {
    # EEPROM, which outlives a power cycle.
    "firmware_major": Register(0, 1),
    "firmware_minor": Register(1, 1),
    "model_number": Register(3, 2),
    "id": Register(5, 1),
    "baud_index": Register(6, 1),
    "return_delay": Register(7, 1, unit="s", scale=2e-6),
    "response_level": Register(8, 1),
    "lowest_position": Register(9, 2, unit="rad", scale=STEP),
    "highest_position": Register(11, 2, unit="rad", scale=STEP),
    "highest_temperature": Register(13, 1, unit="°C"),
    "highest_voltage": Register(14, 1, unit="V", scale=0.1),
    "lowest_voltage": Register(15, 1, unit="V", scale=0.1),
    "largest_torque": Register(16, 2, unit="of full duty", scale=1e-3),
    "phase": Register(18, 1),
    "unload_mask": Register(19, 1),
    "led_alarm_mask": Register(20, 1),
    "position_p": Register(21, 1),
    "position_d": Register(22, 1),
    "position_i": Register(23, 1),
    "protection_current": Register(28, 2, unit="A", scale=6.5e-3),
    "homing_offset": _signed(31, 11, "rad", STEP),
    "mode": Register(33, 1),
    "protective_torque": Register(34, 1, unit="of full duty", scale=1e-2),
    "protection_time": Register(35, 1, unit="s", scale=1e-2),
    "overload_torque": Register(36, 1, unit="of full duty", scale=1e-2),
    # RAM.
    "torque_enable": Register(40, 1),
    "acceleration": Register(41, 1, unit="rad/s²", scale=100 * STEP),
    "goal_position": _signed(42, 15, "rad", STEP),
    "goal_time": Register(44, 2),
    "goal_speed": _signed(46, 15, "rad/s", STEP),
    "torque_limit": Register(48, 2, unit="of full duty", scale=1e-3),
    "lock": Register(55, 1),
    "present_position": _signed(56, 15, "rad", STEP),
    "present_speed": _signed(58, 15, "rad/s", STEP),
    "present_load": _signed(60, 10, "of full duty", 1e-3),
    "present_voltage": Register(62, 1, unit="V", scale=0.1),
    "present_temperature": Register(63, 1, unit="°C"),
    "status": Register(65, 1),
    "moving": Register(66, 1),
    "present_current": Register(69, 2, unit="A", scale=6.5e-3),
}
MODELS = {
    model.number: model
    for model in (
        Model("STS3215", 777, REGISTERS),
        Model("STS3250", 2825, REGISTERS),
        Model("SM8512BL", 11272, REGISTERS),
    )
}
STATE = Block.of(
    REGISTERS,
    "present_position",
    "present_speed",
    "present_voltage",
    "present_temperature",
    "status",
)
COMMAND = Block.of(REGISTERS, "goal_position", "goal_time", "goal_speed", "torque_limit")
