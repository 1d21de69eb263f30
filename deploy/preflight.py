"""Whether a policy and a robot belong together: asked before anything moves."""

from simreal.contract import Contract, RobotDescription, differences
from simreal.deploy.policy import Policy


def objections(policy: Policy, robot: RobotDescription) -> list[str]:
    """Everything that forbids to run a policy on a robot; empty if nothing does."""
    return [*contract_objections(policy.contract, robot), *golden_objections(policy)]


def contract_objections(contract: Contract, robot: RobotDescription) -> list[str]:
    """Where the robot differs from the one that the policy was trained for, by name."""
    return [
        f"robot.{difference.name}: the policy expects {difference.left!r}, "
        f"the robot has {difference.right!r}"
        for difference in differences(contract.robot, robot)
    ]


def golden_objections(policy: Policy) -> list[str]:
    """Whether pipeline and graph still do on this computer what they did at export."""
    mismatch = policy.golden_mismatch()
    return [] if mismatch is None else [f"golden vectors: {mismatch}"]
