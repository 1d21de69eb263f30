"""How well a fit knows its unknowns: what logs cannot tell apart, and intervals that do not flatter.

Residuals of a simulation are no white noise: a window that begins to be wrong stays wrong. A covariance
that counts each sample as news is too small by far. Here whole blocks of windows are resampled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal import latencies
from simreal.column_names import parameter_of
from simreal.identification.fitting import Fitted
from simreal.identification.simulator import Simulator
from simreal.state import FloatArray

DRAWS = 400
FEWEST_BLOCKS = 8
"""Fewer recordings than this are cut into blocks of neighbouring windows."""
CONDITION = 500.0
"""Ratio of the largest singular value to the smallest that means anything: below it are errors of
derivatives, and how softly the engine lets friction stick."""
KNOWN = 0.5
"""A combination counts as identified if its deviation is below this share of what its bounds leave."""


@dataclass(frozen=True, slots=True)
class Combination:
    """A direction in the space of unknowns.

    Attributes:
        singular_value: standard deviations of the residuals per deviation of the bounds.
        shares: unknown to its part in the direction, the largest ones, in deviations of their bounds.
        identified: whether the logs tell it.
    """

    singular_value: float
    shares: dict[str, float]
    identified: bool

    def describe(self) -> str:
        """For people: ``mass[arm] +0.71, torque_constant[motor] +0.70``."""
        return ", ".join(f"{name} {share:+.2f}" for name, share in self.shares.items())


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of a fit.

    Attributes:
        covariance: (unknowns, unknowns) of the values, in their units, without bounds.
        prior: (unknowns,) standard deviations that the bounds alone leave: of a uniform distribution.
        combinations: from the best to the least identified.
    """

    covariance: FloatArray
    prior: FloatArray
    combinations: list[Combination]

    @property
    def bounded_covariance(self) -> FloatArray:
        """The covariance with what the bounds say."""
        return widened(self.covariance, self.prior, 1.0)


def widened(covariance: FloatArray, prior: FloatArray, factors: FloatArray | float) -> FloatArray:
    """A covariance with deviations times (unknowns,) factors, then within what the bounds leave."""
    scale = prior[:, None] * prior
    each = np.broadcast_to(factors, prior.shape)
    size = covariance / scale * (each[:, None] * each)
    # In deviations of the bounds, the prior is the identity.
    eigenvalues, vectors = np.linalg.eigh(0.5 * (size + size.T))
    kept = np.maximum(eigenvalues, 1e-12)
    inside: FloatArray = (vectors * (kept / (1.0 + kept))) @ vectors.T * scale
    return inside


def uncertainty(fitted: Fitted) -> Uncertainty:
    """By a block bootstrap of one Gauss-Newton step each (Davison and Hinkley, 1997, section 2.7)."""
    unknowns = fitted.simulator.unknowns
    step = np.array([each.step for each in unknowns])
    prior = np.array([each.high - each.low for each in unknowns]) / np.sqrt(12.0)
    residual, jacobian = fitted.derivatives.eliminate()
    # By deviations of the bounds. What differs by group or log is uncertain with each of its values: a
    # parameter that all share must not pass for known where those could make up for it.
    pooling = fitted.pooling
    owner = np.argmax(pooling > 0.0, axis=0)
    jacobian = jacobian * (prior / step)[owner]
    blocks = _blocks(fitted)
    gradients = np.stack([np.einsum("wrk,wr->k", jacobian[each], residual[each]) for each in blocks])
    curvatures = np.stack([np.einsum("wrk,wrl->kl", jacobian[each], jacobian[each]) for each in blocks])
    ridge = _told_by_bounds(owner)
    random, count = np.random.default_rng(0), len(blocks)
    drawn = np.empty((DRAWS, len(ridge)))
    for draw in range(DRAWS):
        chosen = random.integers(count, size=count)
        drawn[draw] = -np.linalg.solve(
            curvatures[chosen].sum(axis=0) + ridge, gradients[chosen].sum(axis=0)
        )
    drawn = (drawn - drawn.mean(axis=0)) @ pooling.T
    # A mean of few blocks varies less than they say.
    spread = drawn.T @ drawn / DRAWS * count / max(1, count - 1)
    white = pooling @ np.linalg.inv(curvatures.sum(axis=0) + ridge) @ pooling.T
    spread = _at_least(spread, white)
    covariance = spread * (prior[:, None] * prior)
    covariance += np.diag(of_steps(fitted.simulator) ** 2)
    # Another group of logs, or another log, has another value of what varies.
    for each in fitted.spreads:
        place = fitted.simulator.names.index(each.name)
        covariance[place, place] += each.unseen**2
    told = np.linalg.inv(white) - np.eye(len(unknowns))
    return Uncertainty(covariance, prior, _combinations(told, spread, fitted.simulator.names))


