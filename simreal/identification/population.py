"""Search by a population, for unknowns whose effect jumps: backlash, dead zones.

Covariance matrix adaptation (Hansen, arXiv 1604.00772) by the package `cma`; each generation is one
batch of simulations.
"""

import numpy as np

from simreal.callbacks import Tell
from simreal.errors import missing_extra
from simreal.identification.residuals import Noise, errors, estimate_noise, loss, scaled
from simreal.identification.simulator import Simulator
from simreal.state import FloatArray

ROUGH = frozenset({"backlash", "dead_zone", "stribeck_speed"})
"""Parameters whose derivatives say little: the motion jumps, or does not change at all."""
SEED = 1
"""Of the search."""
GENERATIONS = 40
SMALLEST = 10
"""Members of a generation, at least."""
WIDTH = 0.15
"""Of the first generation: standard deviation, in shares of the bounds' distance."""


def search_population(
    simulator: Simulator,
    values: FloatArray,
    velocities: bool = False,
    tell: Tell | None = None,
    generations: int = GENERATIONS,
) -> FloatArray:
    """Search from (unknowns,) values; the best that was met.

    Raises:
        UserError: the package `cma` is not installed.
    """
    try:
        import cma
    except ModuleNotFoundError:
        raise missing_extra("cma", "adapt") from None
    low = np.array([each.low for each in simulator.unknowns])
    high = np.array([each.high for each in simulator.unknowns])
    size = max(SMALLEST, 4 + int(3.0 * np.log(len(values))))
    options = {"seed": SEED, "verbose": -9, "maxiter": generations, "popsize": size}
    strategy = cma.CMAEvolutionStrategy((values - low) / (high - low), WIDTH, options)
    noise: Noise | None = None
    for generation in range(generations):
        shares = np.array(strategy.ask())
        candidates = low + _folded(shares) * (high - low)
        error = errors(simulator.windows, simulator.predict(candidates), velocities)
        if noise is None:
            first = errors(simulator.windows, simulator.predict(values[None]), velocities)[0]
            noise = estimate_noise(first, simulator.windows, simulator.windows.position.shape[2])
        found = loss(scaled(error, noise)).sum(axis=1)
        strategy.tell(list(shares), found.tolist())
        if tell is not None:
            tell(f"generation {generation + 1}: loss {found.min():.4g}")
        if strategy.stop():
            break
    best: FloatArray = low + _folded(np.asarray(strategy.result.xbest)) * (high - low)
    return best


def _folded(shares: FloatArray) -> FloatArray:
    """Mirror what leaves [0, 1] back into it."""
    inside: FloatArray = 1.0 - np.abs(np.mod(shares, 2.0) - 1.0)
    return inside
