"""Independent Beta distributions on [0, 1]: density, and entropy and divergence with their gradients.

Parameters are (2, columns) arrays: row 0 is alpha, row 1 is beta. All are at least 1, so that no
density has a pole; (1, 1) is the uniform distribution. Formulas: Johnson, Kotz and Balakrishnan,
"Continuous Univariate Distributions", volume 2, chapter 25.
"""

import numpy as np
from scipy.special import betaincinv, betaln, digamma, polygamma

from simreal.state import FloatArray

EDGE = 1e-12
"""Nearest to 0 and 1 that a position is looked at: there logarithms are still finite."""


def around(mode: FloatArray, concentration: float) -> FloatArray:
    """Parameters with given modes.

    Args:
        mode: (columns,) in [0, 1], 0 and 1 included.
        concentration: alpha + beta, from 2 (uniform); the standard deviation of a column with its
            mode in the middle is ``0.5 / sqrt(concentration + 1)``.
    """
    return 1.0 + (concentration - 2.0) * np.stack((mode, 1.0 - mode))


def quantile(parameters: FloatArray, uniform: FloatArray) -> FloatArray:
    """(n, columns) positions from (n, columns) uniform numbers."""
    positions: FloatArray = betaincinv(parameters[0], parameters[1], uniform)
    return positions


def entropy(parameters: FloatArray) -> FloatArray:
    """(columns,) differential entropies in nats: at most 0, that of the uniform distribution."""
    alpha, beta = parameters
    result: FloatArray = (
        betaln(alpha, beta)
        - (alpha - 1.0) * digamma(alpha)
        - (beta - 1.0) * digamma(beta)
        + (alpha + beta - 2.0) * digamma(alpha + beta)
    )
    return result


def entropy_gradient(parameters: FloatArray) -> FloatArray:
    """(2, columns) derivatives of each column's entropy by its parameters."""
    total = parameters.sum(axis=0)
    result: FloatArray = (total - 2.0) * polygamma(1, total) - (parameters - 1.0) * polygamma(
        1, parameters
    )
    return result


def divergence(parameters: FloatArray, other: FloatArray) -> float:
    """Kullback-Leibler divergence KL(parameters || other) of all columns together, in nats."""
    difference = parameters - other
    per_column = (
        betaln(*other)
        - betaln(*parameters)
        + (difference * digamma(parameters)).sum(axis=0)
        - difference.sum(axis=0) * digamma(parameters.sum(axis=0))
    )
    return float(per_column.sum())


def divergence_gradient(parameters: FloatArray, other: FloatArray) -> FloatArray:
    """(2, columns) derivatives of `divergence` by its first argument."""
    difference = parameters - other
    total = polygamma(1, parameters.sum(axis=0))
    result: FloatArray = difference * polygamma(1, parameters) - difference.sum(axis=0) * total
    return result


def logarithms(positions: FloatArray) -> FloatArray:
    """(n, 2, columns) logarithms of positions and of 1 - positions: the sufficient statistics."""
    inner = np.clip(positions, EDGE, 1.0 - EDGE)
    return np.stack((np.log(inner), np.log1p(-inner)), axis=1)


def log_density(parameters: FloatArray, statistics: FloatArray) -> FloatArray:
    """(n,) logarithms of the joint density at positions, given by their `logarithms`."""
    result: FloatArray = np.tensordot(statistics, parameters - 1.0, axes=2)
    result -= betaln(*parameters).sum()
    return result
