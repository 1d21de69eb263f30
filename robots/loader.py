"""Finds a robot's folder and reads what stands in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from simreal.config import Config, parse, read_document
from simreal.contract import RobotDescription
from simreal.errors import UserError, nearest

ROBOTS = Path(__file__).parent


class SensingConfig(Config):
    """What the robot's own electronics do to its joint measurements."""

    encoder_resolution: float = Field(default=0.0, ge=0)
    """rad or m per count; 0 for a continuous reading."""
    velocity_filter: float | None = Field(default=None, gt=0)
    """rad/s, corner w of a derivative filter w s / (s + w) on the position; absent for a direct
    velocity reading."""


class SafetyConfig(Config):
    """Bounds that the supervisor enforces on the real machine."""

    joint_position: dict[str, tuple[float, float]] = {}
    """Joint name to lower and upper bound, rad or m."""
    joint_velocity: dict[str, float] = {}
    """Joint name to the largest speed, rad/s or m/s."""
    stale_state_ms: float = Field(default=100.0, gt=0)
    """A state older than this is a fault."""
    watchdog_ms: float = Field(default=100.0, gt=0)
    """Without a command for this long, the robot itself goes passive."""


class RobotConfig(Config):
    """The content of a `robot.yaml`."""

    description: RobotDescription
    sensing: SensingConfig = SensingConfig()
    safety: SafetyConfig = SafetyConfig()

    @model_validator(mode="after")
    def _safety_names_joints(self) -> Self:
        joints = self.description.joint_names
        for name in (*self.safety.joint_position, *self.safety.joint_velocity):
            if name not in joints:
                raise ValueError(f"safety: no joint {name!r}: {nearest(name, joints)}")
        return self


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot as its folder describes it."""

    config: RobotConfig
    model_path: Path

    @property
    def name(self) -> str:
        """The robot's name, which is its folder's."""
        return self.config.description.name

    @property
    def description(self) -> RobotDescription:
        """Joints and actuators."""
        return self.config.description


def robot_names() -> list[str]:
    """Names of the robots that are installed."""
    return sorted(path.parent.name for path in ROBOTS.glob("*/robot.yaml"))


def load_robot(name: str) -> Robot:
    """Read a robot.

    Raises:
        UserError: no robot of that name, or a fault in its `robot.yaml`.
    """
    if name not in robot_names():
        raise UserError(f"no robot {name!r}: {nearest(name, robot_names())}")
    document = read_document(ROBOTS / name / "robot.yaml")
    config = parse(RobotConfig, document.data, document)
    if config.description.name != name:
        where = document.where(("description", "name"))
        raise UserError(f"{where}: name {config.description.name!r} must be its folder's, {name!r}")
    return Robot(config, ROBOTS / name / "model.xml")
