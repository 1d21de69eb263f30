"""Check for what moved a robot beside its motors: a hand, most of the time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.check_log.excitation_checks import CONSTANT, resting
from simreal.check_log.finding import Finding, Picture, Verdict
from simreal.check_log.motion import Motion, smooth_motion
from simreal.check_log.subject import Subject
from simreal.identification.pushes import Driven, Push, can_tell, find_pushes

DRIVES = ("applied_effort", "applied_voltage", "commanded_effort", "commanded_voltage")
STILL_BEFORE, REACTS = 0.5, 0.15
"""s, of rest and of an unchanged command before a motion that the command does not explain."""
MANY = 3
"""Disturbances, from which on a log is of no use as it is."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Times in s at which joints started to move by themselves, and those that gained energy."""

    starts: list[float]
    pushes: list[Push]

    @property
    def text(self) -> str:
        parts = []
        if self.starts:
            parts.append(
                f"joints start to move {len(self.starts)} times while the command does not change, "
                f"first at {self.starts[0]:.2f} s"
            )
        if self.pushes:
            worst = max(self.pushes, key=lambda push: push.energy)
            spans = ", ".join(push.describe() for push in self.pushes[:4])
            more = f" and {len(self.pushes) - 4} more times" if len(self.pushes) > 4 else ""
            parts.append(
                f"energy grows by more than motors can have given, at {spans}{more} "
                f"(by {worst.energy:.2g} J at least)"
            )
        return "; ".join(parts) + ": pushed by hand?"


def disturbance(subject: Subject) -> Finding:
    """Nothing may move a robot but its motors: neither start it nor add to its energy."""
    motion, log = smooth_motion(subject), subject.log
    channel = log.first(DRIVES)
    if motion is None or channel is None:
        return Finding("disturbance", "skip", "no effort or voltage command with joint_position")
    found = _Found(_starts(subject, motion, channel), _pushes(subject))
    count = len(found.starts) + len(found.pushes)
    numbers = {"starts": float(len(found.starts)), "pushes": float(len(found.pushes))}
    if not count:
        return Finding("disturbance", "pass", "nothing moves without its motors", numbers)
    table = log["joint_position"]
    joint = next(name for name in (*log.joints_of(channel), *table.names) if name in table.names)
    spans = [(at, at) for at in found.starts] + [(each.begin, each.end) for each in found.pushes]
    picture = Picture("rad", {joint: (table.time, table.column(joint))}, spans)
    advice = (
        "leave those parts out of a fit: a force acted that is not in the log; where energy grows, "
        "simreal identify does so by itself"
    )
    verdict: Verdict = "fail" if count >= MANY else "warn"
    return Finding("disturbance", verdict, found.text, numbers, advice, picture)


def _starts(subject: Subject, motion: Motion, channel: str) -> list[float]:
    """Times at which a driven joint leaves its rest while its command stays as it was."""
    log, step = subject.log, float(motion.time[1] - motion.time[0])
    quiet, reaction = round(STILL_BEFORE / step), max(1, round(REACTS / step))
    rest = resting(motion)
    still: NDArray[np.bool_] = np.asarray(rest.all(axis=1))
    sent = log.at(channel, motion.time, hold=True)
    span = np.abs(sent).max(axis=0) + 1e-12
    starts: list[float] = []
    for column, joint in enumerate(log.joints_of(channel)):
        if joint not in motion.names or not (motion.names == (joint,) or still.any()):
            continue
        own = rest[:, motion.names.index(joint)]
        for row in np.flatnonzero(still[:-1] & ~still[1:]):
            before = slice(max(0, row - quiet), row + 1)
            if row < quiet or not still[before].all() or own[row : row + reaction].all():
                continue
            window = sent[max(0, row - quiet) : row + reaction, column]
            if np.ptp(window) < CONSTANT * span[column]:
                starts.append(float(motion.time[row]))
    return starts


def _pushes(subject: Subject) -> list[Push]:
    """Where the energy of a robot with a model grows, by the effort that was measured, if one was."""
    log, model, robot = subject.log, subject.model, subject.robot
    if model is None or robot is None or subject.stuck or not can_tell(robot.description, model):
        return []
    actuators, joints = robot.description.actuators, robot.description.joint_names
    by_effort = all(each.command == "effort" for each in actuators)
    channel = log.first(("joint_effort", *DRIVES) if by_effort else DRIVES)
    assert channel is not None
    names = [each.joint if channel == "joint_effort" else each.name for each in actuators]
    table, measured = log[channel], log["joint_position"]
    if not (set(names) <= set(table.names) and set(joints) <= set(measured.names) and len(table) > 1):
        return []
    driven = Driven(
        joints,
        measured.time,
        np.stack([measured.column(name) for name in joints], axis=1),
        robot.description.actuator_names,
        table.time,
        np.stack([table.column(name) for name in names], axis=1),
    )
    return find_pushes(model, driven)
