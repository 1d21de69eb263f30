"""From a robot's state to a policy's observation: one pipeline for simulation and hardware."""

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract, ObservationTerm
from simreal.state import FloatArray, RobotState

Float32Array = NDArray[np.float32]
Ids = NDArray[np.integer[Any]]

JOINT_SOURCES: dict[str, Callable[[RobotState], FloatArray]] = {
    "joint_position": lambda state: state.joint_position,
    "joint_position_sin": lambda state: np.sin(state.joint_position),
    "joint_position_cos": lambda state: np.cos(state.joint_position),
    "joint_velocity": lambda state: state.joint_velocity,
}


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
        self._columns = [_columns(term, contract.robot.joint_names) for term in self._terms]
        actuators = len(contract.robot.actuators)
        widths = [actuators if columns is None else len(columns) for columns in self._columns]
        self._frames = [
            np.zeros((*batch_shape, term.history, width))
            for term, width in zip(self._terms, widths, strict=True)
        ]
        self.names = _names(contract)
        self.size = len(self.names)

    def begin(
        self, state: RobotState, previous_action: FloatArray, ids: Ids | EllipsisType = ...
    ) -> Float32Array:
        """Observe the first state of new episodes, with nothing before it.

        Args:
            state: arrays of shape (..., joints), or (len(ids), joints).
            previous_action: of the same leading shape.
            ids: the rows of a one-dimensional batch in which an episode begins; all if absent.

        Returns:
            (..., size) float32, or (len(ids), size).
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action), self._frames, strict=True
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

    def __call__(self, state: RobotState, previous_action: FloatArray) -> Float32Array:
        """Observe a later state.

        Args:
            state: arrays of shape (..., joints).
            previous_action: (..., actuators), the last action in [-1, 1].

        Returns:
            (..., size) float32.
        """
        parts = []
        for term, value, frames in zip(
            self._terms, self._values(state, previous_action), self._frames, strict=True
        ):
            if term.history > 1:
                frames[..., 1:, :] = frames[..., :-1, :].copy()
                frames[..., 0, :] = value
                value = frames.reshape(*value.shape[:-1], -1)
            parts.append(value)
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def _values(self, state: RobotState, previous_action: FloatArray) -> list[FloatArray]:
        """Each term's newest frame, scaled and clipped."""
        values = []
        for term, columns in zip(self._terms, self._columns, strict=True):
            if columns is None:
                value = previous_action * term.scale
            else:
                value = JOINT_SOURCES[term.source](state)[..., columns] * term.scale
            values.append(value if term.clip is None else np.clip(value, -term.clip, term.clip))
        return values


def _columns(term: ObservationTerm, joint_names: tuple[str, ...]) -> list[int] | None:
    """Indices of the term's joints, or None for a term that is no joint quantity."""
    if term.source not in JOINT_SOURCES:
        return None
    return [joint_names.index(name) for name in term.joints or joint_names]


def _names(contract: Contract) -> tuple[str, ...]:
    names = []
    for term in contract.observation:
        if term.source in JOINT_SOURCES:
            owners = term.joints or contract.robot.joint_names
        else:
            owners = contract.robot.actuator_names
        for age in range(term.history):
            suffix = f" t-{age}" if age else ""
            names += [f"{term.source}[{owner}]{suffix}" for owner in owners]
    # The same quantity may stand in two terms, scaled or clipped otherwise: a log needs both.
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return tuple(f"{name} #{n + 1}" if n else name for name, n in zip(names, again, strict=True))
