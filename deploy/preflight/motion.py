"""From command to motion: a small step of one joint, some times, and when the reading begins to follow.

Under a sudden effort a joint goes a t² - b t³ at first, by its inertia and by what brakes it. Of all
moments at which such a motion may have begun, the one is taken from which it fits the readings best: the
first reading that differs would come too late, by what the encoder does not resolve.
"""

import time
from dataclasses import dataclass

import numpy as np

from simreal.contract import Actuator, RobotDescription
from simreal.deploy.bounds import StateBounds
from simreal.deploy.command_limits import within_range
from simreal.deploy.drivers import Driver
from simreal.errors import UserError
from simreal.robots.safety import SafetyConfig
from simreal.state import FloatArray, RobotCommand, RobotState

TRIALS = 6
STEP = {"rad": 0.1, "m": 0.01}
"""Of a position command, from where the joint is."""
EFFORT_SHARE = 0.2
"""Of an actuator's range, for one that takes no position."""
PULSE = {"position": 0.25, "voltage": 0.06, "effort": 0.06}
"""s for which the step lasts."""
REST = 0.4
"""s for which the joint must be still before each step."""
PATIENCE = 6.0
"""s until it is."""
STILL = {"rad": 0.006, "m": 0.0005}
"""By which it may move in that time all the same: two counts of a usual encoder."""
FARTHEST = {"rad": 0.5, "m": 0.05}
"""How far any joint may stray from where it was before the test is broken off."""
POLL = 2e-4
FITTED = 0.7
"""Part of the way, from its beginning, by which the motion is known."""
RESOLUTION = 5e-4
"""s between two beginnings that are tried."""


class UnsafeMotionError(Exception):
    """The test was broken off: the robot did what a small step should not make it do."""


@dataclass(frozen=True, slots=True)
class MotionLatency:
    """What the steps told.

    Attributes:
        joint: that moved.
        milliseconds: from the command to the first motion, of each step that could be read.
        steps: how many were made.
    """

    joint: str
    milliseconds: tuple[float, ...]
    steps: int

    @property
    def median(self) -> float:
        """Of them, ms."""
        return float(np.median(self.milliseconds))


def motion_latency(
    driver: Driver, robot: RobotDescription, safety: SafetyConfig, joint: str | None = None
) -> MotionLatency:
    """Measure it; the robot is off before and after.

    Args:
        driver: connected.
        robot: its description.
        safety: bounds within which it must stay.
        joint: to move; that of the first actuator if absent.

    Raises:
        UserError: no actuator drives that joint, or it did not move.
        UnsafeMotionError: a joint strayed, or a state was out of bounds.
        DriverError: the robot is lost.
    """
    names = [actuator.joint for actuator in robot.actuators]
    place = 0 if joint is None else names.index(joint)
    test = _MotionTest(driver, robot, safety, place)
    try:
        found = [test.step(1.0 if trial % 2 == 0 else -1.0) for trial in range(TRIALS)]
    finally:
        driver.off()
    seen = tuple(each for each in found if each is not None)
    if len(seen) < TRIALS // 3:
        raise UserError(
            f"joint {names[place]} hardly moved, or never came to rest: have its motors power?"
        )
    return MotionLatency(names[place], seen, TRIALS)


