"""Check of sensors that stop telling: one and the same reading while the joint goes on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from simreal.check_log.finding import Finding, Picture, verdict_of
from simreal.check_log.motion import SLOW, correlation
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import Rows, Subject
from simreal.state import FloatArray

SHORTEST, FEWEST = 0.05, 5
"""s and samples of one reading; fewer are left to `repeats`."""
STUCK_WARN, STUCK_FAIL = 0.05, 0.25
"""s that a sensor may be stuck."""
SUDDEN = 6.0
"""Change of speed after a rest over what 99 % of the others stay below: the joint leaps. Joints of real
robots, however they stick, stay below 3.5."""
FASTER = 2.0
"""Times the step after it that a leap is: a joint that starts is slower at first."""
QUANTA = 8.0
"""Encoder steps of a leap, at least."""
SLOWEST_LOG = 0.05
"""s between samples, from which on a joint may well reach its command within one."""
ELSEWHERE = 0.1
"""Share of a joint's motion that its velocity or its command goes on by, while its position stands."""
TOLD, REACTS = 1.0, 0.3
"""s that a joint must not move though it is told, and that it may take to begin."""
STICKS = 0.05
"""rad from its command at which friction may hold a joint."""
AGREES = 0.8
"""Correlation from which on a velocity is that of its position."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """A stretch of one and the same reading, and why the sensor was stuck there.

    Attributes:
        joint: name.
        first: row.
        last: row.
        seconds: from the first to the last.
        why: what tells it.
    """

    joint: str
    first: int
    last: int
    seconds: float
    why: str


def stuck(subject: Subject) -> Finding:
    """A position must not stand still while the joint moves: it leaps when the sensor tells again.

    A joint that rests starts slowly; one that leaps has moved on unseen. A sensor that stays dead is
    told by its velocity that goes on, or by a command that swings to both sides of it.
    """
    if "joint_position" not in subject.log:
        return Finding("stuck", "skip", "no joint_position")
    table = subject.log["joint_position"]
    stops = [stop for name in table.names for stop in _stops_of(subject, name)]
    numbers = {"stuck": float(len(stops)), "longest_s": max((s.seconds for s in stops), default=0.0)}
    if not stops:
        return Finding("stuck", "pass", "no reading stands still while its joint moves", numbers)
    worst = max(stops, key=lambda stop: stop.seconds)
    more = f" ({len(stops)} such stretches in all)" if len(stops) > 1 else ""
    text = (
        f"{worst.joint} reads the same for {worst.seconds:.3g} s from {table.time[worst.first]:.3f} s "
        f"on, {worst.why}{more}"
    )
    own = [stop for stop in stops if stop.joint == worst.joint]
    spans = [(float(table.time[stop.first]), float(table.time[stop.last])) for stop in own[:50]]
    picture = Picture("rad", {worst.joint: (table.time, table.column(worst.joint))}, spans)
    advice = (
        "cut those stretches out; a sensor or a bus that stalls: check connector, power and timeouts"
    )
    verdict = verdict_of(worst.seconds, STUCK_WARN, STUCK_FAIL)
    return Finding("stuck", verdict, text, numbers, advice, picture)


def _stops_of(subject: Subject, joint: str) -> Iterator[_Stop]:
    table = subject.log["joint_position"]
    time, position = table.time, table.column(joint)
    if len(time) < 10 * FEWEST or joint in subject.stuck:
        return
    firsts, lasts = _runs(position)
    quantum, step = quantum_of(position), float(np.median(np.diff(time)))
    usual = max(_usual_change(position, firsts, lasts), 2 * quantum)
    least = max(ELSEWHERE * float(np.ptp(position)), QUANTA * quantum)
    for first, last in zip(firsts, lasts, strict=True):
        seconds = float(time[last] - time[first])
        if seconds < SHORTEST:
            continue
        why = _leap(subject, joint, last, step, usual, QUANTA * quantum)
        if not why and position[first] not in (position.min(), position.max()):
            # At an extreme it may be at its stop, or cut off.
            why = _goes_on(subject, joint, first, last, least) or _told(
                subject, joint, first, last, least
            )
        if why:
            yield _Stop(joint, int(first), int(last), seconds, why)


def _runs(position: FloatArray) -> tuple[Rows, Rows]:
    """First and last rows of stretches of one and the same reading, after the first change."""
    edges = np.append(np.flatnonzero(np.diff(position) != 0), len(position) - 1)
    first, last = edges[:-1] + 1, edges[1:]
    long = last - first + 1 >= FEWEST
    return first[long], last[long]


def _usual_change(position: FloatArray, firsts: Rows, lasts: Rows) -> float:
    """What 99 % of the changes of a joint's step from sample to sample stay below, beside its rests."""
    changes = np.abs(np.diff(position, n=2))
    beside = np.concatenate([edge + shift for edge in (firsts, lasts) for shift in range(-2, 2)])
    free = np.delete(changes, np.unique(beside[(beside >= 0) & (beside < len(changes))]))
    free = free[free > 0]
    return float(np.quantile(free, 0.99)) if len(free) else np.inf


