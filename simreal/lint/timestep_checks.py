"""Physics steps too long for a servo, by its stiffness or its damping, and what chatters besides."""

import copy
from collections.abc import Iterator

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.lint.chatter import chattering_joints
from simreal.lint.finding import Finding, Severity
from simreal.lint.model_file import ModelFile
from simreal.physics.drives import Drive, read_drives
from simreal.physics.joint_inertia import joint_inertia
from simreal.physics.servo_step import ServoStep, servo_step

LARGEST_PHASE = 0.8
"""rad that a servo's own oscillation may turn in one step; at 0.8 its frequency is 3 % off."""
LARGEST_BRAKING = 1.0
"""Share of a joint's speed that damping may take from it in one step: beyond, the speed is reversed."""


def check_timestep(
    file: ModelFile, model: mujoco.MjModel, qpos: NDArray[np.float64]
) -> Iterator[Finding]:
    """All of them.

    Args:
        file: says where what stands.
        model: compiled from it.
        qpos: (nq,) the default posture.
    """
    drives, _ = read_drives(model)
    inertia = joint_inertia(model, qpos)
    if not np.isfinite([inertia[drive.joint] for drive in drives]).all():
        return  # another check has told that masses are no numbers
    told = set()
    for drive in drives:
        servo = servo_step(model, drive, float(inertia[drive.joint]))
        for finding in (*_too_stiff(file, drive, servo), *_too_damped(file, drive, servo)):
            told.add(drive.joint)
            yield finding
    if not told:
        yield from _chatter(file, model, qpos, drives)


def _label(drive: Drive) -> str:
    return f"actuator {drive.name or drive.index}"


def _where(file: ModelFile, drive: Drive) -> str:
    return file.where(next(each for each in file.spec.actuators if each.id == drive.index))


def _too_stiff(file: ModelFile, drive: Drive, servo: ServoStep) -> Iterator[Finding]:
    """Servos whose natural frequency is too high: sqrt(stiffness / inertia) times the timestep."""
    phase = float(np.sqrt(servo.stiffness / servo.inertia)) * servo.timestep
    if phase <= LARGEST_PHASE:
        return
    what = (
        f"{_label(drive)}: stiffness {servo.stiffness:.4g} on an inertia of {servo.inertia:.3g} "
        f"swings {phase:.2g} rad in a step of {1e3 * servo.timestep:g} ms"
    )
    fitting = LARGEST_PHASE / phase * servo.timestep
    lacking = servo.stiffness * (servo.timestep / LARGEST_PHASE) ** 2 - servo.inertia
    mend = (
        f"armature of {lacking:.2g} more (the rotor's inertia times the gear ratio squared), or a "
        f"timestep of {1e3 * fitting:.2g} ms"
    )
    severity: Severity = "error" if phase > 2.0 else "warning"
    yield Finding(severity, "timestep", _where(file, drive), what, mend)


def _too_damped(file: ModelFile, drive: Drive, servo: ServoStep) -> Iterator[Finding]:
    """Servos whose damping is taken at the beginning of a step, and too large for that."""
    if servo.braking <= LARGEST_BRAKING:
        return
    grows = servo.diverges
    what = (
        f"{_label(drive)}: its damping of {servo.damping:.4g} on an inertia of {servo.inertia:.3g} "
        f"takes {servo.braking:.2g} times the joint's speed from it in a step of "
        f"{1e3 * servo.timestep:g} ms, "
        + ("so that it swings for ever" if grows else "so that it is reversed in each")
    )
    severity: Severity = "error" if grows else "warning"
    yield Finding(severity, "timestep", _where(file, drive), what, _less_damping(drive, servo))


def _less_damping(drive: Drive, servo: ServoStep) -> str:
    """What mends it: an integrator that bears it, else less of it."""
    most = LARGEST_BRAKING * servo.met / servo.timestep - servo.joint_damping
    less = f"a timestep of {1e3 * servo.timestep / servo.braking:.2g} ms"
    if most > 0.0:
        less = f'kv="{most / drive.gear**2:.2g}" at most, or {less}'
    implicit = servo.stepped_by(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    if implicit.diverges:
        return less
    taken = "takes damping at the end of a step"
    return f'<option integrator="implicitfast"/>, which {taken}; or {less}'


def _chatter(
    file: ModelFile, model: mujoco.MjModel, qpos: NDArray[np.float64], drives: list[Drive]
) -> Iterator[Finding]:
    """What no servo by itself explains: servos that shake each other, tendons, springs, contacts."""
    shaking = chattering_joints(model, qpos, drives)
    if not shaking:
        return
    names = {joint: model.joint(joint).name or str(joint) for joint in shaking}
    listed = ", ".join(f"{names[joint]} by {jump:.2g}" for joint, jump in shaking.items())
    what = (
        f"held in its default posture for a second, speeds jump up and down in every step of "
        f"{1e3 * model.opt.timestep:g} ms (rad/s or m/s): {listed}"
    )
    mend = (
        "a shorter timestep, more armature, or less stiffness and damping of what acts on these joints"
    )
    implicit = copy.copy(model)
    implicit.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    if not chattering_joints(implicit, qpos, drives):
        mend = f'<option integrator="implicitfast"/>, which ends it; or {mend}'
    first = next(each for each in file.spec.joints if each.id == next(iter(shaking)))
    yield Finding("warning", "timestep", file.where(first), what, mend)
