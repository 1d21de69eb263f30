"""Check of drift: a zero that moves while the log is recorded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.check_log.finding import ORDER, Finding, Picture, verdict_of
from simreal.check_log.motion import InverseModel, Motion, inverse_model
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import Rows, Subject
from simreal.state import FloatArray

DRIFT_WARN, DRIFT_FAIL = 0.03, 0.1
"""rad, by which the middle of a free joint's swing leaves where it can hang; friction alone holds a
pendulum some 0.01 rad away from there."""
ERROR_DRIFT_WARN, ERROR_DRIFT_FAIL = 0.08, 0.2
"""rad, by which the error of a position servo wanders in the mean of seconds; loads move it by 0.06."""
FEWEST_SECONDS = 8
"""Seconds, from which such a trend is more than a change of load."""
SURE = 3.0
"""Standard errors of such a trend, below which it may come of seconds that differ by themselves."""
BIN = 1.0
"""s, over which the middle of a swing is taken."""
SWING_TURN = 2.6
"""rad peak to peak: the middle of a larger swing says little."""
SWING_BRACKET = 1.0
"""rad; any smaller motion within a second must pass a place where the joint can hang."""
EVEN = 0.25
"""By which share neighbouring half swings may differ for their middle to be meaningful."""
PROBE = 0.01
"""rad, by which a joint is turned to see how gravity changes."""
ITERATIONS = 4
"""Of the fit of a zero's shift, each from where the one before has found it."""
REST = 5.0
"""Encoder steps within which a joint is at rest."""
ANGLES = 720
"""Points of a turn at which gravity is asked where a joint can hang."""


def drift(subject: Subject) -> Finding:
    """The middle about which a joint swings must stay where it was.

    A joint without a motor swings about an equilibrium of gravity, which the robot's model tells;
    without a model it is where the joint swung first, or multiples of half a turn from there. The error
    of a joint that is told a position must not wander either.
    """
    log = subject.log
    if "joint_position" not in log or len(log["joint_position"]) < 10:
        return Finding("drift", "skip", "no joint_position")
    found = [*_of_free_joints(subject), *_of_servo_errors(subject)]
    if not found:
        return Finding(
            "drift",
            "skip",
            "no joint swings freely or follows a position: nothing says where its zero is",
        )
    return max(found, key=lambda each: (ORDER.index(each.verdict), each.numbers["drift"]))


def _of_free_joints(subject: Subject) -> Iterator[Finding]:
    if subject.model is not None and subject.stuck:
        return
    table = subject.log["joint_position"]
    driven = _driven(subject)
    asked = inverse_model(subject)
    for name in table.names:
        if driven is None or name in driven or name in subject.stuck:
            continue
        if asked is not None:
            seconds = zeros_by_model(*asked, name)
        else:
            seconds = swings(table.time, table.column(name), _equilibria(subject, name))
        lasting = _lasting(seconds)
        if not lasting:
            continue
        away, at = max(lasting, key=lambda each: abs(each[0]))
        verdict = verdict_of(abs(away), DRIFT_WARN, DRIFT_FAIL)
        numbers = {"drift": abs(away), "at_s": at}
        if verdict == "pass":
            text = f"{name} swings about where it can hang, within {abs(away):.2g} rad"
            yield Finding("drift", verdict, text, numbers)
            continue
        text = (
            f"{name} swings about a point {away:+.2g} rad away from where it can hang, at {at:.1f} s "
            f"({seconds[0].away:+.2g} rad at {seconds[0].time:.1f} s): its zero has moved"
        )
        moved = np.array([(second.time, second.away) for second in seconds]).T
        curves = {
            "position": (table.time, table.column(name)),
            "shift of its zero": (moved[0], moved[1]),
        }
        advice = (
            "do not fit this log. An encoder that loses counts, or a loose coupling: check the index, "
            "the connector and the set screw, let it hang at rest at the end, too, and record again"
        )
        yield Finding("drift", verdict, text, numbers, advice, Picture("rad", curves))


def _driven(subject: Subject) -> set[str] | None:
    """Joints with a motor; None if that is not known.

    A robot that nobody described may have motors that are not commanded: actuators that are no joints'
    of the log, such as the axes of a hand, say nothing, and servos may well get no command.
    """
    log = subject.log
    driven = set(log.actuator_joints.values())
    if subject.robot is not None:
        return driven | {each.joint for each in subject.robot.description.actuators}
    known = (
        driven <= set(log.joint_names)
        and log.first(("commanded_position", "commanded_velocity")) is None
    )
    return driven if known else None


