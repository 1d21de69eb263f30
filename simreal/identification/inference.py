"""Simulation-based inference: a network learns the posterior from simulations alone.

Robots are drawn within the bounds of their unknowns and simulated on the windows of the logs; their
motions are boiled down to a few numbers; a normalizing flow learns which robots belong to which numbers
(neural posterior estimation, Papamakarios and Murray, arXiv 1605.06376, with the package `sbi`) and is
asked for those that were measured. No derivatives are needed. The posterior may have several peaks and
any shape, where the other way, by Gauss-Newton, has an ellipsoid. Each round draws within what the
round before has left (truncated proposals, Deistler et al., arXiv 2210.04815): the prior stays uniform,
so that nothing is to be corrected.
"""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from simreal.callbacks import Tell
from simreal.errors import UserError, missing_extra
from simreal.identification.ensemble import within_bounds
from simreal.identification.simulator import Simulator
from simreal.identification.unknowns import Unknown
from simreal.state import FloatArray

ROUNDS = 3
STATISTICS = 4
"""Numbers per unknown that a robot's motion is boiled down to."""
FARTHEST = 1e3
"""Standard deviations of a measurement beyond which a motion is no worse: such robots are far off."""
TAIL, MARGIN = 1e-3, 0.25
"""Of a round, quantiles between which the next one draws, and by what share of them beyond."""
EDGE = 1e-6
"""Shares of the bounds closer than this to an end count as this close: the flow knows no ends."""


def learned_posterior(
    simulator: Simulator,
    noise: FloatArray,
    draws: int,
    samples: int,
    seed: int = 0,
    tell: Tell | None = None,
) -> FloatArray:
    """Learn the posterior of the unknowns under a uniform prior within their bounds.

    Args:
        simulator: of the windows that tell.
        noise: (joints,) standard deviation of a measurement, what the model lacks included.
        draws: robots simulated in each round.
        samples: wanted.
        seed: of all that is drawn.
        tell: is told how far it is.

    Returns:
        (samples, unknowns).

    Raises:
        UserError: the package `sbi` is not installed, or hardly a drawn robot could be simulated.
    """
    random = np.random.default_rng(seed)
    bounds = np.array([[each.low, each.high] for each in simulator.unknowns]).T
    box = bounds.copy()
    found = np.empty((0, len(simulator.unknowns)))
    for number in range(1, ROUNDS + 1):
        if tell is not None:
            tell(f"round {number} of {ROUNDS}: simulating {draws} robots")
        robots = random.uniform(box[0], box[1], (draws, box.shape[1]))
        motion = _deviations(simulator, robots, noise, random)
        kept = np.isfinite(motion).all(axis=1)
        if kept.sum() < max(50, 0.1 * draws):
            raise UserError(
                f"{kept.sum()} of {draws} drawn robots could be simulated: narrow the bounds"
            )
        statistics, measured = summarise(motion[kept], STATISTICS * box.shape[1])
        if tell is not None:
            tell(f"round {number} of {ROUNDS}: learning")
        shares = (robots[kept] - box[0]) / (box[1] - box[0])
        drawn = _learn(_unbounded(shares), statistics, measured, samples, seed + number)
        found = box[0] + (box[1] - box[0]) / (1.0 + np.exp(-drawn))
        box = _narrowed(found, box)
    return found


def draw_learned(
    fit: FloatArray,
    samples: FloatArray,
    unknowns: list[Unknown],
    factors: FloatArray | float,
    count: int,
) -> FloatArray:
    """(count, unknowns) of a posterior's samples, deviations from their mean widened; the fit first."""
    middle = samples.mean(axis=0)
    members = within_bounds(middle + factors * (samples[:count] - middle), unknowns)
    members[0] = fit
    return members


def _deviations(
    simulator: Simulator, robots: FloatArray, noise: FloatArray, random: np.random.Generator
) -> FloatArray:
    """(robots, numbers) what each would have measured less what was, in standard deviations.

    The starts of windows are drawn from their uncertainty, so that the posterior allows for it.
    """
    windows = simulator.windows
    shape = (len(robots), *windows.start_state.shape)
    starts = windows.start_state + windows.start_deviation * random.standard_normal(shape)
    predicted = simulator.predict(robots, starts)[..., 0, :]
    predicted = predicted + noise * random.standard_normal(predicted.shape)
    deviation = (predicted - windows.position) / noise
    return deviation[:, windows.valid].reshape(len(robots), -1)


def summarise(motion: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Principal components of robots' (robots, numbers) deviations from what was measured.

    Returns:
        (robots, count), and (count,) of what was measured, whose deviation is zero everywhere. In units
        of the robots' median size, and what is much larger compressed.
    """
    size = np.clip(motion, -FARTHEST, FARTHEST)
    middle = size.mean(axis=0)
    count = min(count, *size.shape)
    _, _, axes = np.linalg.svd(size - middle, full_matrices=False)
    numbers = (size - middle) @ axes[:count].T
    scale = np.maximum(np.median(np.abs(numbers), axis=0), 1e-9)
    return np.arcsinh(numbers / scale), np.arcsinh((-middle @ axes[:count].T) / scale)


def _unbounded(shares: FloatArray) -> FloatArray:
    inside = np.clip(shares, EDGE, 1.0 - EDGE)
    result: FloatArray = np.log(inside) - np.log1p(-inside)
    return result


def _narrowed(found: FloatArray, box: FloatArray) -> FloatArray:
    """The box that holds nearly all of what was found, and some more, within the one before."""
    low, high = np.quantile(found, (TAIL, 1.0 - TAIL), axis=0)
    margin = MARGIN * (high - low)
    return np.stack((np.maximum(box[0], low - margin), np.minimum(box[1], high + margin)))


def _learn(
    robots: FloatArray, statistics: FloatArray, measured: FloatArray, samples: int, seed: int
) -> FloatArray:
    """(samples, unknowns) of a flow trained on (robots, ...) pairs, at what was measured."""
    try:
        import torch
        from sbi.inference import NPE
        from sbi.neural_nets import posterior_nn
    except ModuleNotFoundError:
        raise missing_extra("sbi", "inference") from None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flow_of = posterior_nn("maf", z_score_x="none")  # the numbers have their scale
        method: Any = NPE(density_estimator=flow_of, show_progress_bars=False, tracker=_NoTracker())
        method.append_simulations(_tensor(robots), _tensor(statistics))
        with redirect_stdout(StringIO()):  # it prints when it is done
            flow = method.train()
        with torch.no_grad():
            drawn = flow.sample((samples,), condition=_tensor(measured[None]))
    result: FloatArray = drawn[:, 0].numpy().astype(np.float64)
    return result


class _NoTracker:
    """Keeps no record of the training; by itself `sbi` writes a folder where one stands."""

    log_dir = None

    def log_metric(self, name: str, value: float, step: int | None = None) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_params(self, params: dict[str, Any]) -> None: ...

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None: ...

    def flush(self) -> None: ...


def _tensor(values: FloatArray) -> Any:
    import torch

    return torch.as_tensor(values, dtype=torch.float32)
