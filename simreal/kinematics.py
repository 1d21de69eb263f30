"""Where a tool of a robot is, from its joint positions alone: on the robot as in simulation."""

import numpy as np

from simreal.contract import Link, RobotDescription, Tool
from simreal.state import FloatArray


class Chain:
    """Forward kinematics of one tool."""

    def __init__(self, tool: Tool, robot: RobotDescription) -> None:
        """Prepare the chain that leads to a tool, whose joints are the robot's."""
        self._steps = [_Step(link, robot) for link in reversed(tool.chain)]

    def __call__(self, joint_position: FloatArray) -> FloatArray:
        """Place of the tool.

        Args:
            joint_position: (..., joints) rad or m, all of the robot's.

        Returns:
            (..., 3) m, in the frame of the robot's base.
        """
        # From the tool to the base, one point has to be turned, and no frame.
        point = np.zeros((*joint_position.shape[:-1], 3))
        for step in self._steps:
            point = step(point, joint_position)
        return point


class _Step:
    """One link: from its own frame to that of the link before."""

    def __init__(self, link: Link, robot: RobotDescription) -> None:
        self._offset, self._turn = np.array(link.position), _matrix(link.orientation)
        self._joint = None if link.joint is None else robot.joint_names.index(link.joint)
        self._slides = self._joint is not None and robot.joints[self._joint].unit == "m"
        axis = np.array(link.axis)
        self._axis = axis / np.linalg.norm(axis)

    def __call__(self, point: FloatArray, joint_position: FloatArray) -> FloatArray:
        if self._joint is not None:
            moved = joint_position[..., self._joint, None]
            point = point + moved * self._axis if self._slides else self._turned(point, moved)
        return self._offset + _sum(self._turn, point)

    def _turned(self, point: FloatArray, angle: FloatArray) -> FloatArray:
        """(..., 3) points turned about the axis by (..., 1) rad (formula of Rodrigues)."""
        cosine, axis = np.cos(angle), self._axis
        along = _sum(np.outer(axis, axis), point)
        turned: FloatArray = along + cosine * (point - along) + np.sin(angle) * np.cross(axis, point)
        return turned


def _sum(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """A (3, 3) matrix times (..., 3) vectors.

    Written out: a product of numpy's gives a row of a batch other last digits than it would alone.
    """
    x, y, z = (vector[..., axis, None] * matrix[:, axis] for axis in range(3))
    total: FloatArray = x + y + z
    return total


def _matrix(orientation: tuple[float, float, float, float]) -> FloatArray:
    """The (3, 3) matrix of a quaternion w, x, y, z of any length."""
    w, x, y, z = np.array(orientation) / np.linalg.norm(orientation)
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )
