"""Bounds on a measurement: one vector of all that is bounded, compared at once."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Section:
    """Neighbours in the vector: where they stand, what reads them, and how one beyond is told of."""

    check: Check
    place: slice
    read: Callable[[RobotState, float], FloatArray | float | None]
    tell: Callable[[int, float, float, float], str]
    """Of the entry's index, its value, its lower and its upper bound."""
    fallback: FloatArray
    """What stands there where a robot does not report it: within all bounds."""


class StateBounds:
    """Whether a measurement is whole, fresh and within the robot's bounds."""

    def __init__(self, robot: RobotDescription, safety: SafetyConfig) -> None:
        """Gather the bounds of a robot."""
        self._sections: list[_Section] = []
        self._lower = self._upper = self._values = np.zeros(0)
        joints, count = robot.joint_names, len(robot.joints)
        stale = 1e-3 * safety.stale_state_ms
        # A time from the future, or none, would never grow stale.
        self._add("stale_state", lambda state, now: now - float(state.time), [-stale], [stale], _old)
        self._add(
            "stale_state",
            lambda state, now: None if state.drives is None else _ages(state, now),
            [-FINITE] * count,
            [stale] * count,
            lambda i, age, low, high: f"joint {joints[i]}: " + _old(i, age, low, high),
        )
        finite = [-FINITE] * count, [FINITE] * count
        for name in ("joint_position", "joint_velocity", "joint_effort"):
            self._add("not_a_number", _reading(name), *finite, _reports(name, joints))
        for name, width in IMU_WIDTHS.items():
            # A loop's memory of late binding: the name is bound by the function that makes the reader.
            ends = [-FINITE] * width, [FINITE] * width
            self._add("not_a_number", _reading(name), *ends, _imu_reports(name))
        position = [safety.joint_position.get(name, (-FINITE, FINITE)) for name in joints]
        lower, upper = zip(*position, strict=True)
        self._add("joint_position", _reading("joint_position"), lower, upper, _outside(joints))
        for check, limits in (
            ("joint_velocity", safety.joint_velocity),
            ("joint_effort", safety.joint_effort),
        ):
            largest = np.array([limits.get(name, FINITE) for name in joints])
            self._add(check, _reading(check), -largest, largest, _beyond(check, joints))  # type: ignore[arg-type]
        self._add_drives(safety, joints)
        self._add_body(safety)

    def _add_drives(self, safety: SafetyConfig, joints: Sequence[str]) -> None:
        if safety.temperature is not None:
            self._add(
                "temperature",
                lambda state, now: None if state.drives is None else state.drives.temperature,
                [-FINITE] * len(joints),
                [safety.temperature] * len(joints),
                lambda i, value, low, high: f"joint {joints[i]} is at {value:.4g} °C, above {high:g} °C",
            )
        if safety.supply_voltage is not None:
            self._add(
                "supply_voltage",
                lambda state, now: None if state.drives is None else state.drives.supply_voltage,
                safety.supply_voltage[:1],
                safety.supply_voltage[1:],
                lambda i, value, low, high: (
                    f"the supply is at {value:.4g} V, outside {low:g} to {high:g} V"
                ),
            )

    def _add_body(self, safety: SafetyConfig) -> None:
        self._add(
            "not_a_number",
            lambda state, now: _norm(state.orientation),
            [1.0 - UNIT_TOLERANCE],
            [1.0 + UNIT_TOLERANCE],
            lambda i, value, low, high: (
                f"the IMU reports an orientation of length {value:.4g}, which is no unit quaternion"
            ),
        )
        if safety.tilt is not None:
            self._add(
                "tilt",
                lambda state, now: tilt(state.orientation),
                [-FINITE],
                [safety.tilt],
                lambda i, value, low, high: (
                    f"the body is tilted by {value:.3g} rad, more than {high:g} rad"
                ),
            )
        if safety.angular_velocity is not None:
            self._add(
                "angular_velocity",
                lambda state, now: _norm(state.angular_velocity),
                [-FINITE],
                [safety.angular_velocity],
                lambda i, value, low, high: (
                    f"the body turns at {value:.3g} rad/s, faster than {high:g} rad/s"
                ),
            )

    def _add(
        self,
        check: Check,
        read: Callable[[RobotState, float], FloatArray | float | None],
        lower: Sequence[float] | FloatArray,
        upper: Sequence[float] | FloatArray,
        tell: Callable[[int, float, float, float], str],
    ) -> None:
        start = len(self._lower)
        low, high = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
        fallback = np.clip(0.0, low, high)
        place = slice(start, start + len(low))
        self._sections.append(_Section(check, place, read, tell, fallback))
        self._lower, self._upper = np.append(self._lower, low), np.append(self._upper, high)
        self._values = np.append(self._values, fallback)

    def violation(self, state: RobotState, now: float) -> Violation | None:
        """The first bound that a measurement of (joints,) arrays does not keep, or None.

        What is no number keeps no bound.

        Args:
            state: the measurement.
            now: s, on the clock of its time.
        """
        values = self._values
        for section in self._sections:
            reading = section.read(state, now)
            values[section.place] = section.fallback if reading is None else reading
        within = (values >= self._lower) & (values <= self._upper)
        if all_true(within):
            faults = () if state.drives is None else state.drives.faults
            return Violation("motor_fault", "; ".join(faults)) if faults else None
        place = int(np.argmin(within))
        section = next(each for each in self._sections if place < each.place.stop)
        numbers = (float(each[place]) for each in (values, self._lower, self._upper))
        return Violation(section.check, section.tell(place - section.place.start, *numbers))


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
    assert state.drives is not None
    return None if state.drives.joint_time is None else now - state.drives.joint_time


def _reading(name: str) -> Callable[[RobotState, float], FloatArray | None]:
    return lambda state, now: getattr(state, name)


def _old(index: int, age: float, lower: float, upper: float) -> str:
    return (
        f"state is {1e3 * age:.0f} ms old, at most {1e3 * upper:g} ms are allowed "
        "(stale_state_ms in robot.yaml): the robot is silent, or this computer too busy"
    )


def _reports(name: str, joints: Sequence[str]) -> Callable[[int, float, float, float], str]:
    quantity = name.removeprefix("joint_")
    return lambda i, value, low, high: f"joint {joints[i]} reports {quantity} {value}"


def _imu_reports(name: str) -> Callable[[int, float, float, float], str]:
    quantity = name.replace("_", " ")
    return lambda i, value, low, high: f"the IMU reports {quantity} {value}"


def _outside(joints: Sequence[str]) -> Callable[[int, float, float, float], str]:
    return lambda i, value, low, high: f"joint {joints[i]} at {value:.4g}, outside {low:g} to {high:g}"


def _beyond(check: str, joints: Sequence[str]) -> Callable[[int, float, float, float], str]:
    if check == "joint_velocity":
        return lambda i, value, low, high: (
            f"joint {joints[i]} moves at {value:.4g}, faster than {high:g}"
        )
    return lambda i, value, low, high: f"joint {joints[i]} bears {value:.4g}, more than {high:g}"
