"""The `safety` section of a robot that was added: the bounds that its model tells, and no others."""

from collections.abc import Callable, Iterator, Mapping

import mujoco

from simreal.physics.drives import effort_limit, read_drives
from simreal.robot_add.checks.limit_checks import FASTEST, STRONGEST, credible
from simreal.robot_add.posture import simple_joints
from simreal.robot_add.speeds import fastest_speeds
from simreal.robot_add.urdf import JointLimits
from simreal.robots.safety import SafetyConfig

STOPS_GIVE = 0.02
"""Share of a joint's range by which it may pass its stops before that is a fault."""
NOISY = 1.2
"""Reported over true velocity, before that is a fault."""
QUICKER = 2.0
"""Fastest command over the fastest that its joint follows, as `robots/go2` and `robots/so101` have."""
OF_AN_IMU = ("angular_velocity", "tilt")
"""Checks that a robot without an IMU cannot have."""

Written = Callable[[str], str]


class Safety:
    """Bounds on the real machine.

    Attributes:
        positions: joint to lower and upper bound, rad or m.
        speeds: joint to what it can reach, rad/s or m/s, without a margin.
        efforts: position servo to the most that it can give, N·m or N.
        rates: position servo to the fastest change of its command, rad/s or m/s.
        stated: whether somebody states the speeds; else they follow from the drives.
        imu: whether there is one.
    """

    def __init__(
        self, model: mujoco.MjModel, limits: Mapping[str, JointLimits], estimated: bool, imu: bool
    ) -> None:
        """Gather what a model tells.

        Args:
            model: as compiled from the robot's folder.
            limits: joint name to its drive's limits, where a URDF says them.
            estimated: whether the gains of its servos are a guess, from which no speed follows.
            imu: whether it has one.
        """
        joints = {model.joint(joint).name: joint for joint in simple_joints(model)}
        self.positions = {
            name: _with_give(*map(float, model.jnt_range[joint]))
            for name, joint in joints.items()
            if model.jnt_limited[joint]
        }
        self.stated, self.imu = estimated, imu
        if estimated:
            found = {name: credible(limits[name].velocity, FASTEST) for name in joints if name in limits}
        else:
            found = {name: credible(speed, FASTEST) for name, speed in fastest_speeds(model).items()}
        self.speeds = {name: speed for name, speed in found.items() if speed is not None}
        servos = [each for each in read_drives(model)[0] if each.command == "position"]
        joint_of = {each.name: model.joint(each.joint).name for each in servos}
        self.rates = {
            name: QUICKER * self.speeds[joint]
            for name, joint in joint_of.items()
            if joint in self.speeds
        }
        given = {each.name: effort_limit(model, each) for each in servos}
        if estimated:  # the copy's own limits are estimates, too, where nobody states one
            given = {
                name: credible(limits[joint].effort, STRONGEST) if joint in limits else None
                for name, joint in joint_of.items()
            }
        self.efforts = {name: effort for name, effort in given.items() if effort is not None}

    def notes(self) -> Iterator[str]:
        """What was settled, for people."""
        whence = "its limit" if self.stated else "what its drive, gravity and damping can bring it to"
        if self.speeds:
            yield f"safety.joint_velocity: {NOISY:g} times {whence}: {_listed(self.speeds)}"
        if self.rates:
            yield f"safety.command_rate: {QUICKER:g} times that speed"
        if self.efforts:
            yield f"safety.command_effort: the servo's limit: {_listed(self.efforts)}"
        yield (
            f"safety does without {', '.join(self._lacking())}: the model does not tell them; "
            "docs/robot_yaml.md"
        )

    def _lacking(self) -> Iterator[str]:
        """Keys of checks that are not made unless somebody gives their bounds."""
        told = {
            "joint_position": self.positions,
            "joint_velocity": self.speeds,
            "command_rate": self.rates,
            "command_effort": self.efforts,
        }
        for key, field in SafetyConfig.model_fields.items():
            optional = field.default is None or (field.default == {} and key != "reactions")
            if optional and not told.get(key) and (self.imu or key not in OF_AN_IMU):
                yield key

    def lines(self, written: Written) -> Iterator[str]:
        """Of a `robot.yaml`, below ``safety:``.

        Args:
            written: a name as YAML has it.
        """
        if self.positions:
            yield "  joint_position:                 # rad or m; the ends of travel, which give a little"
        for name, (low, high) in self.positions.items():
            yield f"    {written(name)}: [{rounded(low)!r}, {rounded(high)!r}]"
        for key, comment, values, factor in (
            ("joint_velocity", "rad/s or m/s; with a margin for noise", self.speeds, NOISY),
            ("command_rate", "rad/s or m/s; twice what the joint can follow", self.rates, 1.0),
            ("command_effort", "N·m or N; the servo's limit", self.efforts, 1.0),
        ):
            if values:
                yield f"  {key + ':':<31} # {comment}"
            for name, value in values.items():
                yield f"    {written(name)}: {rounded(float(f'{factor * value:.4g}'))!r}"
        yield "  stale_state_ms: 100"
        yield "  watchdog_ms: 100                # without a command for so long, the robot goes passive"


def _with_give(low: float, high: float) -> tuple[float, float]:
    give = STOPS_GIVE * (high - low)
    return low - give, high + give


def rounded(value: float) -> float:
    """Rounded to what the model's file itself keeps, without the sign of a zero."""
    return float(f"{value:.9g}") + 0.0


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())
