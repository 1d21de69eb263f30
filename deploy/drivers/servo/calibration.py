"""What makes counts of a servo's encoder angles of a joint, and by what one knows this robot again."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import yaml
from pydantic import Field, model_validator

from simreal.config import Config, parse, read_document
from simreal.contract import RobotDescription
from simreal.errors import UserError, nearest
from simreal.files import write_text
from simreal.state import FloatArray

COUNTS = 4096
"""In a turn, of every servo here."""
STEP = 2 * math.pi / COUNTS
"""rad"""
FIRST_ID, LAST_ID = 1, 252
Count = Annotated[int, Field(ge=0, lt=COUNTS)]


class JointCalibration(Config):
    """One servo, as it was found, and how it sits in its joint."""

    id: int = Field(ge=0, le=LAST_ID)
    """On the bus."""
    model: int = Field(ge=0)
    """Number by which the servo says what it is."""
    firmware: str
    """Its version."""
    homing_offset: int
    """Counts, in the servo's own memory: it differs from servo to servo, which tells them apart."""
    lowest: Count
    """Least position, which the servo refuses to leave; in its memory, too."""
    highest: Count
    """Largest position, likewise."""
    zero: float
    """Count at which the joint stands at 0 rad."""
    direction: Literal[-1, 1] = 1
    """Whether counts grow (1) or fall with the joint's angle."""
    gains: tuple[int, int, int] | None = None
    """P, I and D of the position loop, in the servo's unit; what the driver takes as usual if absent."""
    torque: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the full duty that the motor may use at most."""

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest}) must be below highest ({self.highest})")
        return self

    def radians(self, count: int) -> float:
        """Angle of the joint at a count."""
        return self.direction * (count - self.zero) * STEP


class Calibration(Config):
    """A robot's servos."""

    robot: str
    """Name of the robot."""
    protocol: Literal["feetech", "dynamixel"]
    """That its servos speak."""
    joints: dict[str, JointCalibration] = Field(min_length=1)
    """By name."""

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [each.id for each in self.joints.values()]
        for name, each in self.joints.items():
            if ids.count(each.id) > 1:
                raise ValueError(f"joints.{name}: id {each.id} stands twice")
        return self


def refuse_other_drives(robot: RobotDescription) -> None:
    """Raise a `UserError` if a robot is not one of position servos alone, in the order of its joints.

    Nor may a joint slide: a count is an angle, and nothing here knows what turns it into metres.
    """
    driven = [each.joint for each in robot.actuators if each.command == "position"]
    if driven != list(robot.joint_names) or robot.imu:
        raise UserError(f"{robot.name} is not a robot of position servos alone, one for each joint")
    sliding = [each.name for each in robot.joints if each.unit == "m"]
    if sliding:
        raise UserError(f"robot {robot.name}: joint {', '.join(sliding)} slides; a servo of a bus turns")


def refuse_endless(robot: RobotDescription) -> None:
    """Raise a `UserError` if a joint has no two ends."""
    endless = [each.name for each in robot.joints if each.lower is None or each.upper is None]
    if endless:
        raise UserError(
            f"robot {robot.name}: no lower and upper in robot.yaml for {', '.join(endless)}: a joint is "
            "calibrated by its two ends"
        )


def read_calibration(path: Path, protocol: str, robot: RobotDescription) -> Calibration:
    """Read a file, and hold it against what it shall serve.

    Raises:
        UserError: there is none, it is wrong, or it is of another robot or another kind of bus.
    """
    document = read_document(path)
    calibration = parse(Calibration, document.data, document)
    if calibration.protocol != protocol:
        raise UserError(f"{path}: it is for {calibration.protocol} servos, the driver is {protocol}")
    if calibration.robot != robot.name:
        raise UserError(f"{path}: it is of a {calibration.robot}, the policy is for {robot.name}")
    for name in calibration.joints:
        if name not in robot.joint_names:
            raise UserError(f"{path}: no joint {name!r}: {nearest(name, robot.joint_names)}")
    missing = [name for name in robot.joint_names if name not in calibration.joints]
    if missing:
        raise UserError(f"{path}: joints without a servo: {', '.join(missing)}")
    return calibration


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a file that people can read.

    Raises:
        UserError: it cannot be written.
    """
    text = yaml.safe_dump(calibration.model_dump(mode="json", exclude_none=True), sort_keys=False)
    write_text(
        path, f"# By `simreal calibrate`. Counts of 4096 a turn; docs/drivers_servo_bus.md.\n{text}"
    )


class Conversion:
    """Counts and radians of all joints of a robot, in the order of its description.

    Attributes:
        lowest: (joints,) least counts to which the joints are sent.
        highest: (joints,) largest, likewise.
    """

    def __init__(self, calibration: Calibration, robot: RobotDescription) -> None:
        """Convert for a robot; commands stay within its calibrated range and its actuators' limits."""
        joints = [calibration.joints[name] for name in robot.joint_names]
        self._zero = np.array([each.zero for each in joints])
        self._direction = np.array([float(each.direction) for each in joints])
        # Plain numbers are faster one by one.
        self._zeros = [each.zero for each in joints]
        self._steps = [each.direction * STEP for each in joints]
        ends = np.array(
            [
                self.counts(np.array([getattr(each, end) for each in robot.actuators]))
                for end in ("lower", "upper")
            ]
        )
        own = np.array([[each.lowest for each in joints], [each.highest for each in joints]])
        self.lowest = np.maximum(np.ceil(ends.min(axis=0)), own[0]).astype(np.int64)
        self.highest = np.minimum(np.floor(ends.max(axis=0)), own[1]).astype(np.int64)
        for name, low, high in zip(robot.joint_names, self.lowest, self.highest, strict=True):
            if low >= high:
                raise UserError(f"joint {name}: its calibrated range has nothing of its actuator's")
        self._ends = list(zip(self.lowest.tolist(), self.highest.tolist(), strict=True))

    def counts(self, angle: FloatArray) -> FloatArray:
        """(joints,) counts, not whole, of rad."""
        return self._zero + self._direction * angle / STEP

    def goal(self, angle: Sequence[float]) -> list[int]:
        """Whole counts of rad, within the range in which a joint may be sent."""
        joints = zip(angle, self._zeros, self._steps, self._ends, strict=True)
        return [
            min(max(round(zero + each / step), low), high) for each, zero, step, (low, high) in joints
        ]

    def angle(self, joint: int, count: float) -> float:
        """Angle of a joint in rad at a count."""
        return (count - self._zeros[joint]) * self._steps[joint]

    def speed(self, joint: int, counts_per_second: float) -> float:
        """rad/s of counts per s."""
        return counts_per_second * self._steps[joint]
