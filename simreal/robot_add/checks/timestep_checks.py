"""Physics steps too long for the stiffest servo."""

from collections.abc import Iterator

import numpy as np

from simreal.lint.finding import Finding, Severity
from simreal.robot_add.mechanics import joint_inertia
from simreal.robot_add.subject import Subject

LARGEST_PHASE = 0.8
"""rad that a servo's own oscillation may turn in one step. Semi-implicit Euler, which MuJoCo's
integrators are for forces of position, diverges beyond 2; at 0.8 the frequency is 3 % off."""
DIVERGES = 2.0


def check_timestep(subject: Subject) -> Iterator[Finding]:
    """Servos whose natural frequency is too high: sqrt(stiffness / inertia) times the timestep."""
    timestep = float(subject.model.opt.timestep)
    inertia = joint_inertia(subject.model, subject.qpos)
    for servo in subject.drives:
        phase = float(np.sqrt(servo.stiffness / inertia[servo.joint])) * timestep
        if phase <= LARGEST_PHASE:
            continue
        what = (
            f"{subject.label('actuator', servo.index)}: stiffness {servo.stiffness:.4g} on an inertia "
            f"of {inertia[servo.joint]:.3g} swings {phase:.2g} rad in a step of {1e3 * timestep:g} ms"
        )
        fitting = LARGEST_PHASE / phase * timestep
        lacking = servo.stiffness * (timestep / LARGEST_PHASE) ** 2 - inertia[servo.joint]
        mend = (
            f"armature of {lacking:.2g} more (the rotor's inertia times the gear ratio squared), or a "
        )
        mend += f"timestep of {1e3 * fitting:.2g} ms"
        severity: Severity = "error" if phase > DIVERGES else "warning"
        yield Finding(severity, "timestep", subject.where("actuator", servo.index), what, mend)
