"""The messages of Unitree's robots as an emulator reads and writes them.

Apart from the driver's on purpose: formats of `struct` in C and in CDR, written out, where the driver's
follow from a declaration of the fields. Only the checksum over a run of bytes is common to both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from simreal.deploy.unitree.crc import crc32
from simreal.state import FloatArray

HEADER = bytes((0, 1, 0, 0))
GO_COMMAND_C = Struct("<4B4IH2x" + 20 * "B3x5f3I" + "4B55Bx2I")
GO_COMMAND_CDR = Struct("<4B4IH" + "Bx5f3I" + 19 * "B3x5f3I" + "4B55Bx2I")
GO_STATE_C = Struct("<4B4IH2x13fB3x" + 20 * "B3x7fB3x3I" + "4BiH4B15H8hI41B3xf2B2x2f4H2I")
GO_STATE_CDR = Struct(
    "<4B4IH2x13fB" + "B2x7fB3x3I" + 19 * "B3x7fB3x3I" + "4BiH4B15H8hI40BB3xfBB2x2f4H2I"
)
HG_COMMAND_C = Struct("<2B2x" + 35 * "B3x5fI" + "5I")
HG_COMMAND_CDR = Struct("<2BB" + "x5fI" + 34 * "B3x5fI" + "5I")
HG_STATE_C = Struct("<2I2B2xI13fh2x" + 35 * "B3x4f2hf7I" + "40B5I")
HG_STATE_CDR = Struct("<2I2B2xI13fh" + "Bx4f2hf7I" + 34 * "B3x4f2hf7I" + "40B5I")


class NoCommandError(Exception):
    """A payload that the robot does not obey, and why."""


@dataclass(slots=True)
class Told:
    """What a command says: of each place for a motor its mode, and (motors,) numbers in SI units."""

    mode: NDArray[np.int64]
    position: FloatArray
    velocity: FloatArray
    feedforward: FloatArray
    stiffness: FloatArray
    damping: FloatArray
    mode_machine: int | None = None


@dataclass(slots=True)
class Shown:
    """What a state says; (motors,) arrays have all places of the message."""

    tick: int
    mode: NDArray[np.int64]
    position: FloatArray
    velocity: FloatArray
    effort: FloatArray
    temperature: FloatArray
    lost: NDArray[np.int64]
    orientation: Sequence[float]
    angular_velocity: Sequence[float]
    linear_acceleration: Sequence[float]
    rpy: Sequence[float]
    voltage: float
    current: float
    charge: int = 87
    foot_force: Sequence[int] = field(default_factory=lambda: (0, 0, 0, 0))
    mode_machine: int = 5


class GoCodec:
    """The ``unitree_go`` messages, of Go2."""

    motors = 20

    def command(self, payload: bytes) -> Told:
        """What a command says.

        Raises:
            NoCommandError: it is none.
        """
        values = _unpacked(payload, GO_COMMAND_CDR, GO_COMMAND_C)
        if values[:2] != (0xFE, 0xEF):
            raise NoCommandError("a head that is not FE EF")
        if values[2] != 0xFF:
            raise NoCommandError(f"level_flag {values[2]:#04x} is not for the motors")
        return _told(np.array(values[9 : 9 + 20 * 9], np.float64).reshape(20, 9))

    def state(self, shown: Shown) -> bytes:
        """A state."""
        values: list[float] = [0xFE, 0xEF, 0xFF, 0, 0, 0, 0, 0, 0]
        values += _inertial(shown)
        for motor in range(20):
            values += [int(shown.mode[motor]), shown.position[motor], shown.velocity[motor], 0.0]
            values += [shown.effort[motor], shown.position[motor], shown.velocity[motor], 0.0]
            values += [_whole(shown.temperature[motor], 0, 127), int(shown.lost[motor]), 0, 0]
        milliampere = _whole(-1e3 * shown.current, -(2**31), 2**31 - 1)
        cell = _whole(1e3 * shown.voltage / 8, 0, 65535)
        values += [1, 0, 8, shown.charge, milliampere, 42, 30, 30, 30, 30, *[cell] * 8, *[0] * 7]
        values += [*shown.foot_force, *shown.foot_force, shown.tick, *[0] * 41, 0.0, 40, 40]
        values += [shown.voltage, shown.current, 0, 0, 0, 0, 0, 0]
        return _packed(values, GO_STATE_C, GO_STATE_CDR)


class HgCodec:
    """The ``unitree_hg`` messages, of G1."""

    motors = 35

    def command(self, payload: bytes) -> Told:
        """What a command says.

        Raises:
            NoCommandError: it is none.
        """
        values = _unpacked(payload, HG_COMMAND_CDR, HG_COMMAND_C)
        told = _told(np.array(values[2 : 2 + 35 * 7], np.float64).reshape(35, 7))
        told.mode_machine = int(values[1])
        return told

    def state(self, shown: Shown) -> bytes:
        """A state."""
        values: list[float] = [0, 0, 0, shown.mode_machine, shown.tick, *_inertial(shown)]
        for motor in range(35):
            values += [int(shown.mode[motor]), shown.position[motor], shown.velocity[motor], 0.0]
            hot = _whole(shown.temperature[motor], -273, 32767)
            values += [shown.effort[motor], hot - 5, hot, shown.voltage, *[0] * 7]
        values += [*[0] * 40, *[0] * 5]
        return _packed(values, HG_STATE_C, HG_STATE_CDR)


Codec = GoCodec | HgCodec


def _unpacked(payload: bytes, cdr: Struct, in_c: Struct) -> tuple[float, ...]:
    """The values of a command whose checksum is right."""
    if len(payload) != len(HEADER) + cdr.size or payload[:2] != HEADER[:2]:
        raise NoCommandError(f"{len(payload)} bytes that are no command")
    values = cdr.unpack_from(payload, len(HEADER))
    if crc32(in_c.pack(*values)[:-4]) != values[-1]:
        raise NoCommandError("a wrong checksum")
    return values


def _packed(values: list[float], in_c: Struct, cdr: Struct) -> bytes:
    values[-1] = crc32(in_c.pack(*values)[:-4])
    return HEADER + cdr.pack(*values)


def _told(rows: FloatArray) -> Told:
    """Of (motors, mode q dq tau kp kd and reserves) numbers."""
    mode, position, velocity, feedforward, stiffness, damping = rows[:, :6].T
    return Told(mode.astype(np.int64), position, velocity, feedforward, stiffness, damping)


def _inertial(shown: Shown) -> list[float]:
    readings = (shown.orientation, shown.angular_velocity, shown.linear_acceleration, shown.rpy)
    return [float(value) for reading in readings for value in reading] + [45]


def _whole(value: float, low: int, high: int) -> int:
    return min(max(round(float(value)), low), high)
