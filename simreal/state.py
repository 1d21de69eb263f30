"""What a robot reports and what it is told: the same arrays in simulation and on hardware."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


IMU_WIDTHS = {"orientation": 4, "angular_velocity": 3, "linear_acceleration": 3}
"""How many numbers each reading of an IMU has."""
POSE = 7
"""Numbers of a pose: place x, y, z in m, and orientation w, x, y, z."""


@dataclass(slots=True)
class RobotState:
    """One measurement of a robot, or a batch of them.

    ``...`` is any leading batch shape, empty on a real robot. The joints stand in the order of the
    contract.

    Attributes:
        time: (...) s, when the measurement arrived, on a monotonic clock or in simulated time.
        joint_position: (..., joints) rad or m.
        joint_velocity: (..., joints) rad/s or m/s, as the robot itself reports it.
        orientation: (..., 4) unit quaternion w, x, y, z, from the axes of the IMU to the world's; this
            and the next two are None for a robot without one.
        angular_velocity: (..., 3) rad/s about the axes of the IMU.
        linear_acceleration: (..., 3) m/s² along them: what it feels, +9.81 upwards at rest.
        object_pose: (..., objects, 7) place in m in the frame of the robot's base, and orientation w, x,
            y, z, of what a camera or a tracker sees around it, in the order of the contract; None
            without one.
    """

    time: FloatArray | float
    joint_position: FloatArray
    joint_velocity: FloatArray
    orientation: FloatArray | None = None
    angular_velocity: FloatArray | None = None
    linear_acceleration: FloatArray | None = None
    object_pose: FloatArray | None = None

    def inertial(self) -> dict[str, FloatArray]:
        """What the IMU reads, by the names of the attributes; nothing without one."""
        readings = {name: getattr(self, name) for name in IMU_WIDTHS}
        return {name: values for name, values in readings.items() if values is not None}

    def row(self, index: int) -> "RobotState":
        """One member of a one-dimensional batch."""
        return self._part(index)

    def rows(self, ids: NDArray[np.integer[Any]]) -> "RobotState":
        """Some members of a one-dimensional batch."""
        return self._part(ids)

    def _part(self, ids: Any) -> "RobotState":
        time = self.time[ids] if isinstance(self.time, np.ndarray) else self.time
        measured = (
            self.joint_position,
            self.joint_velocity,
            self.orientation,
            self.angular_velocity,
            self.linear_acceleration,
            self.object_pose,
        )
        return RobotState(time, *(each if each is None else each[ids] for each in measured))  # type: ignore[arg-type]


@dataclass(slots=True)
class RobotCommand:
    """What the actuators are asked to do.

    Attributes:
        target: (..., actuators) in each actuator's own unit (V, N·m, rad), in the order of the
            contract.
    """

    target: FloatArray
