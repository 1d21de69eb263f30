"""A policy on states that a real robot was in: what it would have done, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.episodes import begin_episodes
from simreal.errors import UserError, nearest
from simreal.evaluate import Act
from simreal.images import NO_IMAGES
from simreal.logs.robot_log import RobotLog
from simreal.observation import ObservationPipeline
from simreal.state import IMU_WIDTHS, POSE, FloatArray, RobotState

SATURATED = 0.999
"""An action beyond it has nothing left to give."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What a policy does on the states of one log.

    Attributes:
        action: (steps, actuators) within [-1, 1].
        at_limit: (steps,) share of the actuators whose command an actuator's limit cuts or equals.
    """

    action: FloatArray
    at_limit: FloatArray

    @property
    def jump(self) -> FloatArray:
        """(steps,) mean change of the actions since the step before; 0 at first."""
        change: FloatArray = np.abs(np.diff(self.action, axis=0, prepend=self.action[:1])).mean(axis=1)
        return change

    @property
    def saturated(self) -> FloatArray:
        """(steps,) share of the actions at an end of their range."""
        share: FloatArray = (np.abs(self.action) >= SATURATED).mean(axis=1)
        return share


def states_of(log: RobotLog, contract: Contract) -> tuple[list[RobotState], FloatArray]:
    """Measured states at a policy's control rate, and what was asked, (steps, commands).

    Velocities that a log lacks are differences of positions. What was asked is zero where a log does
    not say.

    Raises:
        UserError: a log of another robot, or one that lacks what the policy sees.
    """
    robot = contract.robot
    log.refuse_other_robot(robot.name)
    table = log["joint_position"]
    start, end = table.time[[0, -1]].tolist() if len(table) else (0.0, 0.0)
    time = np.arange(start, end, 1.0 / contract.control_rate)
    if len(time) < 2:
        raise UserError(f"{log.source}: joint_position lasts {end - start:.3g} s: nothing to replay")
    position = _columns(log, "joint_position", robot.joint_names, time)
    if "joint_velocity" in log:
        velocity = _columns(log, "joint_velocity", robot.joint_names, time)
    else:
        velocity = np.gradient(position, 1.0 / contract.control_rate, axis=0)
    asked = np.zeros((len(time), len(contract.commands)))
    if contract.commands and "asked" in log:
        asked = _columns(log, "asked", [each.name for each in contract.commands], time, hold=True)
    states = [RobotState(*row) for row in zip(time, position, velocity, strict=True)]
    for name in IMU_WIDTHS if robot.imu else ():
        for state, row in zip(states, log.at(name, time), strict=True):
            setattr(state, name, row / np.linalg.norm(row) if name == "orientation" else row)
    if contract.objects:
        for state, row in zip(states, log.at("object_pose", time, hold=True), strict=True):
            state.object_pose = row.reshape(-1, POSE)
    return states, asked


def _columns(
    log: RobotLog, channel: str, names: Sequence[str], time: FloatArray, hold: bool = False
) -> FloatArray:
    table = log[channel]
    missing = [name for name in names if name not in table.names]
    if missing:
        hint = nearest(missing[0], table.names)
        raise UserError(f"{log.source}: {channel} has no {missing[0]!r}: {hint}")
    values = log.at(channel, time, hold)[:, [table.names.index(name) for name in names]]
    if not np.isfinite(values).all():
        raise UserError(f"{log.source}: {channel} has numbers that are none: see simreal check-log")
    return values


def act_on(act: Act, contract: Contract, states: Sequence[RobotState], asked: FloatArray) -> Acted:
    """Let a policy act on measured states, as if its own actions had led to them.

    Raises:
        UserError: the policy gives no number, or sees: logs hold no images.
    """
    if contract.cameras:
        raise UserError("a policy that sees cannot be replayed: logs hold no images")
    observe, to_command = ObservationPipeline(contract), ActionPipeline(contract)
    begin_episodes(act)
    to_command.begin(states[0].joint_position)
    lower = np.array([each.lower for each in contract.robot.actuators])
    upper = np.array([each.upper for each in contract.robot.actuators])
    previous = np.zeros(to_command.size)
    actions, limits = [], []
    for step, (state, command) in enumerate(zip(states, asked, strict=True)):
        see = observe.begin if step == 0 else observe
        observation = see(state, previous, command=command, target=to_command.target)
        previous = np.clip(act(observation[None], NO_IMAGES)[0].astype(np.float64), -1.0, 1.0)
        if not np.isfinite(previous).all():
            raise UserError(f"the policy gives no number at {state.time:.3f} s of the log")
        target = to_command(previous).target
        actions.append(previous)
        limits.append(((target <= lower) | (target >= upper)).mean())
    return Acted(np.array(actions), np.array(limits))
