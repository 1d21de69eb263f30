"""Writes what a model says as the `robot.yaml` that policies and supervisors read."""

import json
import re
from collections.abc import Mapping

import mujoco
import yaml

from simreal.physics.contradictions import COMMAND_UNITS
from simreal.physics.drives import Drive, command_range, read_drives, slides
from simreal.robot_add.checks.limit_checks import FASTEST, credible
from simreal.robot_add.posture import simple_joints
from simreal.robot_add.safety import Safety, rounded
from simreal.robot_add.urdf import JointLimits

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./·-]*")


def robot_yaml(
    name: str,
    model: mujoco.MjModel,
    default_position: Mapping[str, float],
    limits: Mapping[str, JointLimits],
    imu: Mapping[str, str] | None,
    safety: Safety,
) -> str:
    """The text of a `robot.yaml`.

    Args:
        name: of the robot.
        model: as compiled from its folder; its actuators take rad, m, N·m or N.
        default_position: joint name to rad or m.
        limits: joint name to its drive's limits, where a URDF says them.
        imu: the three quantities to the names of their sensors, if there are any.
        safety: its bounds on the real machine.
    """
    lines = [f"# Written by `simreal robot add`; README.md says from what. {name} is yours: edit it."]
    lines += ["description:", f"  name: {name}", "  joints:"]
    lines += [f"    - {_joint(model, each, default_position, limits)}" for each in simple_joints(model)]
    lines += ["  actuators:", *(f"    - {_actuator(model, each)}" for each in read_drives(model)[0])]
    if imu is not None:
        lines += ["  imu: true", "", "sensing:", "  imu:"]
        lines += [f"    {quantity}: {scalar(sensor)}" for quantity, sensor in imu.items()]
    lines += ["", "safety:", *safety.lines(scalar), ""]
    return "\n".join(lines)


def _flow(**values: str | float) -> str:
    """A mapping on one line; numbers so that they read back to the same bits."""
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in values.items()) + "}"


def scalar(value: str | float) -> str:
    """Joints are called ``8``, ``on`` or ``hip: left``, too: what is no plain word is quoted."""
    if not isinstance(value, str):
        return repr(value)
    plain = PLAIN.fullmatch(value) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _joint(
    model: mujoco.MjModel, joint: int, default: Mapping[str, float], limits: Mapping[str, JointLimits]
) -> str:
    name = model.joint(joint).name
    values: dict[str, str | float] = {
        "name": name,
        "unit": COMMAND_UNITS["position", slides(model, joint)],
    }
    if model.jnt_limited[joint]:
        low, high = model.jnt_range[joint]
        values |= {"lower": rounded(low), "upper": rounded(high)}
    speed = _speed(name, limits)
    values |= {} if speed is None else {"velocity_limit": speed}
    if default[name]:
        values["default_position"] = rounded(default[name])
    return _flow(**values)


def _speed(name: str, limits: Mapping[str, JointLimits]) -> float | None:
    return credible(limits[name].velocity, FASTEST) if name in limits else None


def _actuator(model: mujoco.MjModel, drive: Drive) -> str:
    commands = command_range(model, drive)
    assert commands is not None, "every command has a range by now"
    values: dict[str, str | float] = {
        "name": drive.name,
        "joint": model.joint(drive.joint).name,
        "command": drive.command,
        "unit": COMMAND_UNITS[drive.command, slides(model, drive.joint)],
        "lower": rounded(commands[0]),
        "upper": rounded(commands[1]),
    }
    if drive.command == "position":
        values |= {"stiffness": rounded(drive.stiffness), "damping": rounded(max(drive.damping, 0.0))}
    return _flow(**values)
