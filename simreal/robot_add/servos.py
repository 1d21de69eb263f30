"""Position servos for a model without actuators, with gains from what its drives and links say.

A URDF has an effort limit and no gains. A servo here gives its whole effort at an error of
`FULL_EFFORT_AT`, about as soft as the servos of small arms and of walking robots are set
(`robots/so101`: 0.36 rad, `robots/go2`: 0.6 to 1.2 rad). Along a slide that is a small share of its
travel, however long: what hangs on a lift must not take its travel away. A URDF has no rotor
either, whose inertia, times the square of the gear ratio, is most of what a geared joint moves: the
joint gets as much armature as keeps the servo's own frequency at `FASTEST_SERVO` or below. The
damping is critical at that inertia, with what the joint has of its own.
"""

import math
from collections.abc import Iterator, Mapping

import mujoco
import numpy as np

from simreal.physics.joint_inertia import joint_inertia
from simreal.robot_add.checks.limit_checks import STRONGEST, credible
from simreal.robot_add.mechanics import MARGIN, estimated_effort
from simreal.robot_add.posture import default_posture, simple_joints
from simreal.robot_add.urdf import JointLimits

FULL_EFFORT_AT = 0.5
"""rad"""
FULL_EFFORT_SHARE = 0.05
"""Likewise, of a slide's range."""
FASTEST_SERVO = 10.0
"""Hz."""


def add_servos(
    spec: mujoco.MjSpec,
    model: mujoco.MjModel,
    limits: Mapping[str, JointLimits],
    mimics: tuple[str, ...],
) -> Iterator[str]:
    """Give each joint of a model a position servo, but for those that follow another joint.

    Args:
        spec: is changed; its joints have names.
        model: compiled from it before.
        limits: joint name to its drive's limits, where they are known.
        mimics: joints that follow another one.

    Yields:
        What was added, for people.
    """
    inertia = joint_inertia(model, default_posture(model).qpos)
    estimate = estimated_effort(model)
    elements = {element.id: element for element in spec.joints}
    for joint in simple_joints(model):
        element = elements[joint]
        if element.name in mimics:
            continue
        effort = credible(limits.get(element.name, JointLimits(None, None)).effort, STRONGEST)
        source = "its limit"
        if effort is None:
            effort = float(estimate[joint])
            source = f"estimated, {MARGIN:g} times what gravity asks or more"
        yield _add_servo(spec, model, element, effort, source, float(inertia[joint]))


def _add_servo(
    spec: mujoco.MjSpec,
    model: mujoco.MjModel,
    element: mujoco.MjsJoint,
    effort: float,
    source: str,
    inertia: float,
) -> str:
    low, high = _range(model, element)
    slides = element.type == mujoco.mjtJoint.mjJNT_SLIDE
    stiffness = effort / (FULL_EFFORT_SHARE * (high - low) if slides else FULL_EFFORT_AT)
    fastest = 2.0 * math.pi * FASTEST_SERVO
    armature = max(0.0, stiffness / fastest**2 - inertia)
    own = float(model.dof_damping[model.jnt_dofadr[element.id]])
    damping = max(0.0, 2.0 * math.sqrt(stiffness * (inertia + armature)) - own)
    element.armature += armature
    element.actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE
    servo = spec.add_actuator(name=element.name, target=element.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.gaintype, servo.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    servo.gainprm[:3], servo.biasprm[:3] = [stiffness, 0, 0], [0, -stiffness, -damping]
    servo.ctrllimited = servo.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    servo.ctrlrange, servo.forcerange = (low, high), (-effort, effort)
    unit = ("N/m", "N·s/m", "N", "kg") if slides else ("N·m/rad", "N·m·s/rad", "N·m", "kg·m²")
    return (
        f"joint {element.name}: a position servo of {stiffness:.3g} {unit[0]}, {damping:.3g} {unit[1]}"
        f"{f' beside {own:.3g} of the joint' if own else ''}, "
        f"effort {effort:.3g} {unit[2]} ({source}), armature {armature:.2g} {unit[3]}"
    )


def _range(model: mujoco.MjModel, element: mujoco.MjsJoint) -> tuple[float, float]:
    if model.jnt_limited[element.id]:
        low, high = map(float, model.jnt_range[element.id])
        return low, high
    return (-1.0, 1.0) if element.type == mujoco.mjtJoint.mjJNT_SLIDE else (-np.pi, np.pi)
