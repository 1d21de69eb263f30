"""From a policy's action to a robot's command: one mapping for simulation and hardware."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.state import FloatArray, RobotCommand


class ActionPipeline:
    """Maps actions in [-1, 1] to commands within the actuators' limits, any leading batch shape."""

    def __init__(self, contract: Contract) -> None:
        self._scale = np.array(contract.action.scale)
        self._offset = np.array(contract.action.offset)
        self._lower = np.array([actuator.lower for actuator in contract.robot.actuators])
        self._upper = np.array([actuator.upper for actuator in contract.robot.actuators])

    @property
    def size(self) -> int:
        """Length of an action."""
        return len(self._scale)

    def __call__(self, action: FloatArray) -> RobotCommand:
        """Turn (..., actuators) actions into a command of the same shape, in the actuators' units."""
        # Two ufuncs cost a third of np.clip on arrays as small as these.
        within = np.minimum(np.maximum(action, -1.0), 1.0)
        target = self._offset + self._scale * within
        return RobotCommand(np.minimum(np.maximum(target, self._lower), self._upper))


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
