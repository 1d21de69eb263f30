"""The section `wire.can` of a `robot.yaml`: which CAN motor drives which joint, and how."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from simreal.config import Config
from simreal.errors import nearest
from simreal.robots.can_motors import CAN_MOTORS, CanMotor, Limits

BROADCAST = 0x7FF
"""Damiao's identifier for parameters of all motors."""


class CanLimits(Config):
    """The largest numbers that a motor's frames can hold, by its manual or its configuration tool."""

    position: float = Field(gt=0)
    """rad, PMAX."""
    velocity: float = Field(gt=0)
    """rad/s, VMAX."""
    torque: float = Field(gt=0)
    """N·m, TMAX."""
    stiffness: float = Field(default=500.0, gt=0)
    """N·m/rad."""
    damping: float = Field(default=5.0, gt=0)
    """N·m·s/rad."""


class CanMotorConfig(Config):
    """A motor on a CAN bus. The joint is at sign * motor / gear + offset."""

    model: str
    """Such as dm4310, rs01, cybergear, ak80_6."""
    id: int = Field(ge=1, le=0x7F)
    """That it listens to."""
    master_id: int = Field(default=0, ge=0, le=0x7FE)
    """That it answers on: MST_ID of a Damiao motor, which is best different for each; the host's
    number of a RobStride or CyberGear; 0 for an AK."""
    bus: int = Field(default=0, ge=0)
    """Which of the channels that the driver is given, from 0."""
    sign: Literal[-1, 1] = 1
    """-1 where the motor turns the other way than the joint."""
    offset: float = 0.0
    """rad, of the joint where the motor says 0."""
    gear: float = Field(default=1.0, gt=0)
    """Turns of the motor's output for one of the joint; 1 for a joint on the output itself."""
    limits: CanLimits | None = None
    """Absent to go by the table; needed where sources disagree and the motor cannot be asked."""

    @model_validator(mode="after")
    def _limits_are_known(self) -> Self:
        if self.model not in CAN_MOTORS:
            raise ValueError(f"no motor model {self.model!r}: {nearest(self.model, CAN_MOTORS)}")
        motor = self.motor
        if motor.others and motor.protocol != "damiao" and self.limits is None:
            found = "; ".join(_shown(each) for each in (motor.limits, *motor.others))
            raise ValueError(
                f"limits: sources disagree for {self.model} ({motor.note}: {found}), and the motor "
                "cannot be asked: add limits from its manual"
            )
        return self

    @property
    def motor(self) -> CanMotor:
        """The entry of its model."""
        return CAN_MOTORS[self.model]

    @property
    def scale(self) -> Limits:
        """As this file says, else as the table says."""
        if self.limits is None:
            return self.motor.limits
        given = self.limits
        return Limits(given.position, given.velocity, given.torque, given.stiffness, given.damping)


def _shown(limits: Limits) -> str:
    return f"{limits.position:g} rad {limits.velocity:g} rad/s {limits.torque:g} N·m"


class CanConfig(Config):
    """CAN motors of a robot."""

    bitrate: int = Field(default=1_000_000, gt=0)
    """bit/s."""
    motors: Annotated[dict[str, CanMotorConfig], Field(min_length=1)]
    """Actuator to its motor."""

    @model_validator(mode="after")
    def _answers_can_be_told_apart(self) -> Self:
        seen: dict[tuple[object, ...], str] = {}
        for name, motor in self.motors.items():
            for key in _identities(motor):
                if (other := seen.setdefault(key, name)) != name:
                    raise ValueError(f"motors: {other} and {name} on bus {motor.bus}: {key[-1]}")
        for name, motor in self.motors.items():
            _refuse_shared_master(name, motor, self.motors)
        return self


def _identities(motor: CanMotorConfig) -> list[tuple[object, ...]]:
    """What no other motor on a bus may share; last, what is wrong if one does."""
    protocol, bus = motor.motor.protocol, motor.bus
    found: list[tuple[object, ...]] = [(bus, motor.id, f"both have id {motor.id:#x}")]
    if protocol == "damiao":
        low = motor.id & 0x0F
        reason = (
            f"both answer on master_id {motor.master_id:#x} as {low:#x}, the low four bits of their "
            "ids: give each a master_id of its own"
        )
        found.append((bus, motor.master_id, low, reason))
    return found


def _refuse_shared_master(name: str, motor: CanMotorConfig, motors: dict[str, CanMotorConfig]) -> None:
    if motor.motor.protocol == "cybergear":
        return  # its 29-bit identifiers say who sends and who is meant
    for other, each in motors.items():
        if each.bus != motor.bus or each.motor.protocol == "cybergear":
            continue
        if each.id == motor.master_id:
            raise ValueError(
                f"motors: {name} would answer on master_id {motor.master_id:#x}, to which {other} "
                "listens"
            )
        if each.master_id == motor.master_id and each.motor.protocol != motor.motor.protocol:
            raise ValueError(
                f"motors: {name} and {other} speak different protocols and both answer on master_id "
                f"{motor.master_id:#x}"
            )