def _leap(subject: Subject, joint: str, last: int, step: float, usual: float, highest: float) -> str:
    """That a joint leaves its rest as none can that starts from it; empty if it does not.

    Args:
        subject: the log.
        joint: name.
        last: row of the rest.
        step: usual one of time, s.
        usual: change of the joint's step, rad.
        highest: leap of an encoder that misses counts, rad.
    """
    table = subject.log["joint_position"]
    time, position = table.time, table.column(joint)
    # Across a gap a joint may go as far as it likes.
    if last + 2 >= len(time) or step > SLOWEST_LOG or time[last + 1] - time[last] > 2 * step:
        return ""
    leap, then = np.diff(position[last : last + 3])
    far = abs(leap) > max(highest, FASTER * abs(then))
    if (
        not far
        or abs(leap - then) < SUDDEN * usual
        or _steps(subject, joint, time[last]) > 0.5 * abs(leap)
    ):
        return ""
    speed = abs(leap) / float(time[last + 1] - time[last])
    return f"then leaps by {leap:+.3g} rad ({speed:.3g} rad/s) as no joint does that starts from rest"


def _steps(subject: Subject, joint: str, time: float) -> float:
    """The largest step, rad, of a joint's position command shortly before a time."""
    told = _command(subject, joint, time - REACTS, time + SLOWEST_LOG)
    return float(np.abs(np.diff(told)).max(initial=0.0))


def _command(subject: Subject, joint: str, start: float, end: float) -> FloatArray:
    """(n,) rad that a joint is told between two times, and just before; none if it is not."""
    log = subject.log
    if "commanded_position" not in log or joint not in log.joints_of("commanded_position"):
        return np.array([])
    table = log["commanded_position"]
    column = log.joints_of("commanded_position").index(joint)
    rows = slice(max(0, int(np.searchsorted(table.time, start)) - 1), np.searchsorted(table.time, end))
    return table.values[rows, column]


def _goes_on(subject: Subject, joint: str, first: int, last: int, least: float) -> str:
    """That a joint's own velocity goes on; empty if it does not, or is not that of its position."""
    log = subject.log
    if "joint_velocity" not in log or joint not in log["joint_velocity"].names:
        return ""
    time, position = log["joint_position"].time, log["joint_position"].column(joint)
    velocity = np.interp(time, log["joint_velocity"].time, log["joint_velocity"].column(joint))
    # What is slower than that may be a velocity's offset.
    fast = np.where(np.abs(velocity) > SLOW * np.abs(velocity).max(), velocity, 0.0)
    went = cumulative_trapezoid(fast, time, initial=0.0)
    others = np.append(np.arange(first), np.arange(last + 1, len(time)))
    if not correlation(np.gradient(position, time)[others], velocity[others]) > AGREES:
        return ""
    way = float(np.ptp(went[first : last + 1]))
    return f"while its velocity tells of {way:.3g} rad" if way > least else ""


def _told(subject: Subject, joint: str, first: int, last: int, least: float) -> str:
    """That a joint is told to both sides of where it stands; empty if it is not.

    Against a stop, or an object between its fingers, it is told to one side alone.
    """
    time, position = subject.log["joint_position"].time, subject.log["joint_position"].column(joint)
    if time[last] - time[first] < TOLD:
        return ""
    end = time[last] - (REACTS if last + 1 < len(time) else 0.0)
    told = _command(subject, joint, time[first] + REACTS, end)
    if not len(told) or min(position[first] - told.min(), told.max() - position[first]) < max(
        least, STICKS
    ):
        return ""
    sides = f"{told.min():.3g} and {told.max():.3g} rad"
    return (
        f"while it is told to go to {sides}: a dead sensor, or a joint that is blocked or switched off"
    )
