"""From a robot's state to a policy's observation: one pipeline for simulation and hardware."""

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import IMU_SOURCES, JOINT_SOURCES, OBJECT_SOURCES, Contract, ObservationTerm
from simreal.errors import UserError
from simreal.rotations import down_in_body
from simreal.state import FloatArray, RobotState

Float32Array = NDArray[np.float32]
Ids = NDArray[np.integer[Any]]

Read = Callable[[RobotState, FloatArray, FloatArray | None], FloatArray]
"""From a state, the previous action and the command to an array of shape (..., entries)."""
AXES = ("x", "y", "z")
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
    ) -> Float32Array:
        """Observe the first state of new episodes, with nothing before it.

        Args:
            state: arrays of shape (..., joints), or (len(ids), joints).
            previous_action: of the same leading shape.
            ids: the rows of a one-dimensional batch in which an episode begins; all if absent.
            command: (..., commands) that is asked; for a policy that is asked nothing, none.

        Returns:
            (..., size) float32, or (len(ids), size).
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action, command), self._frames, strict=True
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
        self, state: RobotState, previous_action: FloatArray, command: FloatArray | None = None
    ) -> Float32Array:
        """Observe a later state.

        Args:
            state: arrays of shape (..., joints).
            previous_action: (..., actuators), the last action in [-1, 1].
            command: (..., commands) that is asked.

        Returns:
            (..., size) float32.
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action, command), self._frames, strict=True
        ):
            if term.history > 1:
                frames[..., 1:, :] = frames[..., :-1, :].copy()
                frames[..., 0, :] = value
                value = frames.reshape(*value.shape[:-1], -1)
            parts.append(value)
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def _values(
        self, state: RobotState, previous_action: FloatArray, command: FloatArray | None
    ) -> list[FloatArray]:
        """Each term's newest frame, scaled and clipped."""
        values = []
        for term, read in zip(self._terms, self._read, strict=True):
            value = read(state, previous_action, command) * term.scale
            values.append(value if term.clip is None else np.clip(value, -term.clip, term.clip))
        return values


def _reader(term: ObservationTerm, contract: Contract) -> Read:
    """What takes a term's quantity from what there is to see."""
    source = term.source
    if source in JOINT_SOURCES:
        return _joint_reader(term, contract)
    if source in IMU_SOURCES:
        return lambda state, action, command: _imu(source, state)
    if source in OBJECT_SOURCES:
        return lambda state, action, command: _object(source, state)
    if source == "command":
        return lambda state, action, command: _given(command)
    if source == "task":
        raise UserError(
            "observation task: only the simulated task itself computes it, no robot measures it"
        )
    return lambda state, action, command: action


def _joint_reader(term: ObservationTerm, contract: Contract) -> Read:
    names = contract.robot.joint_names
    places = [names.index(name) for name in term.joints or names]
    # A slice of all is free; an index array, made once, takes a third of what a list takes.
    everything = places == list(range(len(names)))
    columns: slice | NDArray[np.intp] = slice(None) if everything else np.array(places)
    default = np.array(contract.robot.default_position)[columns]
    match term.source:
        case "joint_position":
            return lambda state, action, command: state.joint_position[..., columns]
        case "joint_offset":
            return lambda state, action, command: state.joint_position[..., columns] - default
        case "joint_position_sin":
            return lambda state, action, command: np.sin(state.joint_position[..., columns])
        case "joint_position_cos":
            return lambda state, action, command: np.cos(state.joint_position[..., columns])
    return lambda state, action, command: state.joint_velocity[..., columns]


def _imu(source: str, state: RobotState) -> FloatArray:
    name = "orientation" if source == "projected_gravity" else source
    value: FloatArray | None = getattr(state, name)
    if value is None:
        raise UserError(f"observation {source}: this state has no {name}: it comes without an IMU")
    return down_in_body(value) if source == "projected_gravity" else value


def _object(source: str, state: RobotState) -> FloatArray:
    """(..., entries) places or orientations of all objects, one after the other."""
    pose = state.object_pose
    if pose is None:
        raise UserError(f"observation {source}: this state has no objects: it comes without a tracker")
    part = pose[..., :3] if source == "object_position" else pose[..., 3:]
    return part.reshape(*pose.shape[:-2], -1)


def _given(command: FloatArray | None) -> FloatArray:
    if command is None:
        raise UserError("observation command: this policy must be told what is asked of it")
    return command


def owners(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    """What a term has one entry for."""
    if term.source in JOINT_SOURCES:
        return term.joints or contract.robot.joint_names
    if term.source in IMU_SOURCES:
        return AXES
    if term.source in OBJECT_SOURCES:
        axes = AXES if term.source == "object_position" else QUATERNION
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
