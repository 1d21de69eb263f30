"""What an actuator does within a control step, one physics step at a time, compiled.

Each function works on one actuator of one simulation. `drive` is its `DRIVE` record, in the units of the
actuator; the engine takes the outcome, ``next_...``. Numba compiles them when they are first imported
on a machine, some seconds, and keeps them.
"""

import math
from typing import Any

from numba import njit


@njit(cache=True)
def follow(drive: Any, has: Any, servo: float, command: float, position: float, speed: float) -> None:
    """Find what an actuator does in the next physics step.

    Args:
        drive: its record, in which state and outcome are written.
        has: numbers with the names in `compiled_drives.PARTS`, 0 or 1; ``timestep`` in s.
        servo: 1 for a position servo.
        command: in force, where a part depends on it.
        position: rad or m, and
        speed: rad/s or m/s, at the beginning of the physics step.
    """
    if has.dead_zone:
        _ignore_small_errors(drive, servo, command - position)
    if has.curve:
        _limit_by_speed(drive, speed)
    drive.next_low, drive.next_high = drive.next_motor_low, drive.next_motor_high
    force = 0.0
    if has.force:
        at_rest = drive.next_law_gain * command + drive.offset + drive.next_law_stiffness * position
        force = _within_limits(drive, at_rest + drive.damping * speed)
        if has.backlash:
            force = _mesh(drive, at_rest, force, speed, has.timestep)
    if has.friction:
        relative = drive.inverse_speed * speed
        stribeck = drive.coulomb + drive.static_excess * math.exp(-relative * relative)
        drive.next_friction = stribeck + drive.load * abs(force)


@njit(cache=True)
def _ignore_small_errors(drive: Any, servo: float, error: float) -> None:
    """The dead zone of a servo, in its position error."""
    acts = 1.0 if abs(error) >= drive.dead_zone or servo == 0.0 else 0.0
    drive.next_law_gain = acts * drive.supplied_gain
    drive.next_law_stiffness = acts * drive.supplied_stiffness


@njit(cache=True)
def _limit_by_speed(drive: Any, speed: float) -> None:
    """The torque-speed line of a motor that drives; one that brakes has its full effort."""
    fall, offset = drive.supplied_curve_slope * speed, drive.curve_offset
    drive.next_motor_high = drive.supplied_high * min(max(offset - fall, 0.0), 1.0)
    drive.next_motor_low = drive.supplied_low * min(max(offset + fall, 0.0), 1.0)


@njit(cache=True)
def _within_limits(drive: Any, force: float) -> float:
    limited: float = min(max(force, drive.next_motor_low), drive.next_motor_high)
    return limited


@njit(cache=True)
def _mesh(drive: Any, at_rest: float, force: float, speed: float, timestep: float) -> float:
    """Let rotor and joint meet or part; see `Backlash`.

    Args:
        drive: of the actuator.
        at_rest: force of the motor on a rotor without speed, without limits.
        force: the same, if the rotor goes as fast as the joint, within limits.
        speed: of the joint, v.
        timestep: s.

    Returns:
        Force of the motor on the joint. The limits that the engine must keep so that it is that are
        equal ones where it is not the law's.
    """
    faster = drive.rotor_speed - speed
    alone = drive.free > 0.0
    touching = _touch(drive, force, speed, timestep * faster)
    if touching and not alone:
        drive.rotor_speed = speed
    else:
        # In the gap the joint is left alone; where they meet, it takes over the rotor's momentum too.
        given = force + drive.inertia_rate * faster if touching else 0.0
        drive.next_low = drive.next_high = given
    own = _within_limits(drive, drive.implicit * (at_rest + drive.damping * drive.rotor_speed))
    drive.rotor_speed += drive.step_rate * own
    # The acceleration of an impact says nothing of the teeth: not a number compares as they like.
    drive.speed = math.nan if touching and alone else speed
    drive.free = 0.0 if touching else 1.0
    return force if touching else 0.0


@njit(cache=True)
def _touch(drive: Any, force: float, speed: float, approach: float) -> bool:
    """Move the rotor in its gap; whether it touches the joint in this physics step."""
    if drive.free > 0.0:
        drive.lead += approach
        touching: bool = abs(drive.lead) >= drive.half_gap
    else:
        teeth = force - drive.inertia_rate * (speed - drive.speed)
        touching = not drive.lead * teeth < 0.0
    drive.lead = min(max(drive.lead, -drive.half_gap), drive.half_gap)
    return touching
