"""Bodies whose shapes are within each other in the default posture: they would push each other apart."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.robot_add.posture import GROUND, placed

DEEPEST = 1e-3
"""m; less is the softness of contacts."""


def overlapping_bodies(
    model: mujoco.MjModel, qpos: NDArray[np.float64]
) -> list[tuple[tuple[int, int], float]]:
    """Pairs of bodies of the robot, and by how many m they overlap."""
    data, depths = placed(model, qpos), dict[tuple[int, int], float]()
    for contact in data.contact[: data.ncon]:
        first, second = sorted(int(model.geom_bodyid[geom]) for geom in contact.geom)
        of_robot = first > 0 or not _is_ground(model, contact.geom)
        if of_robot and contact.dist < -DEEPEST:
            depths[first, second] = max(-float(contact.dist), depths.get((first, second), 0.0))
    return sorted(depths.items())


def _is_ground(model: mujoco.MjModel, geoms: NDArray[np.int32]) -> bool:
    return bool(np.isin(model.geom_type[geoms], GROUND).any())
