"""Nested models to begin with, where nobody says which parameters are to be found."""

from collections.abc import Sequence

from simreal.identification.unknowns import Asked, read_asked
from simreal.randomization.world import World

LADDER: dict[str, tuple[str, ...]] = {
    "voltage": ("torque_constant", "motor_resistance"),
    "effort": ("motor_strength",),
    "position": ("motor_strength", "encoder_bias"),
}
"""Of the actuators, by what they take. The gains of servos are known to whoever set them."""


def nested_models(world: World) -> list[list[Asked]]:
    """Friction and motors; inertia and timing; springs and offsets; stiction."""
    kinds = {each.command for each in world.robot.actuators}
    motors = [name for kind, names in LADDER.items() if kind in kinds for name in names]
    stages = [
        ["joint_damping", "joint_frictionloss", *dict.fromkeys(motors)],
        ["joint_armature", "action_latency_ms"],
        ["torque_offset"],
        ["stribeck_friction", "load_friction"],
    ]
    # What is held by nothing else would only trade places: a mass, against the strength of its motor.
    if not world.physics.free_bodies and kinds == {"effort"}:
        stages[1].insert(0, "mass")
    has_spring = world.default("jnt_stiffness").any()
    if has_spring:
        stages[2] = ["joint_stiffness", "spring_reference", *stages[2]]
    return [_fitting(world, stage) for stage in stages]


def _fitting(world: World, names: Sequence[str]) -> list[Asked]:
    """Those of them that the robot has; of a factor on nothing, none."""
    found = []
    for name in names:
        asked = read_asked(name)
        if name == "joint_armature" and not world.default("dof_armature").any():
            continue
        if name in ("joint_stiffness", "spring_reference"):
            found += _sprung(world, name)
            continue
        found.append(asked)
    return found


def _sprung(world: World, name: str) -> list[Asked]:
    model = world.physics.model
    joints = [joint for joint in world.robot.joint_names if model.joint(joint).stiffness[0] > 0.0]
    return [read_asked(f"{name}[{joint}]") for joint in joints]
