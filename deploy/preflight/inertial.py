"""The IMU of a robot at rest: which way is down, by two sensors that do not know of each other."""

import time
from collections.abc import Sequence

import numpy as np

from simreal.deploy.drivers import Driver
from simreal.deploy.preflight.verdict import Finding
from simreal.rotations import down_in_body
from simreal.state import RobotState

CHECK = "gravity by the IMU"
GRAVITY = 9.81
PATIENCE = 5.0
"""s until the robot has come to rest."""
PERIOD = 0.01
STILL_READINGS = 60
"""In a row, from which the mean is taken."""
LARGEST_TILT = 30.0
"""° from upright: the robot is asked to be put level."""
LARGEST_DISAGREEMENT = 10.0
"""° between what orientation and acceleration call down."""
LARGEST_ERROR = 0.1
"""Share of g by which the acceleration at rest may be wrong."""
LARGEST_SPIN = 0.1
"""rad/s that a gyroscope at rest may show."""


def gravity(driver: Driver) -> Finding:
    """The check, on a robot that stands level and still.

    Raises:
        DriverError: the robot is lost.
    """
    states = list[RobotState]()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and len(states) < STILL_READINGS:
        driver.off()
        time.sleep(PERIOD)
        state = driver.read()
        moves = state.angular_velocity is not None and _length(state.angular_velocity) > LARGEST_SPIN
        states = [] if moves else [*states, state]
    return gravity_finding(states or [driver.read()])


def gravity_finding(states: Sequence[RobotState]) -> Finding:
    """The same of states that were measured at rest."""
    if states[0].orientation is None:
        return Finding(CHECK, "fail", "the policy expects an IMU, the robot reports none")
    readings = np.array([np.concatenate(list(state.inertial().values())) for state in states])
    lengths = np.linalg.norm(readings[:, :4], axis=1)
    if not (np.isfinite(readings).all() and np.allclose(lengths, 1.0, atol=0.01)):
        return Finding(CHECK, "fail", "the IMU reports what is no number, or no unit quaternion")
    down = down_in_body(readings[:, :4]).mean(axis=0)
    turning, felt = np.split(readings[:, 4:].mean(axis=0), 2)
    spin = float(np.linalg.norm(turning))
    size = float(np.linalg.norm(felt))
    tilt, apart = _angle(down, np.array([0.0, 0.0, -1.0])), _angle(down, -felt)
    numbers = {
        "down_in_body": down.tolist(),
        "acceleration": felt.tolist(),
        "tilt_deg": tilt,
        "disagreement_deg": apart,
        "spin": spin,
    }
    wrong = []
    if abs(size / GRAVITY - 1.0) > LARGEST_ERROR:
        wrong.append(
            f"feels {size:.2f} m/s² at rest, not {GRAVITY}: in g, or without the share of gravity?"
        )
    elif apart > LARGEST_DISAGREEMENT:
        wrong.append(
            f"orientation says down is {_shown(down)} in the body, acceleration says "
            f"{_shown(-felt / size)}, {apart:.0f}° apart: axes, sign or the order of the quaternion"
        )
    if tilt > LARGEST_TILT:
        wrong.append(
            f"down is {_shown(down)} in the body, {tilt:.0f}° from (0, 0, -1): not level, or wrong axes"
        )
    if spin > LARGEST_SPIN:
        wrong.append(f"turns by {spin:.2f} rad/s at rest: not still, or in degrees")
    if wrong:
        return Finding(CHECK, "fail", "; ".join(wrong), numbers)
    return Finding(CHECK, "pass", f"down is {_shown(down)} in the body, {size:.2f} m/s²", numbers)


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))


def _angle(left: np.ndarray, right: np.ndarray) -> float:
    """° between two directions."""
    length = float(np.linalg.norm(left) * np.linalg.norm(right))
    cosine = float(left @ right) / length if length > 0 else 0.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _shown(direction: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in direction) + ")"
