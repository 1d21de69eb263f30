"""What stands between a policy and a driver: a state machine, checks that latch a fault, and limits.

Time passes only in `watch`; nothing in here waits, logs or touches a robot. In each cycle the loop calls

    supervisor.watch(state, now, missed)      # what was measured; may end in a fault
    supervisor.propose(action, target, dt)    # while `running`, when the policy has acted
    supervisor.order()                        # what the driver shall be told
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.bounds import StateBounds, Violation, all_true
from simreal.deploy.command_limits import CommandLimits
from simreal.deploy.persistence import Persistence, misses_after
from simreal.robots.safety import Check, Reaction, SafetyConfig
from simreal.state import FloatArray, RobotCommand, RobotState

RISE_PATIENCE = 1.0
"""s that a servo may come later to the default posture than its target."""


class Phase(Enum):
    """What a deployment is in; the value is its name in logs.

    `IDLE` is readable and not commanded. In `FAULT` the motors do what the robot's configuration says of
    the check that failed; only `Supervisor.clear` leaves it, for `IDLE`.
    """

    DISCONNECTED = "disconnected"
    IDLE = "idle"
    RISING = "rising"
    RUNNING = "running"
    HOLDING = "holding"
    DAMPING = "damping"
    OFF = "off"
    FAULT = "fault"


PHASES = tuple(Phase)
"""By their numbers in a recorded cycle."""
_REACTING: dict[Reaction, Phase] = {"hold": Phase.HOLDING, "damp": Phase.DAMPING, "off": Phase.OFF}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a robot was stopped.

    Attributes:
        check: that failed.
        reason: for people.
        reaction: what its motors do.
        at: s, on the clock of the measurements.
        phase: in which it came.
    """

    check: Check
    reason: str
    reaction: Reaction
    at: float
    phase: Phase


@dataclass(frozen=True, slots=True)
class Order:
    """What a driver shall be told in a cycle; `command` belongs to "follow" alone."""

    kind: Literal["nothing", "follow", "hold", "damp", "off"]
    command: RobotCommand | None = None


NOTHING = Order("nothing")
_REACTIONS: dict[Reaction, Order] = {"hold": Order("hold"), "damp": Order("damp"), "off": Order("off")}


