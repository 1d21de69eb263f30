"""What an actuator of a model is to a policy: a position servo, an effort, or nothing it can command."""

from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np

Command = Literal["position", "effort"]


@dataclass(frozen=True, slots=True)
class Drive:
    """An actuator whose torque (force, along a slide) follows from a command c in rad, m, N·m or N.

    Position: ``stiffness * (c - q) - damping * v``. Effort: ``c - damping * v``. MuJoCo's own command
    is ``(c - offset) / scale``.

    Attributes:
        index: of the actuator in the model.
        name: likewise.
        joint: index of the joint that it drives.
        command: what c is.
        stiffness: N·m/rad or N/m; 0 for an effort.
        damping: N·m·s/rad or N·s/m.
        scale: c per MuJoCo's command.
        offset: c at MuJoCo's command 0.
        gear: torque per force of the actuator.
    """

    index: int
    name: str
    joint: int
    command: Command
    stiffness: float
    damping: float
    scale: float
    offset: float
    gear: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """An actuator that no policy here can command.

    Attributes:
        index: of the actuator in the model.
        name: likewise.
        reason: why.
    """

    index: int
    name: str
    reason: str


def read_drives(model: mujoco.MjModel) -> tuple[list[Drive], list[Foreign]]:
    """Sort a model's actuators into those that a policy can command, and the others."""
    drives: list[Drive] = []
    others: list[Foreign] = []
    for index in range(model.nu):
        name, reason = model.actuator(index).name, _why_foreign(model, index)
        if reason is None:
            drives.append(_drive(model, index, name))
        else:
            others.append(Foreign(index, name, reason))
    return drives, others


def on_joint(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether an actuator acts on a joint."""
    transmission = mujoco.mjtTrn(int(model.actuator_trntype[actuator]))
    return transmission in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)


def slides(model: mujoco.MjModel, joint: int) -> bool:
    """Whether a joint is a slide."""
    return bool(model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE)


def turns_or_slides(model: mujoco.MjModel, joint: int) -> bool:
    """Whether a joint is a hinge or a slide."""
    kind = mujoco.mjtJoint(int(model.jnt_type[joint]))
    return kind in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)


def _why_foreign(model: mujoco.MjModel, index: int) -> str | None:
    if not on_joint(model, index):
        transmission = mujoco.mjtTrn(int(model.actuator_trntype[index]))
        return f"it acts on a {transmission.name.removeprefix('mjTRN_').lower()}, not on a joint"
    if not turns_or_slides(model, int(model.actuator_trnid[index, 0])):
        return "its joint is no hinge or slide"
    dynamics = mujoco.mjtDyn(int(model.actuator_dyntype[index]))
    if dynamics not in (
        mujoco.mjtDyn.mjDYN_NONE,
        mujoco.mjtDyn.mjDYN_FILTER,
        mujoco.mjtDyn.mjDYN_FILTEREXACT,
    ):
        return f"its command goes through {dynamics.name.removeprefix('mjDYN_').lower()} dynamics"
    bias = mujoco.mjtBias(int(model.actuator_biastype[index]))
    if model.actuator_gaintype[index] != mujoco.mjtGain.mjGAIN_FIXED or bias not in (
        mujoco.mjtBias.mjBIAS_NONE,
        mujoco.mjtBias.mjBIAS_AFFINE,
    ):
        return "its force is no linear function of command, position and velocity"
    return _why_not_linear_drive(model, index)


def _why_not_linear_drive(model: mujoco.MjModel, index: int) -> str | None:
    gain, (_, position, velocity) = model.actuator_gainprm[index, 0], _bias(model, index)
    if gain == 0.0 or model.actuator_gear[index, 0] == 0.0:
        return "its command has no effect"
    if position > 0.0 or velocity > 0.0:
        return "its force grows with position or velocity"
    if position == 0.0 and velocity != 0.0 and np.isclose(velocity, -gain):
        return "it is a velocity servo; a policy here commands positions or efforts"
    return None


def _bias(model: mujoco.MjModel, index: int) -> tuple[float, float, float]:
    if model.actuator_biastype[index] == mujoco.mjtBias.mjBIAS_NONE:
        return 0.0, 0.0, 0.0
    constant, position, velocity = map(float, model.actuator_biasprm[index, :3])
    return constant, position, velocity


def _drive(model: mujoco.MjModel, index: int, name: str) -> Drive:
    """MuJoCo's force is ``gain * u + b0 + b1 * length + b2 * speed``, of the joint's times the gear.

    The torque is the gear times that (chapter "Actuation model" of its documentation).
    """
    gain, gear = float(model.actuator_gainprm[index, 0]), float(model.actuator_gear[index, 0])
    constant, position, velocity = _bias(model, index)
    stiffness, damping = -position * gear**2, -velocity * gear**2
    if stiffness < mujoco.mjMINVAL:  # none that could be divided by
        stiffness = 0.0
    unit = stiffness or 1.0
    return Drive(
        index=index,
        name=name,
        joint=int(model.actuator_trnid[index, 0]),
        command="position" if stiffness else "effort",
        stiffness=stiffness,
        damping=damping,
        scale=gear * gain / unit,
        offset=gear * constant / unit,
        gear=gear,
    )


def is_undamped(model: mujoco.MjModel, drive: Drive) -> bool:
    """Whether nothing takes energy out of a position servo's swing: neither servo nor joint."""
    dof = model.jnt_dofadr[drive.joint]
    lost = drive.damping + model.dof_damping[dof] + model.dof_frictionloss[dof]
    return drive.command == "position" and bool(lost < mujoco.mjMINVAL)


def command_range(model: mujoco.MjModel, drive: Drive) -> tuple[float, float] | None:
    """Bounds of c, or None where the model has none."""
    if not model.actuator_ctrllimited[drive.index]:
        return None
    low, high = sorted(drive.scale * model.actuator_ctrlrange[drive.index] + drive.offset)
    return float(low), float(high)


def effort_limit(model: mujoco.MjModel, drive: Drive) -> float | None:
    """The largest torque or force on the joint, N·m or N, or None where the model has no bound."""
    bounds = []
    if model.actuator_forcelimited[drive.index]:
        bounds.append(abs(drive.gear) * float(np.abs(model.actuator_forcerange[drive.index]).max()))
    if model.jnt_actfrclimited[drive.joint]:
        bounds.append(float(np.abs(model.jnt_actfrcrange[drive.joint]).max()))
    reached = command_range(model, drive)
    if drive.command == "effort" and reached is not None:
        bounds.append(max(map(abs, reached)))
    return min(bounds, default=None)
