"""Reads numbers among a driver's options."""

import math

from simreal.errors import UserError


def whole_number(driver: str, key: str, text: str) -> int:
    """The number, not negative, that stands for an option.

    Raises:
        UserError: it is none.
    """
    if not text.isdecimal():
        raise UserError(f"driver {driver}: {key}={text}: expected a whole number")
    return int(text)


def numbers(driver: str, options: dict[str, str]) -> dict[str, float]:
    """Finite numbers that stand for options.

    Raises:
        UserError: one is none.
    """
    return {key: _number(driver, key, text) for key, text in options.items()}


def _number(driver: str, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"driver {driver}: {key}={text}: expected a number") from None
    if not math.isfinite(value):
        raise UserError(f"driver {driver}: {key}={text}: expected a finite number")
    return value
