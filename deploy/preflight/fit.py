"""Whether a policy and a robot belong together: asked before anything moves."""

from simreal.contract import Contract, RobotDescription
from simreal.contract_differences import ABSENT, Difference, differences
from simreal.deploy.drivers import Driver
from simreal.deploy.policy import Runnable
from simreal.errors import UserError


def objections(policy: Runnable, robot: RobotDescription) -> list[str]:
    """Everything that forbids to run a policy on a robot; empty if nothing does."""
    return [*contract_objections(policy.contract, robot), *golden_objections(policy)]


def contract_objections(contract: Contract, robot: RobotDescription) -> list[str]:
    """Where the robot differs from the one that the policy was trained for, by name.

    Of another robot only that is said: what else differs would be nearly everything.
    """
    if contract.robot.name != robot.name:
        return [f"the policy is for robot {contract.robot.name}, this is {robot.name}"]
    return [_objection(each) for each in differences(contract.robot, robot)]


def _objection(difference: Difference) -> str:
    name, expected, found = f"robot.{difference.name}", difference.left, difference.right
    if expected is ABSENT:
        return f"{name}: the robot has it, the policy does not know it"
    if found is ABSENT:
        return f"{name}: the policy expects it, the robot does not have it"
    return f"{name}: the policy expects {_shown(expected)}, the robot has {_shown(found)}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def golden_objections(policy: Runnable) -> list[str]:
    """Whether pipeline and graph still do on this computer what they did at export."""
    mismatch = policy.golden_mismatch()
    return [] if mismatch is None else [f"golden vectors: {mismatch}"]


def sensor_objections(contract: Contract, driver: Driver) -> list[str]:
    """What the policy sees and a robot that is connected does not report.

    A description tells of an IMU; whether somebody tracks objects, only a measurement does.

    Raises:
        DriverError: the robot is lost.
    """
    if "tracker" not in contract.needed_sensors or driver.read().object_pose is not None:
        return []
    return [
        f"the policy sees {', '.join(contract.objects)}, which needs a tracker; this driver has none: "
        "its states are without objects"
    ]


def refuse_missing_sensors(contract: Contract, driver: Driver) -> None:
    """Raise a `UserError` for what `sensor_objections` finds: the policy would fail once it acts."""
    for objection in sensor_objections(contract, driver):
        raise UserError(objection)
