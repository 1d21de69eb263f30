"""All checks on a robot whose motors are passive, in the order in which they make sense."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from simreal.callbacks import Tell
from simreal.contract import RobotDescription
from simreal.deploy.drivers import Driver
from simreal.deploy.policy import Policy
from simreal.deploy.preflight.bounds import at_rest
from simreal.deploy.preflight.fit import contract_objections, sensor_objections
from simreal.deploy.preflight.inertial import gravity
from simreal.deploy.preflight.motion import MotionLatency, UnsafeMotionError, motion_latency
from simreal.deploy.preflight.timing import bus_finding, bus_times, latency_finding
from simreal.deploy.preflight.verdict import Finding, Verdict
from simreal.deploy.preflight.wiggle import Hand, order_and_signs
from simreal.errors import UserError
from simreal.robots import load_robot

GiveHand = Callable[[RobotDescription], AbstractContextManager[Hand | None]]
"""Makes whoever moves the joints of a robot, or nobody."""


def nobody(robot: RobotDescription) -> AbstractContextManager[Hand | None]:
    """No hand."""
    return nullcontext(None)


def preflight(
    policy: Policy,
    driver: Driver,
    name: str,
    give_hand: GiveHand = nobody,
    allow_motion: bool = False,
    patience: float = 20.0,
    tell: Tell = lambda text: None,
) -> Verdict:
    """Check a robot before a policy moves it; its motors stay passive, but for a small step if allowed.

    Args:
        policy: that shall run.
        driver: not yet connected.
        name: of the driver, for the verdict.
        give_hand: makes whoever moves the joints.
        allow_motion: whether one joint may be stepped a little, to measure its latency.
        patience: s for each joint to be moved by hand.
        tell: is told what is going on.

    Raises:
        DriverError: the robot cannot be reached, or is lost.
    """
    contract = policy.contract
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    verdict = Verdict(contract.robot.name, policy.digest, name, when)

    def found(finding: Finding) -> None:
        verdict.findings.append(finding)
        tell(f"{finding.result}: {finding.check}: {finding.text}")

    found(_golden(policy))
    with _connected(driver) as robot:
        objections = contract_objections(contract, robot)
        text = "; ".join(objections) or "robot and contract agree name by name"
        found(Finding("contract", "fail" if objections else "pass", text))
        if objections:
            return verdict  # the names of its joints would mean something else
        if "tracker" in contract.needed_sensors:
            missing = sensor_objections(contract, driver)
            text = "; ".join(missing) or f"objects are tracked: {', '.join(contract.objects)}"
            found(Finding("tracker", "fail" if missing else "pass", text))
        if contract.robot.imu:
            found(gravity(driver))
        times = bus_times(driver, policy)
        found(bus_finding(times, contract.control_rate))
        found(at_rest(driver, robot, load_robot(robot.name).config.safety))
        with give_hand(robot) as hand:
            found(order_and_signs(driver, robot, hand, patience, tell))
        motion = None
        # A motor that is commanded through a wrong sign or order would run away.
        if allow_motion and all(finding.result != "fail" for finding in verdict.findings):
            try:
                motion = _motion(driver, robot, tell)
            except (UserError, UnsafeMotionError) as error:
                found(Finding("test motion", "fail", str(error)))
        found(latency_finding(contract, times, None if motion is None else motion.median))
    return verdict


def _golden(policy: Policy) -> Finding:
    mismatch, steps = policy.golden_mismatch(), len(policy.golden.action)
    if mismatch is None:
        return Finding("golden vectors", "pass", f"{steps} steps reproduced on this computer")
    return Finding("golden vectors", "fail", str(mismatch))


def _motion(driver: Driver, robot: RobotDescription, tell: Tell) -> MotionLatency:
    joint = robot.actuators[0].joint
    tell(f"stepping {joint} a little")
    return motion_latency(driver, robot, load_robot(robot.name).config.safety, joint)


@contextmanager
def _connected(driver: Driver) -> Iterator[RobotDescription]:
    try:
        yield driver.connect()
    finally:
        driver.off()
        driver.disconnect()
