"""DORAEMON: the distribution of highest entropy under which the policy still succeeds often enough.

After Tiboni et al., "Domain Randomization via Entropy Maximization", ICLR 2024, arXiv:2311.01885.
Each column has a Beta distribution between its limits. Every so many episodes the distribution
solves

    maximize entropy(new)  subject to  success(new) >= success_rate,  KL(new || old) <= kl_bound

where success(new) is estimated by importance sampling from the finished episodes. If even the old
distribution does not reach `success_rate`, a new one with the best success within the same distance
comes first.

Four departures from the paper. Weights are normalized by their sum: the estimate then stays in
[0, 1], and the optimizer cannot raise it by piling weight on where episodes happen to lie. Episodes
count over several updates: 40 columns are 80 parameters, and with some hundred episodes alone the
optimizer finds success in their noise. What it still finds there shows when the episodes after an
update succeed less than it promised; the next ones ask for that much more. And a column is a share of
its range on a logarithmic scale where the configured distribution is.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.optimize import minimize
from scipy.special import logsumexp

from simreal.config import Config
from simreal.randomization import beta
from simreal.randomization.schedule_interface import Drawn, Flags, Schedule, Space, Tags
from simreal.state import FloatArray

REMEMBERED = 20
"""Distributions kept, as the density of an episode is needed when it ends and while it counts."""
RANGE_TAIL = 0.01
"""Probability beyond each end of the ranges that are shown and recorded."""
OPTIMISM_GAIN = 0.3
"""How fast the optimism of estimates is learned, per update."""
HIGHEST_TARGET = 0.98
"""Success that is asked for at most, however optimistic estimates have been."""
TOLERANCE = 1e-3
"""By how much, relative to the bound, a constraint may be missed."""


class DoraemonConfig(Config):
    """Entropy maximization.

    The authors' code (gabrieletiboni/doraemon) starts at alpha = beta = 100 and updates 75 times. The
    numbers here are for runs of about 10^4 episodes, that is 50 updates. A divergence of `kl_bound`
    in D columns widens each by about sqrt(kl_bound / D): 7 % for 20, 5 % for 40, which fifty updates
    turn into the factor of six from the start to all of the range.
    """

    type: Literal["doraemon"] = "doraemon"
    success_rate: float = Field(default=0.7, gt=0, lt=1)
    """Share of episodes that must succeed."""
    kl_bound: float = Field(default=0.1, gt=0)
    """Farthest that one update goes: Kullback-Leibler divergence of all columns together, in nats."""
    episodes_per_update: int = Field(default=200, ge=10)
    """Finished episodes between updates."""
    episodes: int = Field(default=1000, ge=10)
    """Finished episodes, the latest, from which success is estimated."""
    start_concentration: float = Field(default=100.0, gt=2)
    """alpha + beta at the start, and the most of each ever: 100 is a standard deviation of 5 % of the
    range."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.episodes < self.episodes_per_update:
            raise ValueError(
                f"episodes {self.episodes} is less than episodes_per_update {self.episodes_per_update}"
            )
        return self


@dataclass(frozen=True)
class Episodes:
    """Finished episodes as samples.

    Attributes:
        statistics: (n, 2, columns) `beta.logarithms` of where between the limits each episode was.
        log_density: (n,) of what the episodes were drawn from.
        success: (n,).
    """

    statistics: FloatArray
    log_density: FloatArray
    success: Flags

    def estimate(self, parameters: FloatArray) -> float:
        """Success to be expected under other parameters, in [0, 1]."""
        return float(self._weights(parameters) @ self.success)

    def estimate_gradient(self, parameters: FloatArray) -> FloatArray:
        """(2, columns) derivatives of `estimate`.

        The normalizing constant of the density moves all weights alike and drops out.
        """
        weights = self._weights(parameters)
        excess = weights * (self.success - weights @ self.success)
        gradient: FloatArray = np.tensordot(excess, self.statistics, axes=1)
        return gradient

    def _weights(self, parameters: FloatArray) -> FloatArray:
        """(n,) importance weights; they sum to 1."""
        logarithm = beta.log_density(parameters, self.statistics) - self.log_density
        weights = np.exp(logarithm - logarithm.max())
        normalized: FloatArray = weights / weights.sum()
        return normalized


@dataclass(frozen=True)
class _Quantity:
    """A number that depends on parameters, with its (2, columns) gradient."""

    value: Callable[[FloatArray], float]
    gradient: Callable[[FloatArray], FloatArray]