class Supervisor:
    """Watches over one robot.

    Attributes:
        phase: see `Phase`.
        fault: latched; None unless the phase is `FAULT`.
        authority: share of gains or effort with which the motors follow.
        limited: cycles in which a limit changed a command.
        limited_by: limit and actuator, such as ``command_effort of elbow``, to the cycles of each.
    """

    def __init__(
        self,
        robot: RobotDescription,
        safety: SafetyConfig,
        period: float,
        shadow: bool,
    ) -> None:
        """Watch over a robot.

        Args:
            robot: its joints and actuators.
            safety: its bounds.
            period: s from one command to the next.
            shadow: whether nothing is sent: then it cannot rise, and what it does is not blamed on
                commands.
        """
        self._robot, self._safety, self._period = robot, safety, period
        self._shadow = shadow
        self._bounds, self._limits = StateBounds(robot, safety), CommandLimits(robot, safety)
        self._persistence = Persistence(robot, safety)
        joints = robot.joint_names
        self._driven = np.array([joints.index(each.joint) for each in robot.actuators])
        self._default = np.array(robot.default_position)[self._driven]
        self._servo = np.array([each.command == "position" for each in robot.actuators])
        jumps = [safety.command_jump.get(each.name, np.inf) for each in robot.actuators]
        self._jump = np.array(jumps)
        self._watches_jump = bool(safety.command_jump)
        self.phase = Phase.DISCONNECTED
        self.fault: Fault | None = None
        self.authority, self.limited = 0.0, 0
        self.limited_by: Counter[str] = Counter()
        self._now: float | None = None
        self._dt, self._touched = period, False
        self._misses = 0.0
        self._position = self._velocity = np.zeros(len(robot.actuators))
        self._let_go()

    def _let_go(self) -> None:
        """Forget what was commanded: the motors follow nothing."""
        self._sent: FloatArray | None = None
        self._desired: FloatArray | None = None
        self._proposed: FloatArray | None = None
        self._woken_at: float | None = None
        self._persistence.begin()

    @property
    def commanding(self) -> bool:
        """Whether the motors follow commands."""
        return self._sent is not None and not self._shadow

    @property
    def running(self) -> bool:
        """Whether the policy acts."""
        return self.phase is Phase.RUNNING

    def connected(self) -> None:
        """The robot can be read."""
        self.phase = Phase.IDLE

    def run(self) -> None:
        """Wake the robot, or take it on from holding or braking: it rises, then the policy acts.

        Needs a measurement, by `watch`, before; without servos there is nothing to rise with.
        """
        if self.phase not in (Phase.IDLE, Phase.HOLDING, Phase.DAMPING) or self._now is None:
            return
        self._let_go()
        self._woken_at = self._now
        self._ramp(0.0)  # what it had grown to belongs to the run before
        self._from = self._position.copy()
        # A smooth step is one and a half times as fast in its middle as in the mean.
        distance = float(np.max(np.abs(self._default - self._from), where=self._servo, initial=0.0))
        self._rise_time = 1.5 * distance / self._safety.rise_speed
        rises = self._servo.any() and not self._shadow
        self.phase = Phase.RISING if rises else Phase.RUNNING

    def hold(self) -> None:
        """Keep the posture, if the motors are following."""
        self._stop_following("hold")

    def stop(self) -> None:
        """End in order, as the configuration says of `end`; a fault stays."""
        self._stop_following(self._safety.reaction_to("end"))

    def _stop_following(self, reaction: Reaction) -> None:
        if self.phase in (Phase.RISING, Phase.RUNNING, Phase.HOLDING, Phase.DAMPING):
            self._let_go()
            self.phase = _REACTING[reaction]

    def fail(self, check: Check, reason: str) -> None:
        """Latch a fault, unless there is one."""
        if self.fault is None:
            at = 0.0 if self._now is None else self._now
            self.fault = Fault(check, reason, self._safety.reaction_to(check), at, self.phase)
            self._let_go()
            self.phase = Phase.FAULT

    def clear(self) -> None:
        """A person has understood the fault: the robot is idle, its motors passive."""
        if self.fault is not None:
            self.fault, self.phase, self._misses = None, Phase.IDLE, 0.0
            self._touched = False

    def watch(
        self, state: RobotState, now: float, missed: int = 0, emergency: str | None = None
    ) -> None:
        """Take a measurement, and let time pass.

        Of several things that are wrong at once one is the fault, and its reaction counts: an emergency
        before a period that came too late, before a measurement beyond its bounds, before what has gone
        on for too long.

        Args:
            state: (joints,) arrays.
            now: s, on the clock of the state's time.
            missed: periods that were skipped before this one.
            emergency: why somebody wants the robot to stop at once.
        """
        dt = self._period if self._now is None else now - self._now
        self._now = now
        found = self._bounds.violation(state, now)
        if found is None:
            self._position = state.joint_position[self._driven]
            self._velocity = state.joint_velocity[self._driven]
            sent = self._sent if self.commanding else None
            found = self._persistence.of_state(state, sent, dt)
        found = self._punctuality(missed, dt) or found
        if emergency is not None:
            found = Violation("emergency_stop", emergency)
        if found is not None:
            self.fail(found.check, found.reason)
        # After a gap a command may not jump by what would have been allowed in all of it.
        self._dt = min(max(dt, 0.0), 2.0 * self._period)
        if self._woken_at is not None:
            self._ramp(now - self._woken_at)
            if self.phase is Phase.RISING:
                self._rise(now - self._woken_at)

    def _punctuality(self, missed: int, dt: float) -> Violation | None:
        safety = self._safety
        self._misses = misses_after(self._misses, missed, max(dt, 0.0))
        if not self.commanding:
            return None
        if 1e3 * dt > safety.watchdog_ms:
            return Violation(
                "gap",
                f"this computer did not come to its control loop for {1e3 * dt:.0f} ms; after "
                f"{safety.watchdog_ms:g} ms (watchdog_ms) the robot has stopped by itself",
            )
        limit = safety.deadline_misses
        if limit is None or self._misses * self._period <= limit:
            return None
        return Violation(
            "deadline_misses",
            f"{self._misses:.0f} periods were skipped within a second, at most {100 * limit:g} % of "
            "them may be",
        )

    def _ramp(self, elapsed: float) -> None:
        start, duration = self._safety.authority_start, self._safety.authority_ramp_s
        share = 1.0 if duration <= 0.0 else min(elapsed / duration, 1.0)
        self.authority = start + (1.0 - start) * share

    def _rise(self, elapsed: float) -> None:
        share = 1.0 if self._rise_time <= 0.0 else min(elapsed / self._rise_time, 1.0)
        step = share * share * (3.0 - 2.0 * share)
        self._desired = np.where(self._servo, self._from + step * (self._default - self._from), 0.0)
        ended = max(self._rise_time, self._safety.authority_ramp_s)
        if elapsed < ended:
            return
        tolerance = self._safety.rise_tolerance
        distance = np.where(self._servo, np.abs(self._default - self._position), 0.0)
        if tolerance is None or distance.max() <= tolerance:
            self._persistence.begin()
            self.phase = Phase.RUNNING
        elif elapsed > ended + RISE_PATIENCE:
            joint = self._robot.actuators[int(np.argmax(distance))].joint
            self.fail(
                "rise",
                f"joint {joint} is {distance.max():.3g} away from the default posture after "
                f"{elapsed:.2g} s, at most {tolerance:g} are allowed: has its motor power, is it free?",
            )

    def propose(self, action: FloatArray, target: FloatArray, dt: float) -> None:
        """Hear what the policy wants; it is heeded while `running`.

        Args:
            action: (actuators,) as the policy gave it.
            target: (actuators,) that it means.
            dt: s between two actions of the policy.
        """
        if not self.running:
            return
        found = policy_output(action, target, self._robot)
        if found is None and self._watches_jump and self._proposed is not None:
            found = command_jump(target, self._proposed, self._jump, self._robot)
        found = found or self._persistence.of_action(action, dt)
        if found is None:
            self._desired = self._proposed = target
        else:
            self.fail(found.check, found.reason)

    def towards(self, target: FloatArray) -> None:
        """Between two actions of the policy: where an interpolation of its commands has come to."""
        if self.running:
            self._desired = target

    def order(self) -> Order:
        """What the driver shall be told now; within all limits, whatever was proposed."""
        if self.fault is not None:
            # A robot that was never commanded is left as it was found.
            return _REACTIONS[self.fault.reaction] if self._touched else NOTHING
        match self.phase:
            case Phase.RISING | Phase.RUNNING if self._desired is not None:
                return Order("follow", self._limited_command(self._desired))
            case Phase.HOLDING:
                return _REACTIONS["hold"]
            case Phase.DAMPING:
                return _REACTIONS["damp"]
            case Phase.OFF:
                return _REACTIONS["off"]
        return NOTHING

    def _limited_command(self, desired: FloatArray) -> RobotCommand:
        left = self._limits.in_order(desired, self._position, self._velocity, self._sent, self._dt)
        _, sent = left[-1]
        if sent.tobytes() != desired.tobytes():
            self.limited += 1
            self.limited_by.update(self._limits.causes(desired, left))
        self._sent, self._touched = sent, True
        if self._servo.any():
            return RobotCommand(sent, self.authority)
        # Of motors that are no servos, authority is a share of the command: what is sent is what acts.
        return RobotCommand(self.authority * sent)


def policy_output(action: FloatArray, target: FloatArray, robot: RobotDescription) -> Violation | None:
    """Whether (actuators,) actions and the targets that they mean are numbers."""
    if all_true(np.isfinite(action)) and all_true(np.isfinite(target)):
        return None
    for name, value, meant in zip(robot.actuator_names, action, target, strict=True):
        if not np.isfinite(value):
            return Violation("policy_output", f"the policy gives {value} for actuator {name}")
        if not np.isfinite(meant):
            return Violation("policy_output", f"the command for actuator {name} is {meant}")
    return None


def command_jump(
    target: FloatArray, previous: FloatArray, largest: FloatArray, robot: RobotDescription
) -> Violation | None:
    """Whether (actuators,) targets lie too far from those that the policy gave before."""
    step = np.abs(target - previous)
    if all_true(step <= largest):
        return None
    place = int(np.argmax(step > largest))
    actuator = robot.actuators[place]
    return Violation(
        "command_jump",
        f"the policy's command for {actuator.name} jumps by {step[place]:.4g} {actuator.unit}, "
        f"more than {largest[place]:g}",
    )
