"""The numbers in the frames of MIT mode: how a command becomes bits, and bits a reading.

Numbers are cut, not rounded, as every maker's own library does: so our frames are theirs, bit by bit,
and can be held against a log of theirs. That costs a bias of half a step (of a DM4310: 0.19 mrad,
7 mrad/s, 2.4 mN·m); a rounded zero would be half a step off, too, since there is no code for zero.
"""

from typing import NamedTuple

from simreal.robots.can_motors import Limits

GRACE = 1e-6
"""Steps that are given before cutting, lest a number that came from a code becomes the code below."""


class MitCommand(NamedTuple):
    """What a motor is told: torque + stiffness (position - its own) + damping (velocity - its own)."""

    position: float = 0.0
    velocity: float = 0.0
    stiffness: float = 0.0
    damping: float = 0.0
    torque: float = 0.0


def encode(value: float, low: float, high: float, bits: int) -> int:
    """A number as an unsigned code; what is beyond the ends becomes the end, and never wraps.

    Raises:
        ValueError: it is no number.
    """
    top = (1 << bits) - 1
    code = (value - low) / (high - low) * top + GRACE
    if code < 0.0:
        return 0
    return top if code > top else int(code)


def decode(code: int, low: float, high: float, bits: int) -> float:
    """The number that a code of so many bits stands for."""
    return low + code * (high - low) / ((1 << bits) - 1)


def command_codes(command: MitCommand, limits: Limits, gain_bits: int = 12) -> tuple[int, ...]:
    """Codes of position (16 bits), velocity, stiffness, damping and torque (`gain_bits`)."""
    position, velocity, stiffness, damping, torque = command
    return (
        encode(position, -limits.position, limits.position, 16),
        encode(velocity, -limits.velocity, limits.velocity, gain_bits),
        encode(stiffness, 0.0, limits.stiffness, gain_bits),
        encode(damping, 0.0, limits.damping, gain_bits),
        encode(torque, -limits.torque, limits.torque, gain_bits),
    )


def pack_command(command: MitCommand, limits: Limits) -> bytes:
    """The 8 bytes of a command: 16, 12, 12, 12 and 12 bits, high bits first."""
    position, velocity, stiffness, damping, torque = command_codes(command, limits)
    word = position << 48 | velocity << 36 | stiffness << 24 | damping << 12 | torque
    return word.to_bytes(8, "big")


def unpack_reading(data: bytes, limits: Limits) -> tuple[float, float, float]:
    """Position, velocity and torque of the 5 bytes that a reply holds: 16, 12 and 12 bits."""
    position, velocity, torque = limits.position, limits.velocity, limits.torque
    return (
        decode(data[0] << 8 | data[1], -position, position, 16),
        decode(data[2] << 4 | data[3] >> 4, -velocity, velocity, 12),
        decode((data[3] & 0x0F) << 8 | data[4], -torque, torque, 12),
    )
