"""Actuators that nobody can command, or whose commands do not fit their joint."""

import math
from collections.abc import Iterator

from simreal.lint.finding import Finding
from simreal.physics.drives import Drive, command_range, is_undamped
from simreal.physics.joint_inertia import joint_inertia
from simreal.robot_add.subject import Subject

BEYOND = 0.02
"""Share of a joint's range by which its servo's commands may exceed it."""


def check_drives(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    if subject.model.nu == 0:
        what = "no actuators, so nothing to command"
        mend = "add <position> actuators; until then the copy has servos with estimated gains"
        yield Finding("warning", "actuators", str(subject.file.path), what, mend)
    elif not subject.drives:
        reasons = "; ".join(f"{each.name or each.index}: {each.reason}" for each in subject.foreign)
        mend = "drive joints by <position> or <motor>"
        what = f"no actuator that a policy can command: {reasons}"
        yield Finding("error", "actuators", subject.where("actuator", 0), what, mend)
    else:
        yield from _left_out(subject)
    for drive in subject.drives:
        yield from _commands(subject, drive)
    yield from _undamped(subject)


def _left_out(subject: Subject) -> Iterator[Finding]:
    for each in subject.foreign:
        what = f"{subject.label('actuator', each.index)} is left out of robot.yaml: {each.reason}"
        mend = "its command stays 0; drive the joint by <position> or <motor> to have it commanded"
        yield Finding("warning", "actuators", subject.where("actuator", each.index), what, mend)


def _commands(subject: Subject, drive: Drive) -> Iterator[Finding]:
    label, where = subject.label("actuator", drive.index), subject.where("actuator", drive.index)
    commands = command_range(subject.model, drive)
    if commands is None:
        what = f"{label} has no ctrlrange: a command may be anything"
        instead = (
            "the joint's range" if drive.command == "position" else "the effort limit, or an estimate"
        )
        yield Finding(
            "warning", "actuators", where, what, f"ctrlrange; until then the copy has {instead}"
        )
        return
    told = drive.joint in subject.misread
    if drive.command == "position" and subject.model.jnt_limited[drive.joint] and not told:
        low, high = subject.model.jnt_range[drive.joint]
        slack = BEYOND * (high - low)
        if commands[0] < low - slack or commands[1] > high + slack:
            what = (
                f"{label} takes commands from {commands[0]:.4g} to {commands[1]:.4g}, its joint goes "
                f"from {low:.4g} to {high:.4g}: the servo would push against the stops"
            )
            yield Finding("warning", "actuators", where, what, f'ctrlrange="{low:.6g} {high:.6g}"')


def _undamped(subject: Subject) -> Iterator[Finding]:
    """Servos that swing for ever, and that a simulation with a little more stiffness lets grow."""
    swinging = [each for each in subject.drives if is_undamped(subject.model, each)]
    inertia = joint_inertia(subject.model, subject.qpos) if swinging else ()
    for drive in swinging:
        critical = 2.0 * math.sqrt(drive.stiffness * inertia[drive.joint]) / drive.gear**2
        what = f"{subject.label('actuator', drive.index)} has no damping, and neither has its joint"
        mend = (
            f'kv="{critical:.2g}" or dampratio="1" on <position> damps it critically; or the damping of '
            "the joint, if you know it"
        )
        yield Finding("warning", "servo", subject.where("actuator", drive.index), what, mend)
