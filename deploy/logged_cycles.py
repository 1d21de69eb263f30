"""The control steps of a log, as the numbers that the loop had: exact, since JSON keeps every bit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.logs.messages import IMU_AXES, POSE_NAMES, LogMessages
from simreal.state import POSE, FloatArray, RobotState

Message = dict[str, Any]
RUNNING = "running"
PER_CYCLE = ("/state", "/asked", "/observation", "/action", "/command", "/supervisor")


@dataclass(frozen=True, slots=True)
class LoggedCycle:
    """What a log holds of one control step; what a fault prevented is None.

    NaN stands for each number that was none: a log does not tell an infinity from it.

    Attributes:
        number: of the cycle since the start of the run.
        state: raw, as the driver gave it.
        asked: (commands,) of the policy.
        observation: (size,) as the policy saw it.
        action: (actuators,) within [-1, 1], as the next observation sees it.
        command: (actuators,) as it was sent.
        running: whether the policy was acting in this phase of the run.
    """

    number: int
    state: RobotState
    asked: FloatArray
    observation: FloatArray | None
    action: FloatArray | None
    command: FloatArray | None
    running: bool


def logged_cycles(
    log: LogMessages, contract: Contract, observations: Sequence[str], source: str
) -> Iterator[LoggedCycle]:
    """Each whole cycle of a log, in order.

    Args:
        log: written by the loop.
        contract: by whose names the log's numbers are looked up.
        observations: names of the entries of an observation.
        source: of the log, for messages.

    Raises:
        UserError: a number that the contract names is not in the log.
    """
    # The messages of a cycle bear one log time, and timing is the last of them: what has it is whole.
    topics = {topic: _by_time(log, topic) for topic in PER_CYCLE}
    actuators = contract.robot.actuator_names
    asked_names = [command.name for command in contract.commands]
    for time, timing in _by_time(log, "/timing").items():
        state, asked, observation, action, command, supervision = (
            topics[topic].get(time) for topic in PER_CYCLE
        )
        if state is None:
            raise UserError(f"{source}: /timing without /state: not a log of simreal's loop")
        yield LoggedCycle(
            int(timing["cycle"]),
            logged_state(state, contract, source),
            _numbers(asked or {}, asked_names, f"{source}: /asked"),
            None
            if observation is None
            else _numbers(observation, observations, f"{source}: /observation"),
            None if action is None else _numbers(action, actuators, f"{source}: /action"),
            None if command is None else _numbers(command, actuators, f"{source}: /command"),
            supervision is None or supervision.get("phase") == RUNNING,
        )


def logged_state(message: Message, contract: Contract, source: str) -> RobotState:
    """The raw state in a `/state` message, in the order of the contract.

    Raises:
        UserError: a joint is not in it.
    """
    joints = contract.robot.joint_names
    where = f"{source}: /state"
    state = RobotState(
        _number(message["time"]),
        _numbers(message["joint_position"], joints, f"{where} joint_position"),
        _numbers(message["joint_velocity"], joints, f"{where} joint_velocity"),
    )
    for name, axes in IMU_AXES.items():
        if name in message:
            setattr(state, name, _numbers(message[name], axes, f"{where} {name}"))
    if "object_pose" in message:
        names = [f"{name}.{place}" for name in contract.objects for place in POSE_NAMES]
        poses = _numbers(message["object_pose"], names, f"{where} object_pose")
        state.object_pose = poses.reshape(-1, POSE)
    return state


def _by_time(log: LogMessages, topic: str) -> dict[int, Message]:
    return dict(zip(log.times.get(topic, ()), log.messages.get(topic, ()), strict=True))


def _numbers(message: Message, names: Sequence[str], where: str) -> FloatArray:
    absent = [name for name in names if name not in message]
    if absent:
        raise UserError(f"{where} has no {absent[0]!r}: the log was made under another contract")
    return np.array([_number(message[name]) for name in names])


def _number(value: float | None) -> float:
    return math.nan if value is None else value
