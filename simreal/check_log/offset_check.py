"""Check of offsets: a servo whose zero is not where its commands have it."""

from dataclasses import dataclass

import numpy as np

from simreal.check_log.finding import Finding, Picture, verdict_of
from simreal.check_log.motion import InverseModel, Motion, moved_model
from simreal.check_log.subject import Subject
from simreal.contract import Actuator
from simreal.state import FloatArray

OFFSET_WARN, OFFSET_FAIL = 0.04, 0.15
"""rad, that a joint stands beside where its command and its load put it, beyond what is unsure."""
SURE = 3.0
"""Standard errors of an offset, that are unsure."""
BIN = 1.0
"""s, over whose mean what a motion does to a servo cancels for the most part."""
FEWEST = 6
"""Seconds, from which on it is known how much they differ."""
LOAD = 0.5
"""Share by which load and stiffness together may well differ from the model's, standard deviation."""
LATE = 0.1
"""s, by which it may well be later than the model, standard deviation."""
FINEST = 0.005
"""rad, by which seconds differ at least, standard deviation."""
MOST = 0.9
"""Share of the seconds that must tell half of the offset: a gripper that holds something tells it for
a while."""
ACTS = 0.999
"""Authority from which on a command acts in full."""


@dataclass(frozen=True, slots=True)
class _Offset:
    """How far a servo stands beside where it should.

    Attributes:
        joint: name.
        offset: rad.
        unsure: rad, by which that may be wrong.
        lasting: whether most seconds tell it.
        time: (n,) s.
        error: (n,) rad, of the position from its command.
        expected: (n,) rad, of that error by the model.
    """

    joint: str
    offset: float
    unsure: float
    lasting: bool
    time: FloatArray
    error: FloatArray
    expected: FloatArray

    @property
    def told(self) -> float:
        """rad, that are sure of it."""
        return max(0.0, abs(self.offset) - self.unsure) if self.lasting else 0.0


def servo_offset(subject: Subject) -> Finding:
    """A servo must stand where its command, gravity and its stiffness put it."""
    log, asked = subject.log, moved_model(subject)
    if "commanded_position" not in log:
        return Finding("servo_offset", "skip", "no commanded_position")
    if asked is None or subject.robot is None:
        return Finding("servo_offset", "skip", "no model of a fixed robot to ask")
    servos = {each.joint: each for each in subject.robot.description.actuators if each.stiffness}
    told = [joint for joint in log.joints_of("commanded_position") if joint in servos]
    model, motion = asked
    motion = motion.rows(np.flatnonzero(_acts(subject, motion.time)))
    needed = model.needed(motion)
    offsets = (_offset(subject, model, motion, needed, servos[joint]) for joint in told)
    found = [each for each in offsets if each is not None]
    if not found:
        return Finding("servo_offset", "skip", "no servo of known stiffness, or too short")
    numbers = {f"offset_{each.joint}": each.offset for each in found}
    worst = max(found, key=lambda each: each.told)
    verdict = verdict_of(worst.told, OFFSET_WARN, OFFSET_FAIL)
    if verdict == "pass":
        text = "servos stand where their commands, gravity and their stiffness put them"
        return Finding("servo_offset", "pass", text, numbers)
    text = (
        f"{worst.joint} stands {worst.offset:+.2g} rad beside where its command, gravity and its "
        f"stiffness put it, all along (sure to {worst.unsure:.1g} rad): its zero is off"
    )
    others = [each.joint for each in found if each is not worst and each.told >= OFFSET_WARN]
    text += f"; so are those of: {', '.join(others)}" if others else ""
    curves = {"position less command": worst.error, "that by the robot's model": worst.expected}
    picture = Picture("rad", {label: (worst.time, each) for label, each in curves.items()})
    advice = "calibrate its zero anew, or mend the offset of its position or command in the mapping"
    return Finding("servo_offset", verdict, text, numbers, advice, picture)


def _offset(
    subject: Subject, model: InverseModel, motion: Motion, needed: FloatArray, servo: Actuator
) -> _Offset | None:
    """The offset of one servo, of the (n, joints) N·m needed; None if the log is too short to tell."""
    assert servo.stiffness
    column = motion.names.index(servo.joint)
    command = subject.log.joints_of("commanded_position").index(servo.joint)
    told = subject.log.at("commanded_position", motion.time, hold=True)[:, command]
    error, speed = motion.position[:, column] - told, motion.velocity[:, column]
    effort = needed[:, column] + (servo.damping or 0.0) * speed
    expected = -effort / servo.stiffness
    seconds = np.floor((motion.time - motion.time[:1]) / BIN).astype(np.int64)
    kept = np.unique(seconds)
    if len(kept) < FEWEST:
        return None
    wrong, load, moving = (
        np.array([each[seconds == second].mean() for second in kept])
        for each in (error - expected, expected, speed)
    )
    offset, deviation, rest = _constant(wrong, load, moving)
    lasting = float(np.quantile(np.sign(offset) * rest, 1.0 - MOST)) > 0.5 * abs(offset)
    joint = model.model.joint(servo.joint)
    stuck = float(model.model.dof_frictionloss[joint.dofadr[0]]) / servo.stiffness
    unsure = SURE * deviation + stuck
    return _Offset(servo.joint, offset, unsure, lasting, motion.time, error, expected)


def _acts(subject: Subject, time: FloatArray) -> FloatArray:
    """(n,) whether position commands are in force: from the first to the last, at full authority."""
    log, ends = subject.log, subject.log["commanded_position"].time[[0, -1]]
    acts = (time >= ends[0]) & (time <= ends[1])
    if "authority" in log and len(log["authority"]):
        acts &= log.at("authority", time, hold=True).min(axis=1) >= ACTS
    return np.asarray(acts)


def _constant(wrong: FloatArray, load: FloatArray, speed: FloatArray) -> tuple[float, float, FloatArray]:
    """What of an error is constant, its standard deviation, and each second's own.

    The load may be another one than the model's, and a servo may be later: both are fitted, as far
    as they may well be wrong. Where load and speed never change, a constant may be either's.

    Args:
        wrong: (n,) rad, that the model does not explain.
        load: (n,) rad, that it does.
        speed: (n,) rad/s.
    """
    regressors = np.stack([np.ones(len(wrong)), load, speed], axis=1)
    noise, weights = FINEST, np.zeros(3)
    for _ in range(3):
        # What is thought of load and lateness beforehand counts as one more second each.
        prior = np.diag([0.0, noise / LOAD, noise / LATE]) ** 2
        covariance = np.linalg.inv(regressors.T @ regressors + prior)
        weights = covariance @ regressors.T @ wrong
        rest = wrong - regressors @ weights
        noise = max(FINEST, float(np.sqrt(np.sum(rest**2) / max(1, len(wrong) - 3))))
    return float(weights[0]), noise * float(np.sqrt(covariance[0, 0])), rest + weights[0]
