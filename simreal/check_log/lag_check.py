"""Check of how late velocities are against positions, or how early.

Like `velocity_checks`, it compares how far a joint went with what its velocity adds up to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter

from simreal.check_log.finding import Finding, Picture
from simreal.check_log.pictures import fastest_stretch
from simreal.check_log.subject import Subject
from simreal.check_log.velocity_checks import LONGEST_LAG, STRETCH, seconds_apart
from simreal.state import FloatArray

LAG_WARN, LAG_SAMPLES = 0.005, 0.75
"""s and samples, from both of which on a lag or a lead matters to a controller or a fit."""
CORNERS = (4.0, 600.0)
"""rad/s, between which a derivative filter's corner is searched; a faster one is none."""
SIMPLER = 0.8
"""A model of the lag is named if its residual is below this share of the other one's."""
CORNER_TOLERANCE = 0.05
"""Share by which a corner may differ from the robot's description."""
SUBSTEPS = (1, 2, 4)
"""Euler steps of the filter within a sample, to tell its own rate."""
LITTLE_MOTION = 8.0
"""A joint whose ways are not this many times their noise says nothing."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How a joint's velocity lags its position.

    Attributes:
        delay: s, of the pure delay that fits best.
        delay_residual: rad, of the way over `STRETCH` with it.
        corner: rad/s, w of the derivative filter w s / (s + w) that fits best.
        corner_residual: rad, likewise.
        undelayed_residual: rad, of neither.
    """

    delay: float
    delay_residual: float
    corner: float
    corner_residual: float
    undelayed_residual: float

    @property
    def leads(self) -> bool:
        """Whether the velocity comes before its position, which explains it clearly better."""
        return self.delay < 0 and self.delay_residual < SIMPLER * self.undelayed_residual

    @property
    def is_filter(self) -> bool:
        """Whether a filter explains the lag clearly better than a delay."""
        return self.corner_residual < SIMPLER * self.delay_residual

    @property
    def is_delay(self) -> bool:
        """Whether a delay explains the lag clearly better than a filter."""
        return self.delay_residual < SIMPLER * self.corner_residual


def velocity_lag(subject: Subject) -> Finding:
    """How much velocities lag positions, and whether as a pure delay or by a derivative filter.

    None leads them: then positions are late, or one of the two is stamped by another clock.
    """
    log = subject.log
    if "joint_position" not in log or "joint_velocity" not in log or len(log["joint_position"]) < 50:
        return Finding("velocity_lag", "skip", "no joint_position with joint_velocity")
    apart = seconds_apart(subject)
    if apart:
        return _two_clocks(subject, apart)
    found = dict(_lags(subject))
    if not found:
        return Finding("velocity_lag", "skip", "no joint moves enough to see a lag")
    numbers: dict[str, float] = {}
    for name, lag in found.items():
        numbers |= {f"lag_ms_{name}": 1e3 * lag.delay}
        if lag.is_filter:
            numbers |= {f"corner_{name}": lag.corner}
    leads = [name for name, lag in found.items() if lag.leads]
    last = max(found, key=lambda each: found[each].delay)
    first = min(leads, key=lambda each: found[each].delay, default=last)
    time, _ = subject.evenly("joint_position")
    least = max(LAG_WARN, LAG_SAMPLES * float(time[1] - time[0]))
    if -found[first].delay >= max(least, found[last].delay):
        return _lead(subject, first, found[first], numbers)
    if found[last].delay < least:
        text = f"velocities lag positions by {1e3 * found[last].delay:.1f} ms at most"
        return Finding("velocity_lag", "pass", text, numbers)
    return _lag(subject, last, found[last], numbers)


def _lags(subject: Subject) -> Iterator[tuple[str, Lag]]:
    """The lag of each joint that moves enough to tell it."""
    names = subject.log["joint_velocity"].names
    for name in subject.log["joint_position"].names:
        lag = fit_lag(*_series(subject, name)) if name in names else None
        if lag is not None:
            yield name, lag


