"""How fast a model's own drives can move its joints, for a bound of speed where nobody states one."""

import math
from collections.abc import Iterator

import mujoco

from simreal.physics.drives import Drive, command_range, effort_limit, read_drives
from simreal.physics.joint_inertia import joint_inertia
from simreal.robot_add.mechanics import holding_effort


def fastest_speeds(model: mujoco.MjModel) -> dict[str, float]:
    """Joint name to the speed, rad/s or m/s, beyond which its drive cannot bring it, if that is known.

    A drive and gravity accelerate until damping eats what they give, and no longer than to the end of
    travel: the slower of the two is the bound. Motion of other joints is left aside.

    Args:
        model: with commands in rad, m, N·m or N, gravity as where the robot works.
    """
    gravity, inertia = holding_effort(model), joint_inertia(model, model.qpos0)
    speeds: dict[str, float] = {}
    for drive in read_drives(model)[0]:
        load, moved = float(gravity[drive.joint]), float(inertia[drive.joint])
        found = min(_bounds(model, drive, load, moved), default=None)
        if found is not None:
            speeds[model.joint(drive.joint).name] = found
    return speeds


def _bounds(model: mujoco.MjModel, drive: Drive, gravity: float, inertia: float) -> Iterator[float]:
    """Each by itself."""
    commands, effort = command_range(model, drive), effort_limit(model, drive)
    passive = float(model.dof_damping[model.jnt_dofadr[drive.joint]])
    if drive.command == "effort":
        if effort is not None and passive + drive.damping > 0.0:
            yield (effort + gravity) / (passive + drive.damping)
    elif commands is not None and passive + drive.damping > 0.0:
        farthest = drive.stiffness * (commands[1] - commands[0])
        yield (farthest + gravity) / (passive + drive.damping)
    if drive.command == "position" and effort is not None and passive > 0.0:
        yield (effort + gravity) / passive
    if effort is not None and model.jnt_limited[drive.joint]:
        low, high = model.jnt_range[drive.joint]
        yield math.sqrt(2.0 * (effort + gravity) * (high - low) / inertia)
