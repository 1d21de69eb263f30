"""From a robot's state to a policy's observation: one pipeline for simulation and hardware."""

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import (
    AXES,
    IMU_SOURCES,
    JOINT_SOURCES,
    OBJECT_SOURCES,
    TOOL_SOURCES,
    Contract,
    ObservationTerm,
)
from simreal.errors import UserError
from simreal.kinematics import Chain
from simreal.rotations import down_in_body
from simreal.state import FloatArray, RobotState

Float32Array = NDArray[np.float32]
Ids = NDArray[np.integer[Any]]

Read = Callable[[RobotState, FloatArray, FloatArray | None, FloatArray | None], FloatArray]
"""From state, previous action, command and target to an array of shape (..., entries)."""
QUATERNION = ("w", "x", "y", "z")


class ObservationPipeline:
    """Turns states into observations, and remembers what history terms need.

    `begin` gives the first observation of an episode, a call each later one, once per control step.
    The same numbers come out for one robot and for that robot as a row of a batch.

    Attributes:
        size: length of an observation.
        names: (size,) what each entry is, for people.
    """

    def __init__(self, contract: Contract, batch_shape: tuple[int, ...] = ()) -> None:
        """Prepare for arrays that lead with `batch_shape`."""
        self._terms = contract.observation
        self._read = [_reader(term, contract) for term in self._terms]
        self._frames = [
            np.zeros((*batch_shape, term.history, len(owners(term, contract)))) for term in self._terms
        ]
        self.names = _names(contract)
        self.size = len(self.names)

    def begin(
        self,
        state: RobotState,
        previous_action: FloatArray,
        ids: Ids | EllipsisType = ...,
        command: FloatArray | None = None,
        target: FloatArray | None = None,
    ) -> Float32Array:
        """Observe the first state of new episodes, with nothing before it.

        Args:
            state: arrays of shape (..., joints), or (len(ids), joints).
            previous_action: of the same leading shape.
            ids: the rows of a one-dimensional batch in which an episode begins; all if absent.
            command: (..., commands) that is asked; for a policy that is asked nothing, none.
            target: (..., actuators) what the actuators were last told, in their units; needed for the
                following error alone.

        Returns:
            (..., size) float32, or (len(ids), size).
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action, command, target), self._frames, strict=True
        ):
            past = value if term.fill == "first" else np.zeros_like(value)
            stack = np.repeat(past[..., None, :], term.history, axis=-2)
            stack[..., 0, :] = value
            frames[ids] = stack
            parts.append(stack.reshape(*value.shape[:-1], frames.shape[-2] * frames.shape[-1]))
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def take(self, ids: Ids, source: "ObservationPipeline", rows: Ids) -> None:
        """Remember in some rows of a batch what rows of another remember."""
        for here, there in zip(self._frames, source._frames, strict=True):
            here[ids] = there[rows]

    def __call__(
        self,
        state: RobotState,
        previous_action: FloatArray,
        command: FloatArray | None = None,
        target: FloatArray | None = None,
    ) -> Float32Array:
        """Observe a later state.

        Args:
            state: arrays of shape (..., joints).
            previous_action: (..., actuators), the last action in [-1, 1].
            command: (..., commands) that is asked.
            target: (..., actuators) what the actuators were last told.

        Returns:
            (..., size) float32.
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action, command, target), self._frames, strict=True
        ):
            if term.history > 1:
                frames[..., 1:, :] = frames[..., :-1, :].copy()
                frames[..., 0, :] = value
                value = frames.reshape(*value.shape[:-1], -1)
            parts.append(value)
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def _values(
        self,
        state: RobotState,
        previous_action: FloatArray,
        command: FloatArray | None,
        target: FloatArray | None,
    ) -> list[FloatArray]:
        """Each term's newest frame, scaled and clipped."""
        values = []
        for term, read in zip(self._terms, self._read, strict=True):
            value = read(state, previous_action, command, target) * term.scale
            values.append(value if term.clip is None else np.clip(value, -term.clip, term.clip))
        return values


def _reader(term: ObservationTerm, contract: Contract) -> Read:
    """What takes a term's quantity from what there is to see."""
    source = term.source
    if source in JOINT_SOURCES:
        return _joint_reader(term, contract)
    if source in IMU_SOURCES:
        return lambda state, action, command, target: _imu(source, state)
    if source in TOOL_SOURCES:
        return _tool_reader(term, contract)
    if source == "object_to_command":
        asked, axes = _asked_place(contract)
        return lambda state, action, command, target: _ways(
            _places(source, state)[..., axes], _given(command)[..., None, asked]
        )
    if source in OBJECT_SOURCES:
        return lambda state, action, command, target: _object(source, state)
    if source == "command":
        return lambda state, action, command, target: _given(command)
    if source == "following_error":
        robot = contract.robot
        driven = [robot.joint_names.index(actuator.joint) for actuator in robot.actuators]
        return lambda state, action, command, target: _told(target) - state.joint_position[..., driven]
    if source == "task":
        raise UserError(
            "observation task: only the simulated task itself computes it, no robot measures it"
        )
    return lambda state, action, command, target: action


