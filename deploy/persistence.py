"""Checks that need time: what may be so for a moment, and must not stay so."""

import math

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.deploy.bounds import Violation, all_true
from simreal.robots.safety import SafetyConfig
from simreal.state import FloatArray, RobotState

LOOK_PERIOD = 0.01
"""s between two looks at measurements: nothing that must persist needs more."""


def held_for(condition: NDArray[np.bool_], before: FloatArray, dt: float) -> FloatArray:
    """S for which each condition has held without a break; `before` is the last answer."""
    return condition * (before + dt)


def mismatch_after(
    before: FloatArray, moved: FloatArray, velocity: FloatArray, dt: float, memory: float
) -> FloatArray:
    """How far positions and velocities contradict each other, with older contradictions fading.

    Args:
        before: the last answer, rad or m.
        moved: since then, by the positions.
        velocity: by the velocities, rad/s or m/s.
        dt: s since then.
        memory: s after which e⁻¹ of a contradiction is left.
    """
    return before * math.exp(-dt / memory) + moved - velocity * dt


def misses_after(before: float, missed: int, dt: float) -> float:
    """Skipped periods within about one second; older ones fade. `before` is the last answer."""
    return before * math.exp(-dt) + missed


class Persistence:
    """Watches for stalled joints, saturated actions, frozen and contradictory measurements."""

    def __init__(self, robot: RobotDescription, safety: SafetyConfig) -> None:
        """Gather the bounds of a robot."""
        self._robot, self._safety = robot, safety
        actuators, joints = robot.actuators, robot.joint_names
        self._driven = np.array([joints.index(each.joint) for each in actuators])
        self._servo = np.array([each.command == "position" for each in actuators])
        self._must_move = np.array([safety.stall.get(each.name, np.inf) for each in actuators])
        self._mismatch_limit = np.array([safety.position_mismatch.get(name, np.inf) for name in joints])
        self._watches_stall = bool(safety.stall)
        self._watches_mismatch = bool(safety.position_mismatch)
        self.begin()

    def begin(self) -> None:
        """Forget what has been."""
        count = len(self._driven)
        self._stalled, self._saturated = np.zeros(count), np.zeros(count)
        self._mismatch = np.zeros(len(self._robot.joints))
        self._frozen = self._since_look = 0.0
        self._last: RobotState | None = None

    def of_state(self, state: RobotState, sent: FloatArray | None, dt: float) -> Violation | None:
        """What a measurement shows that belongs to a command; nothing where none was sent.

        Args:
            state: (joints,) arrays.
            sent: (actuators,) targets that the motors follow; None while they follow none.
            dt: s since the last call.
        """
        self._since_look += dt
        if self._since_look < LOOK_PERIOD and self._last is not None:
            return None
        dt, self._since_look = self._since_look, 0.0
        last, self._last = self._last, state
        found = self._mismatched(state, last)
        if sent is None:
            self._frozen = 0.0
            self._stalled[:] = 0.0
            return found
        return found or self._standing(state, sent, dt) or self._unchanging(state, last, sent, dt)

    def _mismatched(self, state: RobotState, last: RobotState | None) -> Violation | None:
        if not self._watches_mismatch or last is None:
            return None
        dt = float(state.time) - float(last.time)
        if dt <= 0.0:
            return None
        moved = state.joint_position - last.joint_position
        velocity = 0.5 * (state.joint_velocity + last.joint_velocity)
        self._mismatch = mismatch_after(self._mismatch, moved, velocity, dt, self._safety.mismatch_s)
        within = np.abs(self._mismatch) <= self._mismatch_limit
        if all_true(within):
            return None
        place = int(np.argmin(within))
        return Violation(
            "inconsistent_state",
            f"joint {self._robot.joint_names[place]}: its positions and its velocities contradict each "
            f"other by {abs(self._mismatch[place]):.3g}, more than {self._mismatch_limit[place]:g}",
        )

    def _standing(self, state: RobotState, sent: FloatArray, dt: float) -> Violation | None:
        if not self._watches_stall:
            return None
        pull = np.abs(sent - self._servo * state.joint_position[self._driven])
        still = np.abs(state.joint_velocity[self._driven]) < self._safety.stall_speed
        self._stalled = held_for((pull >= self._must_move) & still, self._stalled, dt)
        if all_true(self._stalled <= self._safety.stall_s):
            return None
        place = int(np.argmax(self._stalled))
        actuator = self._robot.actuators[place]
        return Violation(
            "stall",
            f"joint {actuator.joint} has not moved for {self._stalled[place]:.2g} s under a command of "
            f"{sent[place]:.4g} {actuator.unit}",
        )

    def _unchanging(
        self, state: RobotState, last: RobotState | None, sent: FloatArray, dt: float
    ) -> Violation | None:
        limit = self._safety.frozen_state_ms
        if limit is None or last is None:
            return None
        # A robot that is told nothing may well stand still.
        same = bool(np.any(sent != 0.0)) and _same_readings(state, last)
        self._frozen = self._frozen + dt if same else 0.0
        if 1e3 * self._frozen <= limit:
            return None
        return Violation(
            "frozen_state",
            f"the robot has reported the same to the last bit for {1e3 * self._frozen:.0f} ms, at most "
            f"{limit:g} ms are allowed",
        )

    def of_action(self, action: FloatArray, dt: float) -> Violation | None:
        """Whether (actuators,) actions have been at an end of their range for too long."""
        limit = self._safety.saturated_action_s
        if limit is None:
            return None
        self._saturated = held_for(np.abs(action) >= 1.0, self._saturated, dt)
        if all_true(self._saturated <= limit):
            return None
        place = int(np.argmax(self._saturated))
        return Violation(
            "saturated_action",
            f"the policy's action for {self._robot.actuator_names[place]} has been at its end for "
            f"{self._saturated[place]:.2g} s, at most {limit:g} s are allowed",
        )


def _same_readings(one: RobotState, other: RobotState) -> bool:
    pairs = [(one.joint_position, other.joint_position), (one.joint_velocity, other.joint_velocity)]
    pairs += zip(one.inertial().values(), other.inertial().values(), strict=False)
    return all(here.tobytes() == there.tobytes() for here, there in pairs)
