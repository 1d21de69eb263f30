"""Control tables of Dynamixel's X servos, from ROBOTIS's e-manual and the SDK's model files.

Of the registers that are used here, addresses and sizes are the same for all of them.
"""

import math

from simreal.deploy.drivers.servo.table import Block, Model, Register

STEP = 2 * math.pi / 4096
"""rad"""
SPEED_STEP = 0.229 * 2 * math.pi / 60
"""rad/s"""
FULL_PWM = 885
HARDWARE_ERRORS = {
    0x01: "supply voltage out of range",
    0x04: "over-temperature",
    0x08: "encoder fault",
    0x10: "electrical shock or too little power",
    0x20: "overload",
}
"""Bits of `hardware_error` and `shutdown`."""
ALERT = 0x80
"""Bit of a status's error byte: look into `hardware_error`."""
POSITION_MODE = 3
WATCHDOG_PERIOD = 20e-3
"""s, of one step of `bus_watchdog`."""


def _signed(address: int, size: int, unit: str, scale: float) -> Register:
    return Register(address, size, "twos_complement", 0, unit, scale)


REGISTERS = {
    # EEPROM, which outlives a power cycle.
    "model_number": Register(0, 2),
    "firmware": Register(6, 1),
    "id": Register(7, 1),
    "baud_index": Register(8, 1),
    "return_delay": Register(9, 1, unit="s", scale=2e-6),
    "drive_mode": Register(10, 1),
    "mode": Register(11, 1),
    "homing_offset": _signed(20, 4, "rad", STEP),
    "highest_temperature": Register(31, 1, unit="°C"),
    "highest_voltage": Register(32, 2, unit="V", scale=0.1),
    "lowest_voltage": Register(34, 2, unit="V", scale=0.1),
    "largest_pwm": Register(36, 2, unit="of full duty", scale=1 / FULL_PWM),
    "velocity_limit": Register(44, 4, unit="rad/s", scale=SPEED_STEP),
    "highest_position": Register(48, 4, unit="rad", scale=STEP),
    "lowest_position": Register(52, 4, unit="rad", scale=STEP),
    "shutdown": Register(63, 1),
    # RAM.
    "torque_enable": Register(64, 1),
    "led": Register(65, 1),
    "status_return_level": Register(68, 1),
    "hardware_error": Register(70, 1),
    "position_d": Register(80, 2),
    "position_i": Register(82, 2),
    "position_p": Register(84, 2),
    "bus_watchdog": Register(98, 1, unit="s", scale=WATCHDOG_PERIOD),
    "goal_pwm": _signed(100, 2, "of full duty", 1 / FULL_PWM),
    "goal_current": _signed(102, 2, "A", 1e-3),
    "goal_velocity": _signed(104, 4, "rad/s", SPEED_STEP),
    "profile_acceleration": Register(108, 4),
    "profile_velocity": Register(112, 4),
    "goal_position": _signed(116, 4, "rad", STEP),
    "realtime_tick": Register(120, 2, unit="s", scale=1e-3),
    "moving": Register(122, 1),
    "moving_status": Register(123, 1),
    "present_pwm": _signed(124, 2, "of full duty", 1 / FULL_PWM),
    "present_current": _signed(126, 2, "A", 1e-3),
    "present_velocity": _signed(128, 4, "rad/s", SPEED_STEP),
    "present_position": _signed(132, 4, "rad", STEP),
    "velocity_trajectory": _signed(136, 4, "rad/s", SPEED_STEP),
    "position_trajectory": _signed(140, 4, "rad", STEP),
    "present_voltage": Register(144, 2, unit="V", scale=0.1),
    "present_temperature": Register(146, 1, unit="°C"),
}


def _with_current_unit(ampere: float) -> dict[str, Register]:
    """The table of a servo that counts currents in steps of its own."""
    return REGISTERS | {
        "goal_current": _signed(102, 2, "A", ampere),
        "present_current": _signed(126, 2, "A", ampere),
    }


def _without_current() -> dict[str, Register]:
    """The table of a servo that estimates its load instead."""
    registers = {name: each for name, each in REGISTERS.items() if name != "goal_current"}
    return registers | {"present_current": _signed(126, 2, "of full load", 1e-3)}


MODELS = {
    model.number: model
    for model in (
        Model("XL330-M077", 1190, REGISTERS),
        Model("XL330-M288", 1200, REGISTERS),
        Model("XL430-W250", 1060, _without_current()),
        Model("XM430-W350", 1020, _with_current_unit(2.69e-3)),
    )
}
STATE = Block.of(
    REGISTERS, "present_velocity", "present_position", "present_voltage", "present_temperature"
)
GOAL, LIMIT = Block.of(REGISTERS, "goal_position"), Block.of(REGISTERS, "goal_pwm")
