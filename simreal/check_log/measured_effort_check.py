"""Check of measured efforts against those that the robot's model needs for the motion."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from simreal.check_log.finding import ORDER, Finding, Picture, Verdict
from simreal.check_log.following import CLEARLY
from simreal.check_log.joint_checks import EXPLAINED, NOTHING
from simreal.check_log.motion import SMOOTHED, InverseModel, Motion, moved_model
from simreal.check_log.subject import Subject
from simreal.state import FloatArray

WEIGHTY = 0.1
"""Share of the largest forces of a joint, below which friction makes most of those of another."""
MISTAKES = {
    "of the other sign": -1.0,
    "in mN·m": 1e-3,
    "in N·cm": 1e-2,
    "in kN·m": 1e3,
    "in mN·m, of the other sign": -1e-3,
}
"""What an effort may be, and its factor to what it should be."""


@dataclass(frozen=True, slots=True)
class _Effort:
    """A joint's effort along the motion.

    Attributes:
        joint: name.
        time: (n,) s.
        measured: (n,) N·m.
        needed: (n,) N·m, by the model.
        scale: N·m, root mean square, of all that is needed, or of its parts if they cancel.
    """

    joint: str
    time: FloatArray
    measured: FloatArray
    needed: FloatArray
    scale: float

    def unexplained(self, factor: float = 1.0) -> float:
        """Share of the joint's forces that its effort, times a factor, does not explain."""
        return float(np.sqrt(np.mean((self.needed - factor * self.measured) ** 2)) / self.scale)

    @property
    def fault(self) -> tuple[Verdict, str, str] | None:
        """Verdict, text and advice, if it is not what moves the joint."""
        given = self.unexplained()
        others = {label: self.unexplained(factor) for label, factor in MISTAKES.items()}
        label = min(others, key=others.__getitem__)
        if others[label] < CLEARLY * given and others[label] < EXPLAINED:
            text = (
                f"the robot's model explains the motion far better with the effort of {self.joint} "
                f"{label}: {100 * others[label]:.0f} % of the forces are unexplained then, "
                f"{100 * given:.0f} % now"
            )
            return "fail", text, "mend its sign, unit or scale in the mapping or the driver"
        if given > NOTHING:
            text = (
                f"the effort of {self.joint} explains nothing of its motion: {given:.2g} times the "
                "forces are left unexplained"
            )
            return "warn", text, "is it of another joint, of a motor before its gear, or a raw reading?"
        return None


def measured_effort(subject: Subject) -> Finding:
    """Measured efforts must be those that the robot's model needs: same sign and unit."""
    if "joint_effort" not in subject.log or len(subject.log["joint_effort"]) < 2:
        return Finding("measured_effort", "skip", "no joint_effort")
    asked = moved_model(subject)
    if asked is None:
        return Finding("measured_effort", "skip", "no model of a fixed robot to ask")
    efforts = list(_efforts(subject, *asked))
    if not efforts:
        return Finding("measured_effort", "skip", "no effort of a joint that needs any")
    numbers = {f"unexplained_{each.joint}": each.unexplained() for each in efforts}
    faults = [(each, fault) for each in efforts if (fault := each.fault) is not None]
    if not faults:
        rest = 100 * max(numbers.values())
        text = f"efforts are those of the robot's model, but for {rest:.0f} % of the forces at most"
        return Finding("measured_effort", "pass", text, numbers)
    worst, (verdict, text, advice) = max(faults, key=lambda each: ORDER.index(each[1][0]))
    others = [each.joint for each, _ in faults if each is not worst]
    text += f"; wrong, too: {', '.join(others)}" if others else ""
    curves = {
        f"{worst.joint}, measured": (worst.time, worst.measured),
        "needed by the robot's model": (worst.time, worst.needed),
    }
    return Finding("measured_effort", verdict, text, numbers, advice, Picture("N·m", curves))


def _efforts(subject: Subject, model: InverseModel, motion: Motion) -> Iterator[_Effort]:
    """Of joints with a motor whose motion takes more than friction."""
    assert subject.robot is not None
    table = subject.log["joint_effort"]
    time, measured = subject.evenly("joint_effort")
    rows = max(1, round(SMOOTHED / float(time[1] - time[0])))
    smooth = uniform_filter1d(measured, rows, axis=0)  # as the motion is
    needed = model.needed(motion)
    # Of a light link, friction takes most; of a swing, inertia takes what gravity gives.
    scale = np.maximum(model.scale(motion), np.sqrt(np.mean(needed**2, axis=0)))
    driven = {each.joint for each in subject.robot.description.actuators}
    for column, joint in enumerate(motion.names):
        if joint not in driven & set(table.names) or scale[column] < WEIGHTY * scale.max():
            continue
        own = np.interp(motion.time, time, smooth[:, table.names.index(joint)])
        if np.ptp(own) > 0:
            yield _Effort(joint, motion.time, own, needed[:, column], float(scale[column]))
