"""What a robot reports and what it is told: the same arrays in simulation and on hardware."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Ids = NDArray[np.integer[Any]]
"""Of some members of a batch."""

IMU_WIDTHS = {"orientation": 4, "angular_velocity": 3, "linear_acceleration": 3}
"""How many numbers each reading of an IMU has."""
POSE = 7
"""Numbers of a pose: place x, y, z in m, and orientation w, x, y, z."""


@dataclass(slots=True)
class DriveReport:
    """What the drives of one robot report of themselves, as far as they do.

    Attributes:
        joint_time: (joints,) s, when each joint's part of the measurement arrived.
        temperature: (joints,) °C, the hottest place of each.
        supply_voltage: V.
        faults: what a drive reports as a fault, in words that name its joint.
    """

    joint_time: FloatArray | None = None
    temperature: FloatArray | None = None
    supply_voltage: float | None = None
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class RobotState:
    """One measurement of a robot, or a batch of them.

    ``...`` is any leading batch shape, empty on a real robot. The joints stand in the order of the
    contract. `joint_effort` and `drives` are reported by some robots only, and seen by no policy: they
    are for supervision and logs.

    Attributes:
        time: (...) s, when the measurement arrived, on a monotonic clock or in simulated time. Of parts
            that arrive one by one, the time of the oldest.
        joint_position: (..., joints) rad or m.
        joint_velocity: (..., joints) rad/s or m/s, as the robot itself reports it.
        orientation: (..., 4) unit quaternion w, x, y, z, from the axes of the IMU to the world's; this
            and the next two are None for a robot without one.
        angular_velocity: (..., 3) rad/s about the axes of the IMU.
        linear_acceleration: (..., 3) m/s² along them: what it feels, +9.81 upwards at rest.
        object_pose: (..., objects, 7) place in m in the frame of the robot's base, and orientation w, x,
            y, z, of what a camera or a tracker sees around it, in the order of the contract; None
            without one.
        joint_effort: (..., joints) N·m or N at the joint, as its drive estimates it.
        drives: what the drives of a real robot report of themselves.
    """

    time: FloatArray | float
    joint_position: FloatArray
    joint_velocity: FloatArray
    orientation: FloatArray | None = None
    angular_velocity: FloatArray | None = None
    linear_acceleration: FloatArray | None = None
    object_pose: FloatArray | None = None
    joint_effort: FloatArray | None = None
    drives: DriveReport | None = field(default=None, kw_only=True)

    def inertial(self) -> dict[str, FloatArray]:
        """What the IMU reads, by the names of the attributes; nothing without one."""
        readings = {name: getattr(self, name) for name in IMU_WIDTHS}
        return {name: values for name, values in readings.items() if values is not None}

    def row(self, index: int) -> "RobotState":
        """One member of a one-dimensional batch."""
        return self._part(index)

    def rows(self, ids: Ids) -> "RobotState":
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
            self.joint_effort,
        )
        return RobotState(time, *(each if each is None else each[ids] for each in measured))  # type: ignore[arg-type]


@dataclass(slots=True)
class RobotCommand:
    """What the actuators are asked to do.

    Attributes:
        target: (..., actuators) in each actuator's own unit (V, N·m, rad), in the order of the
            contract.
        authority: share of its gains, or of its effort, with which an actuator follows the target; less
            than 1 while a robot is being woken.
    """

    target: FloatArray
    authority: float = 1.0