def zeros_by_model(
    model: InverseModel, motion: Motion, command: FloatArray, joint: str
) -> list["Second"]:
    """By how much a free joint's zero has moved, second by second, as the motion of all joints tells.

    What the model lacks to explain the joint's motion is gravity at another angle: the shift is fitted
    to
    it, however the joint is swung. An error of mass or length is in proportion to the sine of the angle,
    a shift to its cosine.
    """
    column = motion.names.index(joint)
    unit = np.arange(len(motion.names)) == column
    starts = np.arange(motion.time[0], motion.time[-1] - 0.5 * BIN, BIN)
    place = np.clip(np.searchsorted(starts, motion.time, side="right") - 1, 0, len(starts) - 1)
    away: FloatArray = np.zeros(len(starts))
    power: FloatArray = np.zeros(len(starts))
    for _ in range(ITERATIONS):
        stood = motion.position - away[place, None] * unit
        lacking, probed = (
            model.lacking(replace(motion, position=stood + probe * unit), command)[:, column]
            for probe in (0.0, PROBE)
        )
        slope = (probed - lacking) / PROBE
        power = np.asarray(np.bincount(place, slope**2, len(starts)), dtype=np.float64)
        away += np.bincount(place, lacking * slope, len(starts)) / np.maximum(power, 1e-300)
        away = np.remainder(away + np.pi, 2 * np.pi) - np.pi
    counts = np.bincount(place, minlength=len(starts))
    acts = (counts >= 10) & (power > 0.05 * counts * float(np.max(slope**2)))
    rest = max(REST * quantum_of(motion.position[:, column]), 1e-3)
    return [
        Second(
            float(starts[n] + 0.5 * BIN), float(away[n]), bool(_span(motion, column, place == n) <= rest)
        )
        for n in np.flatnonzero(acts)
    ]


def _span(motion: Motion, column: int, rows: NDArray[np.bool_]) -> float:
    return float(np.ptp(motion.position[rows, column]))


@dataclass(frozen=True, slots=True)
class Second:
    """What a second of a swing says of its zero.

    Attributes:
        time: s, its middle.
        away: rad, by which the middle of the swing lies beside where the joint can hang.
        rests: whether it does not move at all, so that nothing but a moved zero explains `away`.
    """

    time: float
    away: float
    rests: bool


def swings(time: FloatArray, position: FloatArray, hangs: FloatArray | None) -> list[Second]:
    """Where a free joint swings, second by second, where that can be told.

    Args:
        time: (n,) s.
        position: (n,) rad.
        hangs: angles at which it can hang; multiples of half a turn from its first middle if None.
    """
    turns = turning_points(position)
    before, here, after = position[turns[:-2]], position[turns[1:-1]], position[turns[2:]]
    halves = np.abs(here - before), np.abs(after - here)
    even = np.abs(halves[0] - halves[1]) < EVEN * np.maximum(*halves)
    even &= np.maximum(*halves) < SWING_TURN
    # To second order free of the growth or decay of a swing.
    at, middle = time[turns[1:-1]][even], ((before + 2 * here + after) / 4)[even]
    rest = max(REST * quantum_of(position), 1e-3)
    seconds: list[Second] = []
    for start in np.arange(time[0], time[-1] - 0.5 * BIN, BIN):
        inside = position[(time >= start) & (time < start + BIN)]
        swung = middle[(at >= start) & (at < start + BIN)]
        if len(inside) < 3:
            continue
        low, high = float(inside.min()), float(inside.max())
        rests = high - low <= rest
        if len(swung) < 2 and high - low > SWING_BRACKET:
            continue
        value = float(np.median(swung if len(swung) >= 2 else inside))
        if hangs is None:
            hangs = np.asarray(value + np.pi * np.arange(-20, 21), dtype=np.float64)
        if len(hangs) == 0:
            return []  # gravity does not act on it
        away = value - hangs[np.argmin(np.abs(value - hangs))]
        if len(swung) < 2 and not rests:
            # Any swing of a second passes where it would hang; what it misses by is what is sure.
            away = np.sign(away) * max(0.0, min(abs(away), abs(away) - 0.5 * (high - low)))
        seconds.append(Second(float(start + 0.5 * BIN), float(away), rests))
    return seconds


def _lasting(seconds: list[Second]) -> list[tuple[float, float]]:
    """Each `away` that lasts two seconds in a row, or is at rest, with its time in s.

    For less, a push of the joint below may hold a pendulum to one side.
    """
    found = [(second.away, second.time) for second in seconds if second.rests]
    for one, two in pairwise(seconds):
        if two.time - one.time < 1.5 * BIN:
            less = min(one, two, key=lambda each: abs(each.away))
            found.append((less.away if one.away * two.away > 0 else 0.0, less.time))
    return found