def of_steps(simulator: Simulator) -> FloatArray:
    """(unknowns,) ms by which latencies are uncertain beside what logs tell; of all else, none.

    An integrator is early by up to half of its step, which the latency that is found makes up for: the
    robot's own lies anywhere up to that lower.
    """
    late = np.array([parameter_of(each.name) in latencies.ALL for each in simulator.unknowns])
    deviation: FloatArray = late * 1e3 * 0.5 * simulator.timestep / np.sqrt(3.0)
    return deviation


def _told_by_bounds(owner: NDArray[np.int64]) -> FloatArray:
    """(values, values) curvature that stands for what no residual tells: a deviation of one.

    Values of one unknown lie by one around a mean that itself lies by one around the model's: many of
    them that nothing tells leave their mean as uncertain as one.

    Args:
        owner: (values,) index of each one's unknown.
    """
    same = owner[:, None] == owner
    differs = same.sum(axis=1) > 1
    result: FloatArray = np.linalg.inv(same + np.diag(differs.astype(float)))
    return result


def told_by_joints(fitted: Fitted) -> FloatArray:
    """(unknowns, joints) share of what is known of each unknown that each joint's motion tells."""
    _, jacobian = fitted.fit.derivatives.eliminate()
    windows = fitted.simulator.windows
    count, samples, joints = windows.position.shape
    channels = fitted.fit.noise.channels
    # Behind the measurements of a window stand the rows of its start.
    rows = jacobian[:, : samples * channels].reshape(count, samples, -1, joints, jacobian.shape[2])
    told = np.einsum("wscjk,wscjk->kj", rows, rows)
    total = told.sum(axis=1, keepdims=True)
    shares: FloatArray = np.where(total > 0.0, told / np.maximum(total, 1e-300), 1.0 / joints)
    return shares


def _at_least(spread: FloatArray, white: FloatArray) -> FloatArray:
    """The larger of two covariances along the second: white residuals are the best case."""
    eigenvalues, vectors = np.linalg.eigh(white)
    along = np.einsum("ki,kl,li->i", vectors, spread, vectors)
    lacking = np.maximum(eigenvalues - along, 0.0)
    larger: FloatArray = spread + (vectors * lacking) @ vectors.T
    return larger


def _blocks(fitted: Fitted) -> list[NDArray[np.int64]]:
    """Windows of each recording together; of few recordings, runs of neighbouring windows."""
    source = fitted.simulator.windows.source
    recordings = np.unique(source)
    if len(recordings) >= FEWEST_BLOCKS:
        return [np.flatnonzero(source == each) for each in recordings]
    runs = -(-FEWEST_BLOCKS * 2 // len(recordings))
    parts = []
    for each in recordings:
        members = np.flatnonzero(source == each)
        parts += [part for part in np.array_split(members, min(runs, len(members))) if part.size]
    return parts


def _combinations(curvature: FloatArray, spread: FloatArray, names: list[str]) -> list[Combination]:
    """Directions of the curvature, with the deviation that each has in the end."""
    eigenvalues, vectors = np.linalg.eigh(curvature)
    found = []
    for value, vector in zip(eigenvalues[::-1], vectors.T[::-1], strict=True):
        deviation = float(np.sqrt(vector @ spread @ vector))
        order = np.argsort(-np.abs(vector))
        large = [index for index in order if abs(vector[index]) >= 0.25 * np.abs(vector).max()][:5]
        sign = np.sign(vector[order[0]])
        shares = {names[index]: float(sign * vector[index]) for index in large}
        # A deviation of d left, in units of the bounds' own, of which the bounds keep d / sqrt(1 + d^2).
        kept = deviation / np.sqrt(1.0 + deviation**2)
        identified = kept < KNOWN and value * CONDITION**2 > eigenvalues[-1]
        found.append(Combination(float(np.sqrt(max(value, 0.0))), shares, bool(identified)))
    return found
