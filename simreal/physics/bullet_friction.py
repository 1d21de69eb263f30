"""Which geoms may touch, and friction that comes out as MuJoCo's although Bullet multiplies.

For two geoms MuJoCo takes the friction of the one of higher priority, else the larger one; Bullet
multiplies the two numbers of its colliders. Numbers x with x_i x_j = mu_ij for all pairs that may
touch solve linear equations in their logarithms. They exist wherever one geom meets all others, such
as a floor, and for up to three that all meet; else the numbers here are the least-squares solution.
"""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.bullet_tree import touches
from simreal.state import FloatArray

Pairs = NDArray[np.int64]

SLIPPERIEST = 1e-6
"""Friction below it counts as this: it has no logarithm."""


def allowed_by_bits(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """(ngeom, ngeom) pairs that contype and conaffinity let touch, each of either order."""
    offered = (model.geom_contype[:, None] & model.geom_conaffinity[None]) != 0
    active = np.array([touches(model, geom) for geom in range(model.ngeom)], dtype=bool)
    allowed: NDArray[np.bool_] = (offered | offered.T) & active[:, None] & active[None]
    return allowed


def allowed_by_bodies(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """(ngeom, ngeom) pairs that are not of one body, nor parent and child, nor excluded."""
    weld = model.body_weldid[model.geom_bodyid]
    parent = model.body_weldid[model.body_parentid[weld]]
    same = weld[:, None] == weld[None]
    child = (weld[:, None] == parent[None]) & (weld[:, None] != 0) & (weld[None] != 0)
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT:
        child[:] = False
    body = model.geom_bodyid
    signature = (np.minimum.outer(body, body) << 16) + np.maximum.outer(body, body)
    excluded = np.isin(signature, model.exclude_signature)
    allowed: NDArray[np.bool_] = ~(same | child | child.T | excluded)
    return allowed


def touching_pairs(model: mujoco.MjModel) -> Pairs:
    """(pairs, 2) geoms that may touch, the smaller id first."""
    may = np.triu(allowed_by_bits(model) & allowed_by_bodies(model), 1)
    return np.argwhere(may).astype(np.int64)


class FrictionSplit:
    """Turns the sliding friction of pairs into one number for each geom."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Look up which geoms may touch."""
        self._model = model
        self.pairs = touching_pairs(model)
        incidence = np.zeros((len(self.pairs), model.ngeom))
        for side in (0, 1):
            incidence[np.arange(len(self.pairs)), self.pairs[:, side]] = 1.0
        self._solve = np.linalg.pinv(incidence)

    def of_pairs(self, friction: FloatArray) -> FloatArray:
        """(pairs,) friction as MuJoCo combines (ngeom,) numbers."""
        first, second = self.pairs.T
        priority = self._model.geom_priority
        larger = np.maximum(friction[first], friction[second])
        decided = np.where(priority[first] > priority[second], friction[first], friction[second])
        combined: FloatArray = np.where(priority[first] == priority[second], larger, decided)
        return combined

    def of_geoms(self, friction: FloatArray) -> FloatArray:
        """(ngeom,) numbers whose products come as near to that as can be; 1 where nothing touches."""
        if not len(self.pairs):
            return np.ones(len(friction))
        wanted = np.maximum(self.of_pairs(friction), SLIPPERIEST)
        numbers: FloatArray = np.exp(self._solve @ np.log(wanted))
        return numbers
