"""Checks of velocities against positions: unit, sign, order of joints, and lag.

All compare how far a joint went, over a quarter of a second, with what its velocity adds up to: sums are
as little disturbed by encoder steps as positions are, where differences of positions are nothing but.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter

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
BETTER = 0.15
"""By how much another joint's must exceed it, to say that the joints are swapped."""
LONGEST_LAG = 0.1
"""s, searched."""
LAG_WARN, LAG_SAMPLES = 0.005, 0.75
"""s and samples, from both of which on a lag matters to a controller or a fit."""
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


def velocity_scale(subject: Subject) -> Finding:
    """Velocities must be the derivatives of positions: same unit, sign and joint."""
    ways = _ways(subject)
    if ways is None:
        return Finding("velocity_scale", "skip", "no joint_position with joint_velocity")
    went, summed, names = ways
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


def _ways(subject: Subject) -> tuple[FloatArray, FloatArray, tuple[str, ...]] | None:
    """Way (n, joints) by positions and by velocities, after the best common lag, of joints that move."""
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
    summed = total[stretch:] - total[:-stretch]
    # A lag lowers correlations of fast motions; most of it is taken out by the best whole shift.
    shifts = range(min(round(LONGEST_LAG / step / 2), len(went) // 2) + 1)
    lag = max(shifts, key=lambda shift: _agreement(went, summed, shift))
    return went[: len(went) - lag], summed[lag:], names


def _agreement(went: FloatArray, summed: FloatArray, shift: int) -> float:
    pairs = [
        abs(correlation(went[: len(went) - shift, joint], summed[shift:, joint]))
        for joint in range(went.shape[1])
    ]
    return float(np.nansum(pairs))


@dataclass(frozen=True, slots=True)
class Lag:
    """How a joint's velocity lags its position.

    Attributes:
        delay: s, of the pure delay that fits best.
        delay_residual: rad, of the way over `STRETCH` with it.
        corner: rad/s, w of the derivative filter w s / (s + w) that fits best.
        corner_residual: rad, likewise.
    """

    delay: float
    delay_residual: float
    corner: float
    corner_residual: float

    @property
    def is_filter(self) -> bool:
        """Whether a filter explains the lag clearly better than a delay."""
        return self.corner_residual < SIMPLER * self.delay_residual

    @property
    def is_delay(self) -> bool:
        """Whether a delay explains the lag clearly better than a filter."""
        return self.delay_residual < SIMPLER * self.corner_residual


def velocity_lag(subject: Subject) -> Finding:
    """How much velocities lag positions, and whether as a pure delay or by a derivative filter."""
    log = subject.log
    if "joint_position" not in log or "joint_velocity" not in log or len(log["joint_position"]) < 50:
        return Finding("velocity_lag", "skip", "no joint_position with joint_velocity")
    time, position = subject.evenly("joint_position")
    velocity = log.at("joint_velocity", time)
    found: dict[str, Lag] = {}
    for column, name in enumerate(log["joint_position"].names):
        if name in log["joint_velocity"].names:
            series = velocity[:, log["joint_velocity"].names.index(name)]
            lag = fit_lag(time, position[:, column], series)
            if lag is not None:
                found[name] = lag
    if not found:
        return Finding("velocity_lag", "skip", "no joint moves enough to see a lag")
    numbers: dict[str, float] = {}
    for name, lag in found.items():
        numbers |= {f"lag_ms_{name}": 1e3 * lag.delay}
        if lag.is_filter:
            numbers |= {f"corner_{name}": lag.corner}
    name = max(found, key=lambda each: found[each].delay)
    lag = found[name]
    if lag.delay < max(LAG_WARN, LAG_SAMPLES * float(time[1] - time[0])):
        text = f"velocities lag positions by {1e3 * lag.delay:.1f} ms at most"
        return Finding("velocity_lag", "pass", text, numbers)
    text = f"velocities lag positions by {1e3 * lag.delay:.1f} ms ({name}), {describe(lag, time)}"
    column = log["joint_position"].names.index(name)
    series = velocity[:, log["joint_velocity"].names.index(name)]
    picture = _lag_picture(name, time, position[:, column], series, lag)
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
    return Lag(*delayed, *filtered)


def _differenced(position: FloatArray) -> FloatArray:
    """What central differences of a position sum up to again, by trapezoids."""
    ends = np.pad(position, 1, mode="edge")
    return np.asarray((ends[2:] + 2 * position + ends[:-2]) / 4, dtype=np.float64)


def _way(time: FloatArray, position: FloatArray) -> FloatArray:
    """How far it goes over `STRETCH`, where no lag reaches back before the log, or beyond its end."""
    step = float(time[1] - time[0])
    stretch = min(max(2, round(STRETCH / step)), len(time) // 2)
    unknown = min(round(LONGEST_LAG / step), len(time) // 8)
    return position[unknown + stretch : -1] - position[unknown : -1 - stretch]


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
