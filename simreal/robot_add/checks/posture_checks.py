"""The default posture: whether there is one, what it drives into what, and whether servos hold it."""

from collections.abc import Iterator

import mujoco
import numpy as np

from simreal.lint.finding import Finding
from simreal.lint.model_file import written_elements
from simreal.physics.drives import Drive, slides
from simreal.robot_add.overlaps import overlapping_bodies
from simreal.robot_add.posture import depth_in_floor, free_bodies, placed, simple_joints
from simreal.robot_add.subject import Subject

SUNK = 1e-3
"""m."""
SAG = 0.1
"""rad that a servo may give way under the robot's weight."""
SAG_SHARE = 0.05
"""Likewise, of the range of a joint that slides."""
ENDLESS = 2.0
"""m that a slide without ends is taken to go."""


def check_posture(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    yield from _origin(subject)
    yield from _short_keyframes(subject)
    yield from _untouchable(subject)
    if subject.misread:
        return  # the posture is another one when the angles are right
    yield from _out_of_range(subject)
    yield from _sunk(subject)
    yield from _overlaps(subject)
    yield from _sagging(subject)


def _origin(subject: Subject) -> Iterator[Finding]:
    bodies = free_bodies(subject.model)
    if len(bodies) > 1:
        names = ", ".join(subject.model.body(body).name or str(body) for body in bodies)
        what = f"several robots on bases of their own: {names}; the first base is taken for the robot's"
        mend = "give the robot's own file, without the objects of a scene"
        yield Finding("warning", "base", subject.where("body", bodies[1]), what, mend)
    if subject.posture and not subject.model.nkey and bodies:
        what = f"no keyframe for its stance; the default posture is {subject.posture}"
        mend = '<keyframe><key name="home" qpos="..."/></keyframe>, or default_position in robot.yaml'
        yield Finding("warning", "posture", str(subject.file.path), what, mend)


def _short_keyframes(subject: Subject) -> Iterator[Finding]:
    """MuJoCo fills up what is missing: of a keyframe from before a joint came, all is shifted."""
    model = subject.model
    sizes = {"qpos": model.nq, "qvel": model.nv, "ctrl": model.nu, "act": model.na}
    for each in written_elements(subject.file.path):
        if each.kind != "key":
            continue
        for attribute, size in sizes.items():
            given = len(each.attributes.get(attribute, "").split())
            if attribute in each.attributes and given != size:
                name = each.attributes.get("name", "")
                what = f"keyframe {name} has {given} numbers of {attribute}, the model {size}"
                mend = "one for each, in the model's order: MuJoCo takes the rest from its own"
                yield Finding("warning", "posture", each.where, what, mend)


def _untouchable(subject: Subject) -> Iterator[Finding]:
    """A robot on its feet that nothing can touch falls for ever."""
    model, bodies = subject.model, free_bodies(subject.model)
    carried = np.isin(model.body_rootid[model.geom_bodyid], bodies)
    if bodies and not ((model.geom_contype | model.geom_conaffinity)[carried] != 0).any():
        what = "no shape of it can touch anything: it falls through the ground"
        mend = 'contype="1" on the shapes of feet and trunk, or shapes for them'
        yield Finding("error", "contact", subject.where("body", bodies[0]), what, mend)


def _out_of_range(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    for joint in simple_joints(model):
        value, (low, high) = subject.qpos[model.jnt_qposadr[joint]], model.jnt_range[joint]
        if model.jnt_limited[joint] and not low - 1e-6 <= value <= high + 1e-6:
            label = subject.label("joint", joint)
            what = f"{label} stands at {value:.4g}, outside of {low:.4g} to {high:.4g}"
            mend = "a default posture within the ranges; the copy has the nearest end"
            yield Finding("warning", "posture", subject.where("joint", joint), what, mend)


def _sunk(subject: Subject) -> Iterator[Finding]:
    """A keyframe that stands in the floor is thrown out of it by the first step."""
    if not free_bodies(subject.model):
        return
    depth = depth_in_floor(subject.model, placed(subject.model, subject.qpos))
    if subject.posture.startswith("keyframe") and depth > SUNK:
        what = f"{subject.posture} sinks {1e3 * depth:.3g} mm into the floor"
        mend = f"raise the base by {depth:.4g} m, as the copy does"
        yield Finding("warning", "posture", str(subject.file.path), what, mend)


def _overlaps(subject: Subject) -> Iterator[Finding]:
    for pair, depth in overlapping_bodies(subject.model, subject.qpos):
        names = [subject.model.body(body).name or str(body) for body in pair]
        what = f"bodies {names[0]} and {names[1]} overlap by {1e3 * depth:.3g} mm in the default posture"
        mend = f'<exclude body1="{names[0]}" body2="{names[1]}"/>, as the copy has, or smaller shapes'
        yield Finding("warning", "overlap", subject.where("body", pair[1]), what, mend)


def _sagging(subject: Subject) -> Iterator[Finding]:
    """Servos too soft for the weight that they hold, of a robot whose base is fixed."""
    model = subject.model
    servos = [each for each in subject.drives if each.command == "position"]
    if not servos or free_bodies(model):
        return
    torque = placed(model, subject.qpos).qfrc_bias
    for servo in servos:
        load = abs(float(torque[model.jnt_dofadr[servo.joint]]))
        allowed = _allowed_sag(model, servo.joint)
        if load > allowed * servo.stiffness:
            yield _too_soft(subject, servo, load, allowed)


def _allowed_sag(model: mujoco.MjModel, joint: int) -> float:
    """In rad or m."""
    if not slides(model, joint):
        return SAG
    low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (0.0, ENDLESS)
    return SAG_SHARE * float(high - low)


def _too_soft(subject: Subject, servo: Drive, load: float, allowed: float) -> Finding:
    unit = "m" if slides(subject.model, servo.joint) else "rad"
    what = (
        f"{subject.label('actuator', servo.index)} sags {load / servo.stiffness:.2g} {unit} under the "
        f"robot's own weight in the default posture: stiffness {servo.stiffness:.3g}, load {load:.3g}"
    )
    mend = f"a stiffness above {np.ceil(load / allowed):g}, if the machine does not sag so"
    return Finding("warning", "servo", subject.where("actuator", servo.index), what, mend)
