"""Units of logs: what a file may be recorded in, and the SI unit that a log in memory holds."""

import math

from simreal.errors import UserError, nearest

_STANDARD_GRAVITY = 9.80665

CONVERSIONS: dict[str, tuple[str, float]] = {
    "": ("", 1.0),
    "rad": ("rad", 1.0),
    "deg": ("rad", math.pi / 180),
    "rev": ("rad", 2 * math.pi),
    "m": ("m", 1.0),
    "mm": ("m", 1e-3),
    "rad/s": ("rad/s", 1.0),
    "deg/s": ("rad/s", math.pi / 180),
    "rev/s": ("rad/s", 2 * math.pi),
    "rpm": ("rad/s", 2 * math.pi / 60),
    "m/s": ("m/s", 1.0),
    "mm/s": ("m/s", 1e-3),
    "N·m": ("N·m", 1.0),
    "Nm": ("N·m", 1.0),
    "mN·m": ("N·m", 1e-3),
    "mNm": ("N·m", 1e-3),
    "N": ("N", 1.0),
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "A": ("A", 1.0),
    "mA": ("A", 1e-3),
    "m/s²": ("m/s²", 1.0),
    "m/s^2": ("m/s²", 1.0),
    "g": ("m/s²", _STANDARD_GRAVITY),
    "°C": ("°C", 1.0),
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
}
"""Unit in a file: unit in memory and the factor to it."""


def to_si(unit: str, where: str) -> tuple[str, float]:
    """The SI unit of a unit, and the factor to it.

    Raises:
        UserError: no such unit; `where` says where it was named.
    """
    if unit not in CONVERSIONS:
        raise UserError(f"{where}: no unit {unit!r}: {nearest(unit, filter(None, CONVERSIONS))}")
    return CONVERSIONS[unit]