def turning_points(position: FloatArray) -> Rows:
    """Rows at which a motion turns, by more than a few encoder steps."""
    threshold = max(4 * quantum_of(position), 0.02 * float(np.ptp(position)), 1e-6)
    turns: list[int] = []
    high = low = 0
    rising: bool | None = None
    for row, value in enumerate(position):
        if value > position[high]:
            high = row
        if value < position[low]:
            low = row
        if rising is not False and position[high] - value > threshold:
            turns.append(high)
            rising, low = False, row
        elif rising is not True and value - position[low] > threshold:
            turns.append(low)
            rising, high = True, row
    return np.array(turns, dtype=np.int64)


def _equilibria(subject: Subject, joint: str) -> FloatArray | None:
    """Angles over some turns at which gravity does not move a joint; None without a model."""
    model = subject.model
    if model is None or (model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
        return None
    data = mujoco.MjData(model)
    place = model.joint(joint).qposadr[0]
    moment = model.joint(joint).dofadr[0]
    angles = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False) + 1e-4
    gravity = np.empty(ANGLES)
    for row, angle in enumerate(angles):
        data.qpos[place] = angle
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        gravity[row] = data.qfrc_bias[moment]
    if np.ptp(gravity) < 1e-9:
        return np.array([])
    crossings = np.flatnonzero(np.sign(gravity) != np.sign(np.roll(gravity, -1)))
    step = 2 * np.pi / ANGLES
    after = np.roll(gravity, -1)[crossings]
    zeros = angles[crossings] + step * gravity[crossings] / (gravity[crossings] - after)
    return np.asarray(np.sort((zeros + 2 * np.pi * np.arange(-8, 9)[:, None]).ravel()))


def _of_servo_errors(subject: Subject) -> Iterator[Finding]:
    log = subject.log
    if "commanded_position" not in log or not np.any(np.ptp(log["commanded_position"].values, axis=0)):
        return
    table = log["joint_position"]
    asked = log.at("commanded_position", table.time, hold=True)
    sag = _sag(subject)
    for column, joint in enumerate(log.joints_of("commanded_position")):
        if joint not in table.names or np.ptp(asked[:, column]) == 0:
            continue
        error = table.column(joint) - asked[:, column] - sag.get(joint, 0.0)
        # Before the first command and after the last, nobody holds it there.
        first, last = log["commanded_position"].time[[0, -1]]
        edges = np.arange(first, last - 0.5 * BIN, BIN)
        inside = [
            (table.time >= edge) & (table.time < edge + BIN) & (table.time <= last) for edge in edges
        ]
        edges = edges[[bool(rows.any()) for rows in inside]]
        means = np.array([np.mean(error[rows]) for rows in inside if rows.any()])
        if len(means) < FEWEST_SECONDS:
            continue
        # The slope over the whole log, as the way from end to end: what a chirp does averages out.
        way, unsure = _trend(edges, means)
        verdict = verdict_of(way, ERROR_DRIFT_WARN, ERROR_DRIFT_FAIL)
        if verdict != "pass" and way < SURE * unsure:
            text = (
                f"not to be told from this log: the error of {joint} changes from second to second by "
                f"{float(np.std(means)):.2g} rad, more than a drift"
            )
            yield Finding("drift", "skip", text, {"drift": way, "unsure": unsure}, unfit=True)
            continue
        text = f"the error of {joint} wanders by {way:.2g} rad over the log"
        picture = None
        if verdict != "pass":
            picture = Picture(
                "rad", {"error": (table.time, error), "mean of 1 s": (edges + BIN / 2, means)}
            )
        advice = "" if verdict == "pass" else "an encoder or a coupling slips, or the motor warms up"
        yield Finding("drift", verdict, text, {"drift": way}, advice, picture)


def _trend(time: FloatArray, values: FloatArray) -> tuple[float, float]:
    """How far a line through values leads from end to end, and the standard error of that."""
    slope, offset = np.polyfit(time, values, 1)
    rest = values - slope * time - offset
    span = float(time[-1] - time[0])
    error = np.sqrt(np.sum(rest**2) / (len(time) - 2) / np.sum((time - time.mean()) ** 2))
    return float(abs(slope)) * span, float(error) * span


def _sag(subject: Subject) -> dict[str, FloatArray]:
    """By joint, how far gravity bends each servo of a fixed robot off its command, rad along the log.

    A soft servo gives way where its arm reaches out: a change of posture must not look like a drift.
    """
    robot, model, table = subject.robot, subject.model, subject.log["joint_position"]
    if robot is None or model is None or (model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
        return {}
    data = mujoco.MjData(model)
    places = [int(model.joint(name).qposadr[0]) for name in table.names]
    bias = np.empty((len(table), model.nv))
    for row, position in enumerate(table.values):
        data.qpos[places] = position
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        bias[row] = data.qfrc_bias
    return {
        each.joint: -bias[:, int(model.joint(each.joint).dofadr[0])] / each.stiffness
        for each in robot.description.actuators
        if each.stiffness and each.joint in table.names
    }