def widen(old: FloatArray, episodes: Episodes, config: DoraemonConfig, target: float) -> FloatArray:
    """The next parameters: one update of DORAEMON.

    Args:
        old: (2, columns) parameters, at least 1, at most `config.start_concentration`.
        episodes: whose successes count.
        config: bounds.
        target: success to reach by estimate.
    """
    near = _Quantity(
        lambda p: 1.0 - beta.divergence(p, old) / config.kl_bound,
        lambda p: -beta.divergence_gradient(p, old) / config.kl_bound,
    )
    successful = _Quantity(
        lambda p: episodes.estimate(p) / target - 1.0,
        lambda p: episodes.estimate_gradient(p) / target,
    )
    columns = old.shape[1]
    open_ = _Quantity(
        lambda p: float(beta.entropy(p).sum()) / columns, lambda p: beta.entropy_gradient(p) / columns
    )
    start = old
    if successful.value(old) < 0.0:
        start = _maximize(successful, [near], old, config.start_concentration)
        if successful.value(start) < 0.0:
            return start
    return _maximize(open_, [near, successful], start, config.start_concentration)


def _maximize(
    objective: _Quantity, constraints: list[_Quantity], start: FloatArray, highest: float
) -> FloatArray:
    """The best parameters for which no constraint is negative, from a start where none is.

    Sequential least squares over the logarithms of the parameters.
    """

    def parameters(x: FloatArray) -> FloatArray:
        return np.clip(np.exp(x.reshape(start.shape)), 1.0, highest)

    def value(quantity: _Quantity, sign: float) -> Callable[[FloatArray], float]:
        return lambda x: sign * quantity.value(parameters(x))

    def gradient(quantity: _Quantity, sign: float) -> Callable[[FloatArray], FloatArray]:
        return lambda x: sign * (quantity.gradient(parameters(x)) * parameters(x)).ravel()

    x = np.log(start).ravel()
    found = minimize(
        value(objective, -1.0),
        x,
        jac=gradient(objective, -1.0),
        method="SLSQP",
        bounds=[(0.0, np.log(highest))] * x.size,
        constraints=[
            {"type": "ineq", "fun": value(each, 1.0), "jac": gradient(each, 1.0)} for each in constraints
        ],
        options={"maxiter": 100, "ftol": 1e-6},
    )
    # Not every end of a search is a solution: go back until it is allowed, and no worse.
    for share in 0.5 ** np.arange(12):
        candidate = parameters(x + share * (found.x - x))
        if (
            np.isfinite(candidate).all()
            and all(each.value(candidate) >= -TOLERANCE for each in constraints)
            and objective.value(candidate) >= objective.value(start)
        ):
            return candidate
    return start


class _Finished(NamedTuple):
    """A finished episode: after which update it was drawn, where between the limits, its outcome."""

    tag: int
    position: list[float]
    success: bool