def _joint_reader(term: ObservationTerm, contract: Contract) -> Read:
    names = contract.robot.joint_names
    places = [names.index(name) for name in term.joints or names]
    # A slice of all is free; an index array, made once, takes a third of what a list takes.
    everything = places == list(range(len(names)))
    columns: slice | NDArray[np.intp] = slice(None) if everything else np.array(places)
    default = np.array(contract.robot.default_position)[columns]
    match term.source:
        case "joint_position":
            return lambda state, action, command, target: state.joint_position[..., columns]
        case "joint_offset":
            return lambda state, action, command, target: state.joint_position[..., columns] - default
        case "joint_position_sin":
            return lambda state, action, command, target: np.sin(state.joint_position[..., columns])
        case "joint_position_cos":
            return lambda state, action, command, target: np.cos(state.joint_position[..., columns])
    return lambda state, action, command, target: state.joint_velocity[..., columns]


def _tool_reader(term: ObservationTerm, contract: Contract) -> Read:
    source = term.source
    tool = next(each for each in contract.robot.tools if each.name == term.tool)
    chain = Chain(tool, contract.robot)
    if source == "tool_position":
        return lambda state, action, command, target: chain(state.joint_position)
    if source == "tool_to_object":
        return lambda state, action, command, target: _ways(
            chain(state.joint_position)[..., None, :], _places(source, state)
        )
    asked, axes = _asked_place(contract)
    return lambda state, action, command, target: (
        _given(command)[..., asked] - chain(state.joint_position)[..., axes]
    )


def _asked_place(contract: Contract) -> tuple[list[int], list[int]]:
    """Which of the commands are a place, and which of x, y, z they are."""
    names, axes = [command.name for command in contract.commands], contract.commanded_axes
    return [names.index(axis) for axis in axes], [AXES.index(axis) for axis in axes]


def _ways(start: FloatArray, end: FloatArray) -> FloatArray:
    """(..., entries) from (..., objects, axes) places to others, one after the other."""
    way: FloatArray = end - start
    return way.reshape(*way.shape[:-2], -1)


def _imu(source: str, state: RobotState) -> FloatArray:
    name = "orientation" if source == "projected_gravity" else source
    value: FloatArray | None = getattr(state, name)
    if value is None:
        raise UserError(f"observation {source}: this state has no {name}: it comes without an IMU")
    return down_in_body(value) if source == "projected_gravity" else value


def _poses(source: str, state: RobotState) -> FloatArray:
    if state.object_pose is None:
        raise UserError(f"observation {source}: this state has no objects: it comes without a tracker")
    return state.object_pose


def _places(source: str, state: RobotState) -> FloatArray:
    """(..., objects, 3) m."""
    return _poses(source, state)[..., :3]


def _object(source: str, state: RobotState) -> FloatArray:
    """(..., entries) places or orientations of all objects, one after the other."""
    pose = _poses(source, state)
    part = pose[..., :3] if source == "object_position" else pose[..., 3:]
    return part.reshape(*pose.shape[:-2], -1)


def _given(command: FloatArray | None) -> FloatArray:
    if command is None:
        raise UserError("observation command: this policy must be told what is asked of it")
    return command


def _told(target: FloatArray | None) -> FloatArray:
    if target is None:
        raise UserError("observation following_error: nothing says what the actuators were last told")
    return target


def owners(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    """What a term has one entry for."""
    if term.source in JOINT_SOURCES:
        return term.joints or contract.robot.joint_names
    if term.source in IMU_SOURCES or term.source == "tool_position":
        return AXES
    if term.source == "tool_to_command":
        return contract.commanded_axes
    if term.source in OBJECT_SOURCES:
        axes: tuple[str, ...] = QUATERNION if term.source == "object_orientation" else AXES
        if term.source == "object_to_command":
            axes = contract.commanded_axes
        return tuple(f"{name}.{axis}" for name in contract.objects for axis in axes)
    if term.source == "command":
        return tuple(command.name for command in contract.commands)
    return contract.robot.actuator_names


def _names(contract: Contract) -> tuple[str, ...]:
    names = []
    for term in contract.observation:
        for age in range(term.history):
            suffix = f" t-{age}" if age else ""
            names += [f"{term.source}[{owner}]{suffix}" for owner in owners(term, contract)]
    # The same quantity may stand in two terms, scaled or clipped otherwise: a log needs both.
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return tuple(f"{name} #{n + 1}" if n else name for name, n in zip(names, again, strict=True))