class _MotionTest:
    """Steps of one actuator while the others keep where they are, or do nothing."""

    def __init__(
        self, driver: Driver, robot: RobotDescription, safety: SafetyConfig, place: int
    ) -> None:
        self._driver, self._robot, self._safety, self._place = driver, robot, safety, place
        self._bounds = StateBounds(robot, safety)
        self._lower = np.array([actuator.lower for actuator in robot.actuators])
        self._upper = np.array([actuator.upper for actuator in robot.actuators])
        self._driven = [robot.joint_names.index(actuator.joint) for actuator in robot.actuators]
        self._farthest = np.array([FARTHEST[joint.unit] for joint in robot.joints])
        position = driver.read().joint_position[self._driven]
        self._neutral = np.where(
            [actuator.command == "position" for actuator in robot.actuators], position, 0.0
        )

    def step(self, sign: float) -> float | None:
        """Ms from one step's command to the motion that follows; None if too little did."""
        actuator = self._robot.actuators[self._place]
        if not self._settled():
            return None
        target = self._neutral.copy()
        target[self._place] += sign * _size(actuator, self._robot)
        told = time.monotonic()
        times, places = self._go(target, PULSE[actuator.command])
        if actuator.command != "position":  # brake what the pulse began
            later, further = self._go(2.0 * self._neutral - target, PULSE[actuator.command])
            times, places = np.append(times, later), np.append(places, further)
        return onset_ms(times - told, places - places[0], STEP[self._joint_unit] / 5.0)

    def _settled(self) -> bool:
        """Wait until the joint is still; whether it came to rest."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            _, places = self._go(self._neutral, REST)
            if np.ptp(places) <= STILL[self._joint_unit]:
                return True
        return False

    @property
    def _joint_unit(self) -> str:
        return self._robot.joints[self._driven[self._place]].unit

    def _go(self, target: FloatArray, seconds: float) -> tuple[FloatArray, FloatArray]:
        """Command for a while; (n,) s at which each state came, and (n,) places of the joint."""
        command = RobotCommand(within_range(target, self._lower, self._upper))
        start, joint = self._driver.read(), self._driven[self._place]
        told = time.monotonic()
        times, places = [told], [start.joint_position[joint]]
        self._driver.write(command)
        renewed, newest = told, float(start.time)
        while (now := time.monotonic()) - told < seconds:
            if now - renewed > 1e-3 * self._safety.watchdog_ms / 4.0:
                self._driver.write(command)
                renewed = now
            state = self._driver.read()
            if float(state.time) > newest:
                newest = float(state.time)
                self._refuse_straying(state, start.joint_position)
                times.append(newest)
                places.append(state.joint_position[joint])
            time.sleep(POLL)
        return np.array(times), np.array(places)

    def _refuse_straying(self, state: RobotState, start: FloatArray) -> None:
        violation = self._bounds.violation(state, time.monotonic())
        fault = None if violation is None else violation.reason
        driven = self._driven
        strayed = np.abs(state.joint_position - start)[driven] > self._farthest[driven]
        if strayed.any():
            name = self._robot.joint_names[driven[int(np.argmax(strayed))]]
            fault = fault or f"joint {name} strayed from where it was"
        if fault is not None:
            self._driver.off()
            raise UnsafeMotionError(fault)


def _size(actuator: Actuator, robot: RobotDescription) -> float:
    if actuator.command != "position":
        return EFFORT_SHARE * min(actuator.upper, -actuator.lower)
    unit = next(joint.unit for joint in robot.joints if joint.name == actuator.joint)
    return STEP[unit]


def onset_ms(times: FloatArray, moved: FloatArray, least: float) -> float | None:
    """When a motion began that is pushed by a sudden effort and braked by what it stirs.

    Args:
        times: (n,) s since the command.
        moved: (n,) rad or m from where the joint was at rest.
        least: rad or m that it must have gone.

    Returns:
        ms since the command; None of a joint that did not go so far.
    """
    farthest = int(np.argmax(np.abs(moved)))
    distance = moved * np.sign(moved[farthest])
    if distance[farthest] < least:
        return None
    end = int(np.argmax(distance >= FITTED * distance[farthest])) + 1
    begins = np.arange(0.0, times[end - 1], RESOLUTION)
    errors = [_misfit(np.maximum(times[:end] - begin, 0.0), distance[:end]) for begin in begins]
    return 1e3 * float(begins[int(np.argmin(errors))]) if errors else 0.0


def _misfit(since: FloatArray, distance: FloatArray) -> float:
    """How badly a motion with constant effort at first, and with drag, fits what was read."""
    basis = np.stack((since**2, since**3), axis=1)
    (push, drag), *_ = np.linalg.lstsq(basis, distance)
    return float(np.sum((basis @ (push, drag) - distance) ** 2)) if push > 0 else np.inf
