"""Commands whose clock leaves that of the measurements on the way: it jumps, or runs at another speed.

Whatever a robot makes of its commands, it makes the same of them all along. So one response to them is
fitted to the whole log, as it is stamped and as it would be by a clock that had jumped or run fast: one
that leaves far less unexplained is the true one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from simreal.check_log.finding import Finding, Verdict, verdict_of
from simreal.check_log.pictures import steps_picture
from simreal.check_log.responses import LAGS, Change, Response, Warp, responses
from simreal.check_log.subject import Subject
from simreal.state import FloatArray

ELSEWHERE = (-0.9, -0.45, 0.0, 0.45, 0.9)
"""s, by which all commands may be stamped late, so that their clock does not change on the way."""
LONGEST = 60.0
"""s of a log that are looked at: where most is asked, or around a jump."""
ROWS = 800
"""That are looked at, at most."""
SHORTEST = 5.0
"""s, below which a log says nothing of a clock."""
EXPLAINED = 0.35
"""Share of the variance of its motion that may be unexplained for a joint to answer its commands."""
CLEARLY = 0.6
"""Share of what is unexplained that another clock may leave, to be the true one."""
WORSE = 0.01
"""Share of the variance of a joint's motion that another clock may leave unexplained in addition."""
PRECISE = 0.002
"""Share of the variance: if no more is unexplained, nothing is wrong with a clock."""
JUMP, LONG = 0.1, 3.0
"""s, and median steps, of a step between two commands that may be a jump of their clock."""
ONE_CLOCK = "stamp commands where they are sent, by the clock that stamps measurements"
"""What to do where commands are stamped apart, in whatever way."""
MOST_JUMPS = 5
"""The longest such steps, which are looked at."""
FASTEST, APART = 0.065, 0.1
"""Share by which a clock may be fast or slow, and s at the end of a log from one try to the next."""
AGREE = np.array([0.8, 1.0, 1.2])
"""Times the speed of a clock that all joints tell: each of them agrees that it is no other one."""
DRIFT_WARN, DRIFT_FAIL = 0.03, 0.1
"""s, by which a clock that runs fast leaves the others in what is looked at."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """How the clock of commands leaves that of measurements.

    Attributes:
        channel: of the commands.
        unexplained: share of the variance of the motion that is unexplained as it is stamped, of joints
            that answer, in the mean.
        otherwise: that share by the other clock.
        jump: s, by which it jumps.
        at: s, where it jumps.
        rate: share by which it runs fast.
        seconds: s, of the log in which that was seen.
    """

    channel: str
    unexplained: float
    otherwise: float
    jump: float = 0.0
    at: float = 0.0
    rate: float = 0.0
    seconds: float = 0.0


def command_clock(subject: Subject) -> Finding | None:
    """Commands must be stamped by a clock that stays with that of measurements."""
    change = changed_clock(subject)
    if change is None:
        return None
    drift = change.rate * change.seconds
    if change.jump:
        text = f"jumps by {change.jump:.3g} s at {change.at:.3f} s, and that of measurements does not"
    else:
        side = "fast" if change.rate > 0 else "slow"
        text = (
            f"runs {100 * abs(change.rate):.2g} % {side}, {abs(drift):.2g} s in {change.seconds:.3g} s"
        )
    text = (
        f"the clock of {change.channel} {text}: undone, {100 * change.otherwise:.2g} % of what answers "
        f"is unexplained, {100 * change.unexplained:.2g} % now"
    )
    numbers = {"jump_s": change.jump, "at_s": change.at, "rate": change.rate, "drift_s": drift}
    gravest: Verdict = "fail" if change.jump else verdict_of(abs(drift), DRIFT_WARN, DRIFT_FAIL)
    table = subject.log[change.channel]
    long = np.flatnonzero(table.time[:-1] == change.at) if change.jump else np.array([], dtype=np.int64)
    picture = steps_picture(table, long)
    return Finding("clock", gravest, text, numbers, ONE_CLOCK, picture, blocks=gravest == "fail")


def changed_clock(subject: Subject) -> ClockChange | None:
    """How the clock of commands leaves that of measurements on the way; None if it does not."""
    for response in responses(subject):
        found = _jump(response) or _rate(response)
        if found is not None:
            return found
    return None


def _jump(response: Response) -> ClockChange | None:
    """A step between two commands, after which joints answer by that much sooner."""
    stamps = response.command.time
    steps = np.diff(stamps)
    usual = float(np.median(steps))
    long = np.flatnonzero(steps > max(JUMP + usual, LONG * usual))
    for row in sorted(long, key=lambda each: -steps[each])[:MOST_JUMPS]:
        at, jump = float(stamps[row]) + usual, float(steps[row]) - usual
        # If nothing came for a while, nothing tells what joints answered then.
        answered = (response.time < at) | (response.time > at + jump + LAGS[-1])
        near = _some(response, answered & (np.abs(response.time - at) < 0.5 * LONGEST))

        def warp(time: FloatArray, at: float = at, jump: float = jump) -> FloatArray:
            return np.asarray(time + jump * (time >= at))

        shares = _clearer(near, warp) if _any_answers_badly(near) else None
        if shares is not None:
            return ClockChange(response.channel, *shares, jump=jump, at=float(stamps[row]))
    return None


def _rate(response: Response) -> ClockChange | None:
    """A speed of the clock of commands, by which joints answer alike all along."""
    start = _busiest(response)
    part = _some(response, (response.time >= start) & (response.time < start + LONGEST))
    seconds = float(np.ptp(part.time)) if len(part.time) else 0.0
    if seconds < SHORTEST or not _any_answers_badly(part):
        return None
    start, tries = float(part.time[0]), int(FASTEST * seconds / APART) + 1
    rates = APART / seconds * np.arange(-tries, tries + 1)

    def warped(rate: float, late: float) -> Warp:
        return lambda time: np.asarray(time + late + rate * (time - start))

    def left(rate: float, late: float) -> float:
        return float(np.mean(np.minimum(part.unexplained(warped(rate, late)), 1.0)))

    late, rate = min(
        ((late, rate) for late in ELSEWHERE for rate in rates), key=lambda x: left(*x[::-1])
    )
    bounds = rate - APART / seconds, rate + APART / seconds
    rate = float(minimize_scalar(left, args=(late,), bounds=bounds, method="bounded").x)
    if abs(rate) * seconds < DRIFT_WARN:
        return None
    shares = _clearer(part, warped(rate, late), "motion")
    if shares is None or not _agreed(part, lambda each: warped(each, late), rate):
        return None
    return ClockChange(response.channel, *shares, rate=rate, seconds=seconds)


def _agreed(part: Response, warped: Callable[[float], Warp], rate: float) -> bool:
    """Whether it is the clock and not the robot that changes with time.

    It is what all joints tell alike, or what no robot can become.
    """
    shares = np.array([part.unexplained(warped(each)) for each in rate * AGREE])
    answers = shares[1] < EXPLAINED
    alike = shares[1, answers] < shares[[0, 2]][:, answers]
    if answers.sum() > 1 and alike.all():
        return True
    return _clearer(part, warped(rate), "time") is not None


def _clearer(response: Response, warp: Warp, change: Change = "none") -> tuple[float, float] | None:
    """What is unexplained as it is stamped, and by another clock; None unless that is far less.

    A response that changes with something may explain the motion as it is stamped.
    """
    otherwise = response.unexplained(warp)
    answers = otherwise < EXPLAINED
    if not answers.any():
        return None
    stamped = [response.unexplained(_late(late), change) for late in ELSEWHERE]
    given = min((each[answers] for each in stamped), key=np.sum)
    otherwise = otherwise[answers]
    if otherwise.mean() > CLEARLY * given.mean() or (otherwise > given + WORSE).any():
        return None
    return float(given.mean()), float(otherwise.mean())


def _late(late: float) -> Warp:
    return lambda time: time + late


def _any_answers_badly(response: Response) -> bool:
    """Whether a joint that answers its commands leaves something to be explained."""
    return bool((response.unexplained(lambda time: time) > PRECISE).any())


def _busiest(response: Response) -> float:
    """Where the part of a log begins, s, that is looked at: in which commands change most."""
    time, values = response.command.time, response.command.values
    changes = np.abs(np.diff(values, axis=0)) / np.ptp(values, axis=0)
    so_far = np.concatenate([[0.0], np.cumsum(changes.sum(axis=1))])
    gained = np.interp(time + LONGEST, time, so_far) - so_far
    return max(float(time[int(np.argmax(gained))]), float(response.time[0]))


def _some(response: Response, keep: NDArray[np.bool_]) -> Response:
    """An even choice of rows."""
    rows = np.flatnonzero(keep)
    return response.rows(rows[:: max(1, -(-len(rows) // ROWS))])
