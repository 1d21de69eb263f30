"""Check of velocities against positions: unit, sign, order of joints, and clock.

It compares how far a joint went, over a quarter of a second, with what its velocity adds up to: sums are
as little disturbed by encoder steps as positions are, where differences of positions are nothing but.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import cumulative_trapezoid

from simreal.check_log.finding import ORDER, Finding, Picture, Verdict
from simreal.check_log.motion import LEAST_MOVING, correlation, moving_time
from simreal.check_log.pictures import fastest_stretch
from simreal.check_log.subject import Subject
from simreal.state import FloatArray

STRETCH = 0.25
"""s, over which ways are compared."""
SCALE_WARN, SCALE_FAIL = 0.05, 0.2
"""Share by which the sum of a velocity may differ from the way."""
PRECISE = 0.995
"""Correlation from which on a small error of scale is no matter of coarse sampling."""
UNIT_TOLERANCE = 0.12
"""Share within which a ratio is taken for that of two units."""
UNITS = {
    "deg/s": 180 / np.pi,
    "rpm": 60 / (2 * np.pi),
    "rev/s": 1 / (2 * np.pi),
    "rad/s beside positions in degrees": np.pi / 180,
}
"""Velocity as recorded over velocity in rad/s."""
CORRELATED = 0.8
"""Correlation from which on two ways belong to each other."""
LONGEST_LAG = 0.1
"""s, that a sensor may be late: sought to either side."""
FURTHEST, COARSE = 1.0, 0.02
"""s, up to which velocities by another clock are sought, and from one try to the next."""
PLAINLY = 0.9
"""Correlation from which on the ways of all joints are the same ones, at another time."""
BETTER = 0.15
"""By how much another joint's must exceed it, to say that the joints are swapped."""


def velocity_scale(subject: Subject) -> Finding:
    """Velocities must be the derivatives of positions: same unit, sign and joint."""
    ways = _ways(subject)
    if ways is None:
        return Finding("velocity_scale", "skip", "no joint_position with joint_velocity")
    went, summed, names = ways.went, ways.summed, ways.names
    numbers: dict[str, float] = {}
    barely: list[str] = []
    faults: dict[str, tuple[Verdict, str, str]] = {}
    for joint, name in enumerate(names):
        own = correlation(went[:, joint], summed[:, joint])
        others = [abs(correlation(went[:, other], summed[:, joint])) for other in range(len(names))]
        best = int(np.argmax(others))
        if not np.isfinite(own):
            continue
        table = subject.log["joint_position"]
        if (moving := moving_time(table.time, table.column(name))) < LEAST_MOVING:
            barely.append(f"{name} moves for {moving:.2g} s in all")
            continue
        scale = float(went[:, joint] @ summed[:, joint] / (went[:, joint] @ went[:, joint]))
        numbers[f"scale_{name}"] = scale
        if best != joint and others[best] > CORRELATED and others[best] > abs(own) + BETTER:
            return Finding(
                "velocity_scale",
                "fail",
                f"the velocity of {name} belongs to the position of {names[best]}: joints are swapped "
                f"(correlation {others[best]:.3f} against {own:.3f})",
                numbers | {"correlation": own, "correlation_swapped": others[best]},
                "mend the order of columns in the mapping or the driver",
                _scale_picture(subject, name),
            )
        if fault := _scale_fault(name, own, scale):
            faults[name] = fault
    if not numbers and barely:
        text = f"not to be told from this log: {'; '.join(barely)}, too short"
        return Finding("velocity_scale", "skip", text, unfit=True)
    if not numbers:
        return Finding(
            "velocity_scale", "skip", "no joint moves enough to compare velocity and position"
        )
    if not faults:
        low, high = min(numbers.values()), max(numbers.values())
        text = f"velocities are {low:.3f} to {high:.3f} times the derivatives of positions"
        return Finding("velocity_scale", "pass", text, numbers)

    def gravity(name: str) -> tuple[int, float]:
        return ORDER.index(faults[name][0]), abs(np.log(abs(numbers[f"scale_{name}"]) + 1e-12))

    gravest = max(faults, key=gravity)
    verdict, text, advice = faults.pop(gravest)
    text += f"; wrong, too: {', '.join(faults)}" if faults else ""
    picture = _scale_picture(subject, gravest)
    return Finding("velocity_scale", verdict, text, numbers, advice, picture)