def _series(subject: Subject, joint: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(n,) even times in s, positions and velocities of a joint."""
    time, position = subject.evenly("joint_position")
    table = subject.log["joint_velocity"]
    velocity = np.interp(time, table.time, table.column(joint))
    return time, position[:, subject.log["joint_position"].names.index(joint)], velocity


def _lag(subject: Subject, name: str, lag: Lag, numbers: dict[str, float]) -> Finding:
    time, position, velocity = _series(subject, name)
    text = f"velocities lag positions by {1e3 * lag.delay:.1f} ms ({name}), {describe(lag, time)}"
    picture = _lag_picture(name, time, position, velocity, lag)
    expected = subject.robot.config.sensing.velocity_filter if subject.robot else None
    if expected and lag.is_filter:
        step = float(time[1] - time[0])
        corners = (lag.corner, *(euler_corner(lag.corner, step, n) for n in SUBSTEPS))
        nearest = min(corners, key=lambda corner: abs(corner - expected))
        if abs(nearest / expected - 1) < CORNER_TOLERANCE:
            text += f"; the robot is described with {expected:g} s / (s + {expected:g})"
            return Finding("velocity_lag", "pass", text, numbers, "", picture)
    advice = (
        "fit positions rather than velocities, or give the robot that filter (sensing.velocity_filter)"
        if lag.is_filter
        else "fit positions rather than velocities, or randomize the sensor's latency around it"
    )
    return Finding("velocity_lag", "warn", text, numbers, advice, picture)


def _lead(subject: Subject, name: str, lag: Lag, numbers: dict[str, float]) -> Finding:
    time, position, velocity = _series(subject, name)
    text = (
        f"velocities lead positions by {-1e3 * lag.delay:.1f} ms ({name}): positions that are filtered, "
        "read before they are stamped, or by another clock"
    )
    advice = "stamp both where they are measured; until then fit with the positions that much sooner"
    picture = _lag_picture(name, time, position, velocity, lag)
    return Finding("velocity_lag", "warn", text, numbers, advice, picture)


def _two_clocks(subject: Subject, apart: float) -> Finding:
    """Velocities that are stamped further from their positions than any sensor is late."""
    side = "after" if apart > 0 else "before"
    text = f"all velocities come {abs(apart):.2g} s {side} the motion that positions tell: two clocks"
    names = subject.log["joint_velocity"].names
    name = next(name for name in subject.log["joint_position"].names if name in names)
    time, position, velocity = _series(subject, name)
    curves = {f"{name}, by its positions": np.gradient(position, time), "as reported": velocity}
    picture = fastest_stretch(time, curves, "rad/s", velocity)
    advice = "stamp positions and velocities by one clock; until then leave velocities out of a fit"
    return Finding("velocity_lag", "fail", text, {"apart_s": apart}, advice, picture)


def describe(lag: Lag, time: FloatArray) -> str:
    """What kind of lag it is, in words."""
    if not lag.is_filter:
        return "a pure delay" if lag.is_delay else "a delay or a filter: they cannot be told apart here"
    step = float(time[1] - time[0])
    euler = [f"{euler_corner(lag.corner, step, n):.1f} at {n / step:.0f} Hz" for n in SUBSTEPS]
    text = f"a derivative filter w s / (s + w) with w = {lag.corner:.1f} rad/s"
    return f"{text}, or if it runs by Euler steps {', '.join(euler)}"


def fit_lag(time: FloatArray, position: FloatArray, velocity: FloatArray) -> Lag | None:
    """Fit a delay and a derivative filter to a joint's velocity.

    The sum of the velocity is, up to a constant, the position itself under a delay, and the position
    through the low-pass w / (s + w) under the filter w s / (s + w).

    Args:
        time: (n,) s, in even steps.
        position: (n,) rad.
        velocity: (n,) rad/s.

    Returns:
        The fit, or None if the joint moves too little, or its velocity is not its position's.
    """
    # A robot may tell differences of positions, which smooth like a fast filter does: both explanations
    # are tried on the positions and on what sums of such differences give, or smoothing alone decides.
    series = (position, _differenced(position))
    delayed = min((_fit_delay(time, each, velocity) for each in series), key=lambda fit: fit[1])
    filtered = min((_fit_filter(time, each, velocity) for each in series), key=lambda fit: fit[1])
    spread = float(np.std(_way(time, cumulative_trapezoid(velocity, time, initial=0))))
    if not spread > LITTLE_MOTION * min(delayed[1], filtered[1]):
        return None
    undelayed = _residual(time, velocity, lambda _: position)(0.0)
    return Lag(*delayed, *filtered, undelayed)


def _differenced(position: FloatArray) -> FloatArray:
    """What central differences of a position sum up to again, by trapezoids."""
    ends = np.pad(position, 1, mode="edge")
    return np.asarray((ends[2:] + 2 * position + ends[:-2]) / 4, dtype=np.float64)


def _way(time: FloatArray, position: FloatArray) -> FloatArray:
    """How far it goes over `STRETCH`, where no lag or lead reaches beyond the log."""
    step = float(time[1] - time[0])
    stretch = min(max(2, round(STRETCH / step)), len(time) // 2)
    unknown = min(round(LONGEST_LAG / step), len(time) // 8)
    end = len(time) - max(1, unknown)
    return position[unknown + stretch : end] - position[unknown : end - stretch]


def _residual(
    time: FloatArray, velocity: FloatArray, model: Callable[[float], FloatArray]
) -> Callable[[float], float]:
    """Root mean square of the ways by a velocity less those by a model of the position, rad."""
    summed = _way(time, cumulative_trapezoid(velocity, time, initial=0))
    return lambda value: float(np.sqrt(np.mean((summed - _way(time, model(value))) ** 2)))


def _fit_delay(time: FloatArray, position: FloatArray, velocity: FloatArray) -> tuple[float, float]:
    """The best delay, s, and its residual."""
    residual = _residual(time, velocity, lambda delay: np.interp(time - delay, time, position))
    delay = _minimum(residual, -0.2 * LONGEST_LAG, LONGEST_LAG, 61)
    # Few velocities lead, and a fast swing is as late as it is early.
    lead = _minimum(residual, -LONGEST_LAG, -0.2 * LONGEST_LAG, 41)
    delay = lead if residual(lead) < SIMPLER * residual(delay) else delay
    return delay, residual(delay)


def _fit_filter(time: FloatArray, position: FloatArray, velocity: FloatArray) -> tuple[float, float]:
    """The best corner, rad/s, and its residual."""
    step = float(time[1] - time[0])
    residual = _residual(time, velocity, lambda corner: low_pass(position, corner, step))
    low, high = np.log(CORNERS)
    corner = float(np.exp(_minimum(lambda each: residual(float(np.exp(each))), low, high, 60)))
    corner = _sharpened(position, velocity, corner, step)
    return corner, residual(corner)


def _sharpened(position: FloatArray, velocity: FloatArray, corner: float, step: float) -> float:
    """The corner near a first one that reproduces the velocity itself best, rad/s."""
    skipped = min(round(5 / (corner * step)), len(position) // 2)

    def residual(log_corner: float) -> float:
        w = float(np.exp(log_corner))
        modelled = w * (position - low_pass(position, w, step))
        return float(np.sqrt(np.mean((modelled - velocity)[skipped:-1] ** 2)))

    return float(np.exp(_minimum(residual, np.log(0.7 * corner), np.log(1.3 * corner), 15)))


def euler_corner(corner: float, step: float, substeps: int) -> float:
    """The w, rad/s, of the same filter run by so many Euler steps in each sample's step of `step` s.

    An Euler step of h puts the pole at 1 - w h, not at exp(-w h): what looks like 52.7 rad/s is 50 at
    500 Hz. With the motion a line between samples, both give the same velocities at the samples.
    """
    return float(substeps * (1 - np.exp(-corner * step / substeps)) / step)


def low_pass(series: FloatArray, corner: float, step: float) -> FloatArray:
    """A series that is a line between samples, through w / (s + w), from rest.

    Args:
        series: (n,).
        corner: rad/s, w.
        step: s.
    """
    pole = np.exp(-corner * step)
    new = 1 - (1 - pole) / (corner * step)
    old = (1 - pole) / (corner * step) - pole
    return np.asarray(
        lfilter([new, old], [1, -pole], series, zi=[series[0] - new * series[0]])[0], dtype=np.float64
    )


def _minimum(function: Callable[[float], float], low: float, high: float, points: int) -> float:
    """Where a function is least: on a grid, then between its neighbours."""
    grid = np.linspace(low, high, points)
    at = int(np.argmin([function(float(each)) for each in grid]))
    bounds = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, points - 1)])
    return float(minimize_scalar(function, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


def _lag_picture(
    name: str, time: FloatArray, position: FloatArray, velocity: FloatArray, lag: Lag
) -> Picture:
    """Two seconds around the fastest motion."""
    step = float(time[1] - time[0])
    fastest = int(np.argmax(np.abs(velocity)))
    part = slice(max(0, fastest - round(0.5 / step)), fastest + round(0.5 / step))
    curves = {
        f"{name}, logged": (time[part], velocity[part]),
        "derivative of position": (time[part], np.gradient(position, step)[part]),
    }
    if lag.is_filter:
        filtered = lag.corner * (position - low_pass(position, lag.corner, step))
        curves["derivative through the filter"] = (time[part], filtered[part])
    return Picture("rad/s", curves)
