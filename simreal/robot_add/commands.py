"""Lets every actuator take its command in rad, m, N·m or N, within a range, and act as before."""

from collections.abc import Callable, Iterator
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.drives import Drive, command_range, effort_limit, read_drives
from simreal.robot_add.mechanics import MARGIN, estimated_effort


def settle_commands(spec: mujoco.MjSpec, model: mujoco.MjModel) -> Iterator[str]:
    """Rewrite the actuators that a policy can command.

    A servo for 0 to 255, or a motor for -1 to 1 behind a gear of 150, becomes one for radians or for
    newton metres with the same torque at every moment: gear, gain and ranges are multiplied out.

    Args:
        spec: is changed.
        model: compiled from it before.

    Yields:
        What was changed, for people.
    """
    elements = {element.id: element for element in spec.actuators}
    estimate = cache(lambda: estimated_effort(model))
    for drive in read_drives(model)[0]:
        commands = command_range(model, drive)
        changed = []
        if commands is None:
            commands, source = _instead(model, drive, estimate)
            changed.append(f"commands from {commands[0]:.4g} to {commands[1]:.4g}, {source}")
        if not np.isclose([drive.scale, drive.offset, drive.gear], [1.0, 0.0, 1.0]).all():
            unit = "rad or m" if drive.command == "position" else "N·m or N"
            changed.append(f"takes {unit}; gear and gain are multiplied out, its torque is the same")
        _write(elements[drive.index], model, drive, commands)
        if changed:
            yield f"actuator {drive.name}: {'; '.join(changed)}"


def _instead(
    model: mujoco.MjModel, drive: Drive, estimate: Callable[[], NDArray[np.float64]]
) -> tuple[tuple[float, float], str]:
    """A range of commands for an actuator that has none, and where it comes from."""
    if drive.command == "position":
        if model.jnt_limited[drive.joint]:
            low, high = map(float, model.jnt_range[drive.joint])
            return (low, high), "the range of its joint"
        return (-np.pi, np.pi), "one turn"
    effort = effort_limit(model, drive)
    if effort is not None:
        return (-effort, effort), "its limit of effort"
    effort = float(estimate()[drive.joint])
    return (-effort, effort), f"estimated: {MARGIN:g} times what gravity asks or more"


def _write(
    element: mujoco.MjsActuator, model: mujoco.MjModel, drive: Drive, commands: tuple[float, float]
) -> None:
    """The same force law with gear 1 and gain 1, or the stiffness."""
    element.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    element.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    element.gear = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    element.gainprm[:3] = [drive.stiffness or 1.0, 0.0, 0.0]
    element.biasprm[:3] = [0.0, -drive.stiffness, -drive.damping]
    element.inheritrange = 0.0
    element.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
    element.ctrlrange = commands
    if model.actuator_forcelimited[drive.index]:
        ends = sorted(drive.gear * model.actuator_forcerange[drive.index])
        element.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        element.forcerange = ends
