"""What a robot reports and what it is told: the same arrays in simulation and on hardware."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(slots=True)
class RobotState:
    """One measurement of a robot, or a batch of them.

    ``...`` is any leading batch shape, empty on a real robot. The joints stand in the order of the
    contract.

    Attributes:
        time: (...) s, when the measurement arrived, on a monotonic clock or in simulated time.
        joint_position: (..., joints) rad or m.
        joint_velocity: (..., joints) rad/s or m/s, as the robot itself reports it.
    """

    time: FloatArray | float
    joint_position: FloatArray
    joint_velocity: FloatArray

    def rows(self, ids: NDArray[np.integer[Any]]) -> "RobotState":
        """Some members of a one-dimensional batch."""
        time = self.time[ids] if isinstance(self.time, np.ndarray) else self.time
        return RobotState(time, self.joint_position[ids], self.joint_velocity[ids])


@dataclass(slots=True)
class RobotCommand:
    """What the actuators are asked to do.

    Attributes:
        target: (..., actuators) in each actuator's own unit (V, N·m, rad), in the order of the
            contract.
    """

    target: FloatArray
