"""From a robot's folder to a compiled model, held against the robot's description."""

import math
from collections.abc import Callable

import mujoco

from simreal.errors import UserError, nearest
from simreal.physics.contradictions import contradictions
from simreal.robots import Robot

LONGEST_ACTION_LATENCY = 1.0
"""s. The history buffer of a longer delay would be a mistake of units more likely than a robot."""


Scene = Callable[[mujoco.MjSpec], None]
"""Adds to a robot's model what stands around it."""


def compile_model(
    robot: Robot, longest_action_latency: float = 0.0, scene: Scene | None = None
) -> mujoco.MjModel:
    """Compile a robot's model.

    Args:
        robot: which.
        longest_action_latency: s, that the histories of its actuators must hold.
        scene: adds what stands around it.

    Raises:
        UserError: a latency beyond `LONGEST_ACTION_LATENCY`, or a fault in the model.
    """
    if longest_action_latency > LONGEST_ACTION_LATENCY:
        raise UserError(
            f"action latency of {longest_action_latency * 1e3:g} ms: at most "
            f"{LONGEST_ACTION_LATENCY * 1e3:g} ms can be simulated"
        )
    try:
        spec = mujoco.MjSpec.from_file(str(robot.model_path))
    except ValueError as error:
        raise UserError(f"{robot.model_path}: not a usable model: {error}") from None
    if scene is not None:
        scene(spec)
    for body in spec.bodies:
        # Whoever compiles a body as simple promises that its centre of mass never moves.
        body.simple = False
    for actuator in spec.actuators:
        if longest_action_latency > 0:
            # What is added comes on top of a delay of the model's own.
            late = longest_action_latency + actuator.delay
            samples = math.ceil(late / spec.option.timestep) + 1
            actuator.nsample = max(actuator.nsample, samples)
    try:
        model = spec.compile()
    except ValueError as error:
        raise UserError(f"{robot.model_path}: not a usable model: {error}") from None
    refuse_contradictions(model, robot)
    return model


def refuse_contradictions(model: mujoco.MjModel, robot: Robot) -> None:
    """Raise a `UserError` where a robot's description and its model disagree on what both say."""
    for name in robot.description.joint_names:
        named_id(model, mujoco.mjtObj.mjOBJ_JOINT, name, robot)
    for name in robot.description.actuator_names:
        named_id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, name, robot)
    for tool in robot.description.tools:
        named_id(model, mujoco.mjtObj.mjOBJ_SITE, tool.name, robot)
    found = list(contradictions(model, robot.description))
    if found:
        listed = "\n  ".join(map(str, found))
        raise UserError(
            f"robot {robot.name}: robot.yaml and {robot.model_path.name} disagree:\n  {listed}"
        )


def named_id(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str, robot: Robot) -> int:
    """Id of a named part of the model; a `UserError` names the nearest if there is none."""
    index = int(mujoco.mj_name2id(model, kind, name))
    if index < 0:
        what, count = {
            mujoco.mjtObj.mjOBJ_JOINT: ("joint", model.njnt),
            mujoco.mjtObj.mjOBJ_ACTUATOR: ("actuator", model.nu),
            mujoco.mjtObj.mjOBJ_SENSOR: ("sensor", model.nsensor),
            mujoco.mjtObj.mjOBJ_SITE: ("site", model.nsite),
        }[kind]
        valid = [mujoco.mj_id2name(model, kind, i) or "" for i in range(count)]
        hint = nearest(name, valid)
        raise UserError(f"robot {robot.name}: no {what} {name!r} in {robot.model_path.name}: {hint}")
    return index