def _scale_fault(name: str, correlated: float, scale: float) -> tuple[Verdict, str, str] | None:
    """Verdict, text and advice for a joint whose velocity is `scale` times the right one."""
    if abs(correlated) < CORRELATED:
        text = f"the velocity of {name} has little to do with its position ({correlated:.2f})"
        return "fail", text, "is it the velocity of another joint, or of the motor before a gear?"
    if scale < 0:
        text = f"the velocity of {name} has the wrong sign (ratio {scale:.3g})"
        return "fail", text, "set its sign to -1 in the mapping, or mend the driver"
    if abs(scale - 1) <= (SCALE_WARN if correlated > PRECISE else SCALE_FAIL):
        return None
    unit = next((u for u, r in UNITS.items() if abs(scale / r - 1) < UNIT_TOLERANCE), None)
    text = f"the velocity of {name} is {scale:.4g} times the derivative of its position"
    text += f": {unit}?" if unit else ""
    verdict: Verdict = "fail" if unit or abs(scale - 1) > SCALE_FAIL else "warn"
    return verdict, text, "mend unit or scale in the mapping"


def _scale_picture(subject: Subject, joint: str) -> Picture:
    """Two seconds around the joint's fastest motion, by its positions and as it was reported."""
    table, reported = subject.log["joint_position"], subject.log["joint_velocity"]
    unit = reported.units[reported.names.index(joint)]
    velocity = np.gradient(table.column(joint), table.time)
    said = subject.log.at("joint_velocity", table.time)[:, reported.names.index(joint)]
    curves = {f"{joint}, by its positions": velocity, "as reported": said}
    return fastest_stretch(table.time, curves, unit, velocity)


@dataclass(frozen=True, slots=True)
class _Ways:
    """How far joints go over `STRETCH`.

    Attributes:
        went: (n, joints) rad, by positions.
        summed: (n, joints) rad, by velocities.
        names: of the joints.
        step: s, from row to row.
    """

    went: FloatArray
    summed: FloatArray
    names: tuple[str, ...]
    step: float

    def later(self, shift: int) -> "_Ways":
        """Each way by positions beside that by velocities so many rows later."""
        rows = np.arange(max(0, -shift), len(self.went) - max(0, shift))
        return replace(self, went=self.went[rows], summed=self.summed[rows + shift])

    def correlations(self, shift: int) -> FloatArray:
        """(joints,) of positions with velocities so many rows later; no number of a joint at rest."""
        ways = self.later(shift)
        pairs = zip(ways.went.T, ways.summed.T, strict=True)
        return np.array([correlation(went, summed) for went, summed in pairs])


def _ways(subject: Subject) -> _Ways | None:
    """Ways of all joints, after the best common lag."""
    ways = _ways_as_stamped(subject)
    if ways is None:
        return None
    # A lag lowers correlations of fast motions; most of it is taken out by the best whole shift.
    reach = min(round(LONGEST_LAG / ways.step / 2), len(ways.went) // 2)
    ways = ways.later(round(_seconds_apart(ways) / ways.step))
    near = sorted(range(-min(reach, len(ways.went) // 2), reach + 1), key=abs)
    return ways.later(max(near, key=lambda shift: np.nansum(np.abs(ways.correlations(shift)))))


def _ways_as_stamped(subject: Subject) -> _Ways | None:
    log = subject.log
    if "joint_position" not in log or "joint_velocity" not in log or len(log["joint_position"]) < 20:
        return None
    time, position = subject.evenly("joint_position")
    velocity = log.at("joint_velocity", time)
    names = tuple(name for name in log["joint_position"].names if name in log["joint_velocity"].names)
    columns = [log["joint_position"].names.index(name) for name in names]
    others = [log["joint_velocity"].names.index(name) for name in names]
    step = float(time[1] - time[0])
    stretch = min(max(2, round(STRETCH / step)), len(time) // 2)
    went = position[stretch:, columns] - position[:-stretch, columns]
    total = cumulative_trapezoid(velocity[:, others], time, axis=0, initial=0)
    return _Ways(went, total[stretch:] - total[:-stretch], names, step)


def seconds_apart(subject: Subject) -> float:
    """How long after the motion all velocities come, s, if that is more than any sensor is late; else 0.

    Negative if they come before it.
    """
    ways = _ways_as_stamped(subject)
    return 0.0 if ways is None else _seconds_apart(ways)


def _seconds_apart(ways: _Ways) -> float:
    if not ways.names:
        return 0.0
    every = max(1, round(COARSE / ways.step))
    furthest = min(round(FURTHEST / ways.step), len(ways.went) // 4)
    shifts = np.arange(-(furthest // every), furthest // every + 1) * every
    near = np.abs(shifts) * ways.step <= LONGEST_LAG
    alike = np.array([np.abs(ways.correlations(shift)) for shift in shifts[near]])
    if near.all() or not np.nanmax(alike, initial=0.0) < CORRELATED:
        return 0.0  # one joint is enough whose velocity is at hand
    far = np.array([ways.correlations(shift) for shift in shifts[~near]])
    moving = np.isfinite(far).all(axis=0)
    least = far[:, moving].min(axis=1, initial=1.0)
    best = int(np.argmax(least))
    return float(shifts[~near][best] * ways.step) if moving.any() and least[best] > PLAINLY else 0.0
