"""From a robot's state to a policy's observation: one pipeline for simulation and hardware."""

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from simreal.contract import AXES, Contract, ObservationSource, ObservationTerm
from simreal.errors import UserError
from simreal.kinematics import Chain
from simreal.rotations import down_in_body
from simreal.state import FloatArray, Ids, RobotState

Float32Array = NDArray[np.float32]

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
        self._read = [SOURCES[term.source].reader(term, contract) for term in self._terms]
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


def owners(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    """What a term has one entry for."""
    return SOURCES[term.source].owners(term, contract)


def _joint_position(term: ObservationTerm, contract: Contract) -> Read:
    columns = _columns(term, contract)
    return lambda state, action, command, target: state.joint_position[..., columns]


def _joint_offset(term: ObservationTerm, contract: Contract) -> Read:
    columns = _columns(term, contract)
    default = np.array(contract.robot.default_position)[columns]
    return lambda state, action, command, target: state.joint_position[..., columns] - default


def _joint_position_sin(term: ObservationTerm, contract: Contract) -> Read:
    columns = _columns(term, contract)
    return lambda state, action, command, target: np.sin(state.joint_position[..., columns])


def _joint_position_cos(term: ObservationTerm, contract: Contract) -> Read:
    columns = _columns(term, contract)
    return lambda state, action, command, target: np.cos(state.joint_position[..., columns])


def _joint_velocity(term: ObservationTerm, contract: Contract) -> Read:
    columns = _columns(term, contract)
    return lambda state, action, command, target: state.joint_velocity[..., columns]


def _columns(term: ObservationTerm, contract: Contract) -> slice | NDArray[np.intp]:
    """Where a term's joints stand among all."""
    names = contract.robot.joint_names
    places = [names.index(name) for name in term.joints or names]
    # A slice of all is free; an index array, made once, takes a third of what a list takes.
    return slice(None) if places == list(range(len(names))) else np.array(places)


def _angular_velocity(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: _of_imu(state, "angular_velocity", term)


def _linear_acceleration(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: _of_imu(state, "linear_acceleration", term)


def _projected_gravity(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: down_in_body(_of_imu(state, "orientation", term))


def _of_imu(state: RobotState, name: str, term: ObservationTerm) -> FloatArray:
    value: FloatArray | None = getattr(state, name)
    if value is None:
        raise UserError(f"observation {term.source}: this state has no {name}: it comes without an IMU")
    return value


def _command(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: _given(command)


def _given(command: FloatArray | None) -> FloatArray:
    if command is None:
        raise UserError("observation command: this policy must be told what is asked of it")
    return command


def _object_position(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: _flat(_poses(state, term)[..., :3])


def _object_orientation(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: _flat(_poses(state, term)[..., 3:])


def _object_to_command(term: ObservationTerm, contract: Contract) -> Read:
    asked, axes = _asked_place(contract)
    return lambda state, action, command, target: _flat(
        _given(command)[..., None, asked] - _poses(state, term)[..., axes]
    )


def _poses(state: RobotState, term: ObservationTerm) -> FloatArray:
    """(..., objects, 7) m and quaternions."""
    if state.object_pose is None:
        raise UserError(
            f"observation {term.source}: this state has no objects: it comes without a tracker"
        )
    return state.object_pose


def _flat(values: FloatArray) -> FloatArray:
    """(..., entries) from (..., objects, numbers), one object after the other."""
    return values.reshape(*values.shape[:-2], -1)


def _asked_place(contract: Contract) -> tuple[list[int], list[int]]:
    """Which of the commands are a place, and which of x, y, z they are."""
    names, axes = [command.name for command in contract.commands], contract.commanded_axes
    return [names.index(axis) for axis in axes], [AXES.index(axis) for axis in axes]


def _tool_position(term: ObservationTerm, contract: Contract) -> Read:
    chain = _chain(term, contract)
    return lambda state, action, command, target: chain(state.joint_position)


def _tool_to_command(term: ObservationTerm, contract: Contract) -> Read:
    chain, (asked, axes) = _chain(term, contract), _asked_place(contract)
    return lambda state, action, command, target: (
        _given(command)[..., asked] - chain(state.joint_position)[..., axes]
    )


def _tool_to_object(term: ObservationTerm, contract: Contract) -> Read:
    chain = _chain(term, contract)
    return lambda state, action, command, target: _flat(
        _poses(state, term)[..., :3] - chain(state.joint_position)[..., None, :]
    )


def _chain(term: ObservationTerm, contract: Contract) -> Chain:
    tool = next(each for each in contract.robot.tools if each.name == term.tool)
    return Chain(tool, contract.robot)


def _following_error(term: ObservationTerm, contract: Contract) -> Read:
    robot = contract.robot
    driven = [robot.joint_names.index(actuator.joint) for actuator in robot.actuators]
    return lambda state, action, command, target: _told(target) - state.joint_position[..., driven]


def _told(target: FloatArray | None) -> FloatArray:
    if target is None:
        raise UserError("observation following_error: nothing says what the actuators were last told")
    return target


def _previous_action(term: ObservationTerm, contract: Contract) -> Read:
    return lambda state, action, command, target: action


def _no_robots(term: ObservationTerm, contract: Contract) -> NoReturn:
    raise UserError("observation task: only the simulated task itself computes it, no robot measures it")


def _joints(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return term.joints or contract.robot.joint_names


def _axes(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return AXES


def _commanded_axes(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return contract.commanded_axes


def _commands(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return tuple(command.name for command in contract.commands)


def _actuators(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return contract.robot.actuator_names


def _object_axes(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return _of_objects(contract, AXES)


def _object_quaternions(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return _of_objects(contract, QUATERNION)


def _object_commanded_axes(term: ObservationTerm, contract: Contract) -> tuple[str, ...]:
    return _of_objects(contract, contract.commanded_axes)


def _of_objects(contract: Contract, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}.{part}" for name in contract.objects for part in parts)


@dataclass(frozen=True, slots=True)
class Source:
    """What an observation term may show.

    Attributes:
        meaning: what it is, for docs/observations.md.
        reader: makes what takes a term's quantity from what there is to see.
        owners: what a term has one entry for.
    """

    meaning: str
    reader: Callable[[ObservationTerm, Contract], Read]
    owners: Callable[[ObservationTerm, Contract], tuple[str, ...]]


SOURCES: dict[ObservationSource, Source] = {
    "joint_position": Source("where each joint is, rad or m", _joint_position, _joints),
    "joint_offset": Source("the same, less its default position", _joint_offset, _joints),
    "joint_position_sin": Source("sine of the position", _joint_position_sin, _joints),
    "joint_position_cos": Source("cosine of the position", _joint_position_cos, _joints),
    "joint_velocity": Source("rad/s or m/s", _joint_velocity, _joints),
    "angular_velocity": Source("of the body, in its frame, rad/s", _angular_velocity, _axes),
    "linear_acceleration": Source(
        "what an accelerometer feels, in the body's frame, m/s²", _linear_acceleration, _axes
    ),
    "projected_gravity": Source("which way is down, a unit vector", _projected_gravity, _axes),
    "command": Source("what is asked of the policy, in its units", _command, _commands),
    "object_position": Source("where each object is, m", _object_position, _object_axes),
    "object_orientation": Source("its quaternion w, x, y, z", _object_orientation, _object_quaternions),
    "object_to_command": Source(
        "the way from each object to the place that is asked, m",
        _object_to_command,
        _object_commanded_axes,
    ),
    "tool_position": Source("where the tool is, by the joints, m", _tool_position, _axes),
    "tool_to_command": Source(
        "the way from it to the place that is asked, m", _tool_to_command, _commanded_axes
    ),
    "tool_to_object": Source("the way from it to each object, m", _tool_to_object, _object_axes),
    "following_error": Source(
        "what each position servo was last told, less where its joint is measured, rad or m",
        _following_error,
        _actuators,
    ),
    "previous_action": Source("the last action, in [-1, 1]", _previous_action, _actuators),
    "task": Source("what a task of dm_control computes; no robot measures it", _no_robots, _no_robots),
}
"""A row for every source: one without a row would be read as nothing else, but fail."""


def _names(contract: Contract) -> tuple[str, ...]:
    names = []
    for term in contract.observation:
        for age in range(term.history):
            suffix = f" t-{age}" if age else ""
            names += [f"{term.source}[{owner}]{suffix}" for owner in owners(term, contract)]
    # The same quantity may stand in two terms, scaled or clipped otherwise: a log needs both.
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return tuple(f"{name} #{n + 1}" if n else name for name, n in zip(names, again, strict=True))