class Doraemon(Schedule):
    """Beta distributions that widen as far as success allows.

    A tag is the number of the update that an episode was drawn after, by which its density is known.
    Until the start distribution has reached `success_rate` once, nothing moves: a policy that cannot
    do its task yet tells nothing about where it could. The same holds for a time without any success.
    """

    type = "doraemon"

    def __init__(self, config: DoraemonConfig, space: Space) -> None:
        """Begin close around nominal."""
        super().__init__(space)
        self._config = config
        self._moved = np.flatnonzero(space.moved)
        start = beta.around(space.position(space.nominal)[self._moved], config.start_concentration)
        self._updates = 0
        self._started = False
        self._promised: float | None = None
        self._optimism = 0.0
        self._drawn_from: dict[int, FloatArray] = {0: start}
        self._new = 0
        self._finished: deque[_Finished] = deque(maxlen=config.episodes)

    @property
    def parameters(self) -> FloatArray:
        """(2, moved columns) alpha and beta of what is drawn now."""
        return self._drawn_from[self._updates]

    def draw(self, uniform: FloatArray, choice: FloatArray) -> Drawn:
        """Draw each moved column from its Beta distribution."""
        values = self._at(beta.quantile(self.parameters, uniform[:, self._moved]))
        configured = self.space.configured(uniform)
        tags = np.full(len(values), self._updates, dtype=np.int64)
        return Drawn(np.where(self.space.moved, values, configured), tags)

    def _at(self, positions: FloatArray) -> FloatArray:
        """(n, columns) values at (n, moved columns) positions."""
        everywhere = np.zeros((len(positions), len(self.space.columns)))
        everywhere[:, self._moved] = positions
        return self.space.between(self.space.low, self.space.high, everywhere)

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """What 98 % of draws lie within; the limits of columns that do not move."""
        tails = np.array([[RANGE_TAIL], [1.0 - RANGE_TAIL]])
        low, high = self._at(beta.quantile(self.parameters, tails))
        moved = self.space.moved
        return np.where(moved, low, self.space.low), np.where(moved, high, self.space.high)

    def entropies(self) -> FloatArray:
        """Entropies of the Beta distributions, of positions between the limits."""
        entropies = np.zeros(len(self.space.columns))
        entropies[self._moved] = beta.entropy(self.parameters)
        return entropies

    def record(self, tags: Tags, values: FloatArray, success: Flags) -> None:
        """Keep outcomes, but those of distributions long gone."""
        positions = self.space.position(values)[:, self._moved]
        for tag, position, succeeded in zip(tags.tolist(), positions, success, strict=True):
            if tag in self._drawn_from:
                self._finished.append(_Finished(tag, position.tolist(), bool(succeeded)))
                self._new += 1

    def update(self, step: int) -> bool:
        """Solve for the next distribution when enough episodes have ended."""
        if self._new < self._config.episodes_per_update or not len(self._moved):
            return False
        self._new = 0
        if not self._started:
            self._started = self._masters_start()
        succeeded = any(each.success for each in self._finished)
        return self._started and succeeded and self._widen()

    def _masters_start(self) -> bool:
        """Whether the latest episodes succeeded; those before were of a policy that still learned."""
        latest = list(self._finished)[-self._config.episodes_per_update :]
        self._finished = deque(latest, maxlen=self._config.episodes)
        mean = float(np.mean([each.success for each in latest]))
        return mean >= self._config.success_rate

    def _widen(self) -> bool:
        """Solve for the next distribution and go there."""
        self._learn_optimism()
        episodes = self._episodes()
        target = min(self._config.success_rate + max(0.0, self._optimism), HIGHEST_TARGET)
        new = widen(self.parameters, episodes, self._config, target)
        self._promised = episodes.estimate(new)
        return self._go_to(new)

    def _learn_optimism(self) -> None:
        """Compare what the last update promised with what its episodes came to."""
        came = [each.success for each in self._finished if each.tag == self._updates]
        if self._promised is not None and came:
            missed = self._promised - float(np.mean(came))
            self._optimism += OPTIMISM_GAIN * (missed - self._optimism)

    def _episodes(self) -> Episodes:
        """The finished episodes as samples of the mixture of all that they were drawn from.

        The mixture keeps weights small where distributions overlap (the balance heuristic of Veach
        and Guibas, SIGGRAPH 1995).
        """
        statistics = beta.logarithms(np.array([each.position for each in self._finished]))
        counts = Counter(each.tag for each in self._finished)
        parts = [
            beta.log_density(self._drawn_from[tag], statistics) + np.log(count / len(statistics))
            for tag, count in counts.items()
        ]
        success = np.array([each.success for each in self._finished])
        return Episodes(statistics, logsumexp(parts, axis=0), success)

    def _go_to(self, parameters: FloatArray) -> bool:
        """Draw from these parameters from now on; whether they are other ones."""
        changed = not np.array_equal(parameters, self.parameters)
        self._updates += 1
        self._drawn_from[self._updates] = parameters
        oldest = self._updates - REMEMBERED
        self._drawn_from.pop(oldest, None)
        kept = [each for each in self._finished if each.tag > oldest]
        self._finished = deque(kept, maxlen=self._config.episodes)
        return changed

    def _state(self) -> dict[str, Any]:
        return {
            "updates": self._updates,
            "started": self._started,
            "promised": self._promised,
            "optimism": self._optimism,
            "drawn_from": {str(key): value.tolist() for key, value in self._drawn_from.items()},
            "new": self._new,
            "finished": [list(each) for each in self._finished],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        shape = (2, len(self._moved))
        self._updates = state["updates"]
        self._started = state["started"]
        self._promised = state["promised"]
        self._optimism = state["optimism"]
        self._drawn_from = {
            int(key): np.array(value).reshape(shape) for key, value in state["drawn_from"].items()
        }
        self._new = state["new"]
        self._finished = deque(
            (_Finished(*each) for each in state["finished"]), maxlen=self._config.episodes
        )
