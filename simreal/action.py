"""From a policy's action to a robot's command: one mapping for simulation and hardware."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.state import FloatArray, Ids, RobotCommand


class ActionPipeline:
    """Maps actions in [-1, 1] to commands within the actuators' limits, and remembers the last ones.

    `begin` starts an episode, a call follows once per control step. The same numbers come out for one
    robot and for that robot as a row of a batch.

    Attributes:
        target: (..., actuators) what the actuators were last told. Before the first action: where their
            joints were measured, or, of a mapping that is not relative, what the action zero means.
    """

    def __init__(self, contract: Contract, batch_shape: tuple[int, ...] = ()) -> None:
        """Prepare for arrays that lead with `batch_shape`, with the joints at their defaults."""
        robot = contract.robot
        self._scale = np.array(contract.action.scale)
        self._offset = np.array(contract.action.offset)
        self._relative = contract.action.relative_to == "previous_target"
        self._lower = np.array([actuator.lower for actuator in robot.actuators])
        self._upper = np.array([actuator.upper for actuator in robot.actuators])
        self._driven = [robot.joint_names.index(actuator.joint) for actuator in robot.actuators]
        self.target = np.zeros((*batch_shape, self.size))
        self.begin(np.broadcast_to(robot.default_position, (*batch_shape, len(robot.joints))))

    @property
    def size(self) -> int:
        """Length of an action."""
        return len(self._scale)

    def begin(self, joint_position: FloatArray, ids: Ids | EllipsisType = ...) -> None:
        """Begin episodes, before their first action.

        Args:
            joint_position: (..., joints) as measured, or (len(ids), joints).
            ids: the rows of a one-dimensional batch in which an episode begins; all if absent.
        """
        told = joint_position[..., self._driven] if self._relative else self._offset
        self.target = self.target.copy()
        self.target[ids] = self._limited(told)

    def take(self, ids: Ids, source: "ActionPipeline", rows: Ids) -> None:
        """Remember in some rows of a batch what rows of another remember."""
        self.target = self.target.copy()
        self.target[ids] = source.target[rows]

    def __call__(self, action: FloatArray) -> RobotCommand:
        """Turn (..., actuators) actions into a command of the same shape, in the actuators' units."""
        # Two ufuncs cost a third of np.clip on arrays as small as these.
        within = np.minimum(np.maximum(action, -1.0), 1.0)
        target = self._offset + self._scale * within
        self.target = self._limited(self.target + target if self._relative else target)
        return RobotCommand(self.target)

    def _limited(self, target: FloatArray) -> FloatArray:
        limited: FloatArray = np.minimum(np.maximum(target, self._lower), self._upper)
        return limited


def refuse_no_numbers(action: NDArray[np.floating[Any]], actuators: Sequence[str]) -> None:
    """Raise a `UserError` if a policy's (count, actuators) actions are not all finite.

    The physics would go wrong by them, and be blamed.
    """
    wrong = ~np.isfinite(action)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise UserError(
            f"the policy gives {action[row, place]} for actuator {actuators[place]}, in "
            f"{wrong.any(axis=1).sum()} of {len(action)} simulations: are its weights, or what it was "
            "given to see, finite?"
        )
