"""CAN motors that follow the law of MIT mode: what the numbers in their frames mean.

A frame holds unsigned integers, of a number x
raw = (x - low) / (high - low) * (2**bits - 1), from -limit to limit for position, velocity and torque,
and from 0 for the gains. The limits differ by model, and published tables differ with each other:
who has them wrong commands, say, 1.25 times the speed. So a Damiao motor is asked for its own
(registers 21 to 23); of a motor that cannot be asked, `robot.yaml` must settle what sources leave open.

Sources, by the letters of the notes: A DM_Control_Python, B damiao-motor 1.0.6, C the CyberGear manual,
K kscalelabs actuator, L lerobot, N RobStride's MIT note, O openarm_can, R RobStride SampleProgram,
T mini-cheetah-tmotor-python-can.
"""

from dataclasses import dataclass, field
from math import pi
from typing import Literal

Protocol = Literal["damiao", "robstride", "cybergear", "ak"]
"""`robstride` is its MIT mode; `cybergear` the private protocol of 29-bit identifiers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest numbers that frames can hold.

    Attributes:
        position: rad.
        velocity: rad/s.
        torque: N·m.
        stiffness: N·m/rad.
        damping: N·m·s/rad.
    """

    position: float
    velocity: float
    torque: float
    stiffness: float = 500.0
    damping: float = 5.0


@dataclass(frozen=True, slots=True)
class CanMotor:
    """A model of motor.

    Attributes:
        protocol: that it speaks.
        limits: as the first source has them.
        others: as other sources have them.
        note: who says what.
    """

    protocol: Protocol
    limits: Limits
    others: tuple[Limits, ...] = field(default=())
    note: str = ""


def _damiao(limits: Limits, *others: Limits, note: str = "A, L, O, B agree") -> CanMotor:
    return CanMotor("damiao", limits, others, note)


def _robstride(limits: Limits, *others: Limits, note: str) -> CanMotor:
    return CanMotor("robstride", limits, others, note)


CAN_MOTORS: dict[str, CanMotor] = {
    "dm3507": _damiao(
        Limits(12.5, 30, 10),
        Limits(12.5, 50, 5),
        Limits(12.566, 50, 5),
        note="L; O; B: no two agree",
    ),
    "dm4310": _damiao(Limits(12.5, 30, 10)),
    "dm4310_48v": _damiao(Limits(12.5, 50, 10)),
    "dm4340": _damiao(Limits(12.5, 8, 28), Limits(12.5, 10, 28), note="A, L; O, B"),
    "dm4340_48v": _damiao(Limits(12.5, 10, 28)),
    "dm6006": _damiao(Limits(12.5, 45, 20)),
    "dm8006": _damiao(Limits(12.5, 45, 40)),
    "dm8009": _damiao(Limits(12.5, 45, 54)),
    "dm10010l": _damiao(Limits(12.5, 25, 200)),
    "dm10010": _damiao(Limits(12.5, 20, 200)),
    "dmh3510": _damiao(Limits(12.5, 280, 1)),
    "dmg6215": _damiao(Limits(12.5, 45, 10)),
    "dmh6220": _damiao(Limits(12.5, 45, 10)),
    "dmjh11": _damiao(Limits(12.5, 10, 12), note="B alone"),
    "dm6248p": _damiao(Limits(12.566, 20, 120), note="B alone"),
    "rs00": _robstride(Limits(12.57, 33, 14), note="L; K has 4 pi"),
    "rs01": _robstride(Limits(12.57, 44, 17), Limits(12.5, 44, 17), note="L, K (4 pi); R has 12.5"),
    "rs02": _robstride(Limits(12.57, 44, 17), Limits(12.57, 33, 20), note="K; L"),
    "rs03": _robstride(Limits(12.57, 20, 60, 5000, 100), Limits(12.57, 33, 60), note="K; L"),
    "rs04": _robstride(Limits(12.57, 15, 120, 5000, 100), Limits(12.57, 33, 120), note="K; L"),
    "rs05": _robstride(Limits(12.57, 50, 5.5), note="L alone"),
    "el05": _robstride(Limits(12.57, 50, 6), note="L alone"),
    "rs06": _robstride(
        Limits(12.57, 50, 36), Limits(112.5, 50, 36), note="L alone, whose 112.5 rad looks like a slip"
    ),
    "cybergear": CanMotor(
        "cybergear",
        Limits(4 * pi, 30, 12),
        (Limits(12.5, 30, 12),),
        "C, text; C, sample program, and R: 0.5 % apart",
    ),
    "ak80_6_v1": CanMotor("ak", Limits(95.5, 45, 18), note="T, firmware 1.0"),
    "ak80_6_v1_1": CanMotor("ak", Limits(12.5, 22.5, 12), note="T, firmware 1.1"),
    "ak80_6": CanMotor("ak", Limits(12.5, 76, 12), note="T, firmware 2.0"),
    "ak80_9_v1_1": CanMotor("ak", Limits(12.5, 22.5, 18), note="T, firmware 1.1"),
    "ak80_9": CanMotor("ak", Limits(12.5, 25.64, 18), note="T, firmware 2.0"),
    "ak70_10": CanMotor("ak", Limits(12.5, 50, 24), note="T"),
    "ak10_9": CanMotor("ak", Limits(12.5, 50, 65), note="T"),
}
