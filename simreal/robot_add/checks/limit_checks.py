"""Limits that are missing, or that somebody put there because a file format asked for a number."""

from collections.abc import Iterator

import mujoco

from simreal.lint.finding import Finding
from simreal.physics.drives import effort_limit
from simreal.robot_add.posture import simple_joints
from simreal.robot_add.subject import Subject

FASTEST = 200.0
"""rad/s or m/s, of a joint behind a gear; ten times what the joints of walking robots reach."""
STRONGEST = 5_000.0
"""N·m or N. The joints of excavators are stronger, and they are not driven by a policy of this size."""
ALIKE = 3
"""So many joints with one number for everything are none that somebody measured."""


def credible(limit: float | None, most: float) -> float | None:
    """A limit that a motor may have; None for none, and for a placeholder, such as NaN."""
    return limit if limit is not None and 0.0 < limit <= most else None


def check_limits(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    yield from _endless(subject)
    yield from _efforts(subject)
    yield from _placeholders(subject)
    yield from _all_alike(subject)


def _endless(subject: Subject) -> Iterator[Finding]:
    """Joints without end that servos drive, or slides that anything drives."""
    mend = 'range="LOW HIGH" of the machine; leave it, if this is a wheel'
    if subject.file.is_urdf:
        mend = '<limit lower="LOW" upper="HIGH" .../> of the machine; leave it, if this is a wheel'
    for joint in _to_be_limited(subject):
        if not subject.model.jnt_limited[joint]:
            what = f"{subject.label('joint', joint)} has no range"
            yield Finding("warning", "limits", subject.where("joint", joint), what, mend)


def _to_be_limited(subject: Subject) -> list[int]:
    """Of a model without actuators, the joints that get servos in the copy."""
    model = subject.model
    if model.nu == 0:
        return [each for each in simple_joints(model) if model.joint(each).name not in subject.mimics]
    return [
        drive.joint
        for drive in subject.drives
        if model.jnt_type[drive.joint] == mujoco.mjtJoint.mjJNT_SLIDE or drive.command == "position"
    ]


def _efforts(subject: Subject) -> Iterator[Finding]:
    """Servos that push with any force."""
    boundless = [each for each in subject.drives if effort_limit(subject.model, each) is None]
    if boundless:
        labels = ", ".join(each.name or str(each.index) for each in boundless)
        what = f"no limit of effort: {labels}; in simulation they push as hard as their error asks"
        mend = 'forcerange="-N N" in N·m from the data sheet, on each of them'
        yield Finding("warning", "limits", subject.where("actuator", boundless[0].index), what, mend)


def _placeholders(subject: Subject) -> Iterator[Finding]:
    for joint in range(subject.model.njnt):
        name = subject.model.joint(joint).name
        limits = subject.urdf.get(name)
        if limits is None:
            continue
        for what, value, most, instead in (
            ("effort", limits.effort, STRONGEST, "the copy has an estimate of its own"),
            ("velocity", limits.velocity, FASTEST, "the copy has no limit of velocity"),
        ):
            if value is not None and credible(value, most) is None:
                unit = "no motor" if value == 0.0 else "a placeholder"
                text = f"joint {name}: {what} limit {value:g} is {unit}"
                mend = f"the data sheet's number; until then {instead}"
                yield Finding("warning", "limits", subject.where("joint", joint), text, mend)


def _all_alike(subject: Subject) -> Iterator[Finding]:
    """One round number for effort and for velocity, on every joint."""
    numbers = [(each.effort, each.velocity) for each in subject.urdf.values() if each.effort]
    if len(numbers) < ALIKE or len(set(numbers)) > 1 or numbers[0][0] != numbers[0][1]:
        return
    what = f"every joint has effort and velocity limits of {numbers[0][0]:g}: placeholders"
    mend = "the data sheet's numbers, in N·m and rad/s"
    yield Finding("warning", "limits", str(subject.file.path), what, mend)
