"""Writes a first experiment for a robot: hold a commanded posture, or stand."""

import glob
from collections.abc import Iterator

import mujoco
import numpy as np

from simreal.contract import Joint
from simreal.physics.drives import read_drives
from simreal.robot_add.describe import scalar
from simreal.robot_add.posture import free_bodies
from simreal.robots.loader import RobotConfig
from simreal.tasks import posture, stand

CONTROL_RATE = 50.0
"""Hz, or the nearest that is a whole number of physics steps: as walking robots are driven."""
NOISE = {"rad": 0.001, "m": 0.0001}
"""Largest standard deviation of an encoder's noise, in a joint's unit."""
LEG_ACTION = 0.4
"""rad that a servo of a robot on its feet may be moved from the default posture."""


def task_of(model: mujoco.MjModel) -> str:
    """Name of the task that fits a robot."""
    return stand.NAME if free_bodies(model) else posture.NAME


def experiment_yaml(robot: RobotConfig, model: mujoco.MjModel) -> str:
    """The text of an experiment that trains as it is."""
    name, free = robot.description.name, bool(free_bodies(model))
    lines = [
        f"# Written by `simreal robot add`: simreal train {name}_{task_of(model)}",
        f"robot: {name}",
        f"task: {task_of(model)}",
        f"control_rate: {_control_rate(model):.9g}",
        f"episode_length: {10.0 if free else 4.0}",
        "",
        "rewards:",
        *(f"  {key}: {weight}" for key, weight in (STAND_REWARDS if free else POSTURE_REWARDS).items()),
        "",
        "observation:",
        *(f"  - {term}" for term in (STAND_OBSERVATION if free else POSTURE_OBSERVATION)),
        "",
        "action:",
        *_action(robot, free),
        "",
        "# Ranges of a first guess: docs/randomization.md has what else can be drawn.",
        "randomization:",
        *_randomization(robot, model, free),
        "",
        "agent: ppo",
        "",
        "ppo:",
        *(f"  {key}: {value}" for key, value in (STAND_PPO if free else POSTURE_PPO).items()),
        "",
    ]
    return "\n".join(lines)


POSTURE_REWARDS = {
    "distance": -2.0,
    "near": 0.5,
    "precise": 1.0,
    "speed": -0.02,
    "action_change": -0.02,
}
STAND_REWARDS = {"upright": 1.0, "posture": -0.2, "motion_of_base": -0.1, "action_change": -0.05}
POSTURE_OBSERVATION = (
    "{source: command}",
    "{source: joint_position}",
    "{source: joint_velocity, scale: 0.1}",
    "{source: previous_action, fill: zero}",
)
STAND_OBSERVATION = (
    "{source: projected_gravity}",
    "{source: angular_velocity, scale: 0.25}",
    "{source: joint_offset}",
    "{source: joint_velocity, scale: 0.05}",
    "{source: previous_action, fill: zero}",
)
COMMON_PPO = {"simulations": 256, "rollout_steps": 24, "batch_size": 2048, "learning_rate": "1.0e-3"}
POSTURE_PPO = COMMON_PPO | {
    "total_steps": 1_500_000,
    "discount": 0.95,
    "hidden_layers": [128, 64],
    "initial_log_std": -0.7,
}
STAND_PPO = COMMON_PPO | {"total_steps": 3_000_000, "discount": 0.99, "hidden_layers": [128, 64]}


def _control_rate(model: mujoco.MjModel) -> float:
    timestep = float(model.opt.timestep)
    return 1.0 / (timestep * max(1, round(1.0 / (CONTROL_RATE * timestep))))


def _action(robot: RobotConfig, free: bool) -> Iterator[str]:
    """The whole range of commands; of a robot on its feet, a step about the default posture."""
    defaults = dict(zip(robot.description.joint_names, robot.description.default_position, strict=True))
    scales, offsets = [], []
    for each in robot.description.actuators:
        scale, offset = 0.5 * (each.upper - each.lower), 0.5 * (each.upper + each.lower)
        if free and each.command == "position":
            offset = float(np.clip(defaults[each.joint], each.lower, each.upper))
            scale = min(scale, LEG_ACTION)
        scales.append(scale)
        offsets.append(offset)
    yield f"  scale: [{', '.join(f'{value:.6g}' for value in scales)}]"
    yield f"  offset: [{', '.join(f'{value:.6g}' for value in offsets)}]"


def _randomization(robot: RobotConfig, model: mujoco.MjModel, free: bool) -> Iterator[str]:
    """What every robot has; a quantity that the model has not is left out, since it would do nothing."""
    yield "  mass: {distribution: {type: uniform, low: 0.9, high: 1.1}}"
    if free:
        yield "  friction: {target: ground, distribution: {type: uniform, low: 0.6, high: 1.4}}"
        yield "  push_interval_s: {distribution: {type: uniform, low: 2.0, high: 4.0}}"
        yield "  push_velocity: {distribution: {type: uniform, low: 0.0, high: 0.4}}"
    if any(each.command == "position" for each in robot.description.actuators):
        yield "  kp: {distribution: {type: uniform, low: 0.9, high: 1.1}}"
    if any(each.command == "effort" for each in robot.description.actuators):
        yield "  motor_strength: {distribution: {type: uniform, low: 0.9, high: 1.1}}"
    driven = [drive.joint for drive in read_drives(model)[0]]
    if (model.dof_damping[model.jnt_dofadr[driven]] > 0).any():
        yield "  joint_damping: {distribution: {type: uniform, low: 0.8, high: 1.2}}"
    yield "  action_latency_ms: {distribution: {type: uniform, low: 0.0, high: 20.0}}"
    yield from _encoder_noise(robot.description.joints)


def _encoder_noise(joints: tuple[Joint, ...]) -> Iterator[str]:
    """One entry for all joints; one for each if some slide, since no number is both rad and m."""
    if all(joint.unit == "rad" for joint in joints):
        yield f"  encoder_noise: {_up_to(NOISE['rad'])}"
        return
    for joint in joints:
        name, target = scalar(f"encoder_noise_{joint.name}"), scalar(glob.escape(joint.name))
        drawn = _up_to(NOISE[joint.unit]).removeprefix("{")
        yield f"  {name}: {{parameter: encoder_noise, target: {target}, {drawn}  # {joint.unit}"


def _up_to(high: float) -> str:
    return f"{{distribution: {{type: uniform, low: 0.0, high: {high}}}}}"
