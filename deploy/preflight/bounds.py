"""Whether what a robot reports at rest is within its bounds: else its first command would be a fault."""

from simreal.contract import RobotDescription
from simreal.deploy.bounds import StateBounds, Violation
from simreal.deploy.drivers import Driver
from simreal.deploy.preflight.verdict import Finding
from simreal.robots.safety import SafetyConfig
from simreal.state import RobotState

TRIES, PAUSE = 20, 10_000_000
"""Measurements, and ns between them, until one is fresh."""


def at_rest(driver: Driver, robot: RobotDescription, safety: SafetyConfig) -> Finding:
    """Look at a robot that is connected, by the checks that a run will make of each measurement.

    Raises:
        DriverError: the robot is lost.
    """
    bounds, time = StateBounds(robot, safety), driver.time_source
    for _ in range(TRIES):
        state = driver.read()
        found = bounds.violation(state, 1e-9 * time.now())
        if found is None or found.check != "stale_state":
            break
        time.sleep(PAUSE)
    return bounds_finding(state, found)


def bounds_finding(state: RobotState, found: Violation | None) -> Finding:
    """What a measurement of (joints,) arrays shows, and the bound that it does not keep, if any."""
    numbers = {"joint_position": state.joint_position.tolist()}
    if found is None:
        return Finding("bounds", "pass", "what the robot reports is within those of robot.yaml", numbers)
    return Finding("bounds", "fail", f"{found.check}: {found.reason}", numbers)
