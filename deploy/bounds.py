"""Bounds on a measurement: one vector of all that is bounded, compared at once."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.robots.safety import Check, SafetyConfig
from simreal.state import IMU_WIDTHS, FloatArray, RobotState

FINITE = sys.float_info.max
UNIT_TOLERANCE = 0.01
"""By which the length of a quaternion may differ from 1."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A check that failed, and why, for people."""

    check: Check
    reason: str


Read = Callable[[RobotState, float], FloatArray | float | None]
"""What is bounded, of a measurement at s of now; None where a robot does not report it."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """Neighbours in the vector, each between a lower and an upper bound.

    Attributes:
        check: that fails where one is beyond.
        read: them.
        lower: bounds, one for each.
        upper: likewise.
        text: for people, a format of `value`, `low`, `high`, the ages `value_ms` and `high_ms`, and
            `name`.
        names: of each; none where one number is bounded.
    """

    check: Check
    read: Read
    lower: Sequence[float] | FloatArray
    upper: Sequence[float] | FloatArray
    text: str
    names: Sequence[str] = ()

    def tell(self, place: int, value: float, low: float, high: float) -> str:
        """What is wrong with one of them."""
        name = self.names[place] if self.names else ""
        ages = {"value_ms": 1e3 * value, "high_ms": 1e3 * high}
        return self.text.format(value=value, low=low, high=high, name=name, **ages)


OLD = (
    "state is {value_ms:.0f} ms old, at most {high_ms:g} ms are allowed "
    "(stale_state_ms in robot.yaml): the robot is silent, or this computer too busy"
)


def _freshness(safety: SafetyConfig, joints: Sequence[str]) -> Iterator[_Bound]:
    """A time from the future, or none, would never grow stale."""
    stale, count = 1e-3 * safety.stale_state_ms, len(joints)
    yield _Bound("stale_state", lambda state, now: now - float(state.time), [-stale], [stale], OLD)
    yield _Bound("stale_state", _ages, [-FINITE] * count, [stale] * count, OLD, joints)


def _finite(joints: Sequence[str]) -> Iterator[_Bound]:
    for name in ("joint_position", "joint_velocity", "joint_effort"):
        quantity = name.removeprefix("joint_")
        ends = [-FINITE] * len(joints), [FINITE] * len(joints)
        yield _Bound(
            "not_a_number", _state(name), *ends, f"joint {{name}} reports {quantity} {{value}}", joints
        )
    for name, width in IMU_WIDTHS.items():
        quantity = name.replace("_", " ")
        ends = [-FINITE] * width, [FINITE] * width
        yield _Bound("not_a_number", _state(name), *ends, f"the IMU reports {quantity} {{value}}")


def _joint_limits(safety: SafetyConfig, joints: Sequence[str]) -> Iterator[_Bound]:
    limits = [safety.joint_position.get(name, (-FINITE, FINITE)) for name in joints]
    lower, upper = zip(*limits, strict=True)
    outside = "joint {name} at {value:.4g}, outside {low:g} to {high:g}"
    yield _Bound("joint_position", _state("joint_position"), lower, upper, outside, joints)
    fastest = np.array([safety.joint_velocity.get(name, FINITE) for name in joints])
    faster = "joint {name} moves at {value:.4g}, faster than {high:g}"
    yield _Bound("joint_velocity", _state("joint_velocity"), -fastest, fastest, faster, joints)
    strongest = np.array([safety.joint_effort.get(name, FINITE) for name in joints])
    stronger = "joint {name} bears {value:.4g}, more than {high:g}"
    yield _Bound("joint_effort", _state("joint_effort"), -strongest, strongest, stronger, joints)


def _drive_limits(safety: SafetyConfig, joints: Sequence[str]) -> Iterator[_Bound]:
    if safety.temperature is not None:
        hottest = [safety.temperature] * len(joints)
        hotter = "joint {name} is at {value:.4g} °C, above {high:g} °C"
        lowest = [-FINITE] * len(joints)
        yield _Bound("temperature", _drives("temperature"), lowest, hottest, hotter, joints)
    if safety.supply_voltage is not None:
        ends = safety.supply_voltage[:1], safety.supply_voltage[1:]
        outside = "the supply is at {value:.4g} V, outside {low:g} to {high:g} V"
        yield _Bound("supply_voltage", _drives("supply_voltage"), *ends, outside)


def _body_limits(safety: SafetyConfig) -> Iterator[_Bound]:
    yield _Bound(
        "not_a_number",
        lambda state, now: _norm(state.orientation),
        [1.0 - UNIT_TOLERANCE],
        [1.0 + UNIT_TOLERANCE],
        "the IMU reports an orientation of length {value:.4g}, which is no unit quaternion",
    )
    if safety.tilt is not None:
        yield _Bound(
            "tilt",
            lambda state, now: tilt(state.orientation),
            [-FINITE],
            [safety.tilt],
            "the body is tilted by {value:.3g} rad, more than {high:g} rad",
        )
    if safety.angular_velocity is not None:
        yield _Bound(
            "angular_velocity",
            lambda state, now: _norm(state.angular_velocity),
            [-FINITE],
            [safety.angular_velocity],
            "the body turns at {value:.3g} rad/s, faster than {high:g} rad/s",
        )


class StateBounds:
    """Whether a measurement is whole, fresh and within the robot's bounds."""

    def __init__(self, robot: RobotDescription, safety: SafetyConfig) -> None:
        """Gather the bounds of a robot."""
        joints = robot.joint_names
        self._joints, self._oldest = joints, 1e-3 * safety.stale_state_ms
        bounds = [
            *_freshness(safety, joints),
            *_finite(joints),
            *_joint_limits(safety, joints),
            *_drive_limits(safety, joints),
            *_body_limits(safety),
        ]
        self._lower = np.concatenate([np.asarray(each.lower, dtype=np.float64) for each in bounds])
        self._upper = np.concatenate([np.asarray(each.upper, dtype=np.float64) for each in bounds])
        # What stands where a robot does not report something: within all bounds.
        fallback = np.clip(0.0, self._lower, self._upper)
        self._values = fallback.copy()
        ends = np.cumsum([len(each.lower) for each in bounds]).tolist()
        places = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self._sections = [
            (each, place, fallback[place]) for each, place in zip(bounds, places, strict=True)
        ]

    def violation(self, state: RobotState, now: float) -> Violation | None:
        """The first bound that a measurement of (joints,) arrays does not keep, or None.

        What is no number keeps no bound.

        Args:
            state: the measurement.
            now: s, on the clock of its time.
        """
        values = self._values
        for bound, place, fallback in self._sections:
            reading = bound.read(state, now)
            values[place] = fallback if reading is None else reading
        within = (values >= self._lower) & (values <= self._upper)
        if all_true(within):
            faults = () if state.drives is None else state.drives.faults
            return Violation("motor_fault", "; ".join(faults)) if faults else None
        first = int(np.argmin(within))
        bound, place, _ = next(each for each in self._sections if first < each[1].stop)
        numbers = (float(each[first]) for each in (values, self._lower, self._upper))
        reason = bound.tell(first - place.start, *numbers)
        if bound.check == "stale_state":
            reason = self._silent(state, now) + reason
        return Violation(bound.check, reason)

    def _silent(self, state: RobotState, now: float) -> str:
        """Which joints are too old, where others are not: a plug that is loose is one joint's."""
        ages = _ages(state, now)
        old = [] if ages is None else list(compress(self._joints, (ages > self._oldest).tolist()))
        return f"joint {', '.join(old)}: " if 0 < len(old) < len(self._joints) else ""


def all_true(mask: NDArray[np.bool_]) -> bool:
    """Whether every entry is true; a fifth of the cost of `mask.all()` on arrays as small as these."""
    return b"\0" not in mask.tobytes()


def tilt(orientation: FloatArray | None) -> float | None:
    """Angle in rad between the body's upward axis and the vertical, of a unit quaternion w, x, y, z."""
    if orientation is None:
        return None
    _, x, y, _ = orientation.tolist()
    cosine = 1.0 - 2.0 * (x * x + y * y)  # third diagonal entry of the rotation matrix
    return math.acos(min(max(cosine, -1.0), 1.0)) if math.isfinite(cosine) else math.nan


def _norm(values: FloatArray | None) -> float | None:
    return None if values is None else math.hypot(*values.tolist())


def _ages(state: RobotState, now: float) -> FloatArray | None:
    if state.drives is None or state.drives.joint_time is None:
        return None
    return now - state.drives.joint_time


def _state(name: str) -> Read:
    return lambda state, now: getattr(state, name)


def _drives(name: str) -> Read:
    return lambda state, now: None if state.drives is None else getattr(state.drives, name)
