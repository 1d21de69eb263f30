"""Parameters that differ from one group of logs to another, or from log to log: a random effect.

What lies elsewhere on another day, as a cable does that pulls an arm, or is set anew for each log, as an
encoder's zero, has no one value. Each group of logs, of an excitation and a day, or each log then has
its own; their mean predicts one that nobody has seen, and how far they lie apart says how far that may
be off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from simreal.identification.least_squares import Fit
from simreal.identification.recording import Scope
from simreal.identification.unknowns import Unknown
from simreal.state import FloatArray
from simreal.statistics import Z_90

OUTSIDE = 0.05
"""Share of a distribution beyond either edge of its 90 % interval."""
MOST_TOLD = 8
"""Parts whose values are told one by one; of more, the lowest and the highest."""
NOUNS: dict[Scope, str] = {"group": "group of logs", "log": "log"}


@dataclass(frozen=True, slots=True)
class Spread:
    """One parameter's values over groups of logs, or over logs.

    Attributes:
        name: of the parameter.
        scope: of each value.
        parts: groups or names of the logs that were fitted to.
        values: (parts,) found.
        weights: (parts,) of each one in the mean; their sum is 1.
        mean: over all parts there may be.
        between: standard deviation of parts around it.
        error: standard deviation of the mean.
    """

    name: str
    scope: Scope
    parts: tuple[str, ...]
    values: FloatArray
    weights: FloatArray
    mean: float
    between: float
    error: float

    @property
    def unseen(self) -> float:
        """Standard deviation of a normal distribution that stands for the value of an unseen part.

        Few parts say little of how far they lie apart: its 90 % interval is Student's, of one degree of
        freedom less than there are parts (after Higgins, Thompson and Spiegelhalter, J. R. Statist.
        Soc. A 172, 2009).
        """
        wider = float(student.ppf(1.0 - OUTSIDE, len(self.values) - 1)) / Z_90
        return wider * float(np.hypot(self.between, self.error))

    def describe(self) -> str:
        """For people."""
        order = np.argsort(self.values)
        told = range(len(order)) if len(order) <= MOST_TOLD else order[[0, -1]]
        each = [f"{self.values[place]:.4g} ({self.parts[place]})" for place in told]
        listed = ", ".join(each) if len(order) <= MOST_TOLD else " to ".join(each)
        return (
            f"{self.name} differs by {NOUNS[self.scope]}: {listed}; mean {self.mean:.4g}, "
            f"between {len(order)} of them ± {self.between:.2g}, for one that was not seen "
            f"± {self.unseen:.2g}"
        )


def spread_over(
    name: str, scope: Scope, parts: Sequence[str], values: FloatArray, variances: FloatArray
) -> Spread:
    """Mean and spread of a population from (parts,) values of some members and what each is known to.

    By Paule and Mandel (J. Res. Natl. Bur. Stand. 87, 1982): values lie apart by as much as what they
    are known to and the spread together explain. One that is hardly known hardly counts.
    At least two parts are needed.
    """

    def excess(between: float) -> float:
        weights = 1.0 / (variances + between)
        mean = weights @ values / weights.sum()
        return float(weights @ (values - mean) ** 2) - (len(values) - 1)

    most = float(np.sum((values - values.mean()) ** 2))
    between = float(brentq(excess, 0.0, most, rtol=1e-6)) if excess(0.0) > 0.0 else 0.0
    weights = 1.0 / (variances + between)
    error = float(weights.sum() ** -0.5)
    weights /= weights.sum()
    mean = float(weights @ values)
    return Spread(name, scope, tuple(parts), values, weights, mean, between**0.5, error)


@dataclass(frozen=True, slots=True)
class Pooled:
    """A fit with one value for each parameter, the mean over groups or logs of those that vary.

    Attributes:
        fit: as if one value acted on all windows.
        spreads: of each parameter that varies.
        pooling: (parameters, values) weight of each value that was fitted in each parameter's.
    """

    fit: Fit
    spreads: tuple[Spread, ...]
    pooling: FloatArray


def pooled(fit: Fit, unknowns: Sequence[Unknown]) -> Pooled:
    """Pool a fit.

    Args:
        fit: of unknowns that are one for each group, or log, where they vary.
        unknowns: of it.
    """
    places: dict[str, list[int]] = {}
    for place, unknown in enumerate(unknowns):
        places.setdefault(unknown.name, []).append(place)
    variances = _variances(fit, unknowns)
    pooling = np.zeros((len(places), len(unknowns)))
    spreads = []
    for number, (name, own) in enumerate(places.items()):
        pooling[number, own[0]] = 1.0
        scope = unknowns[own[0]].varies
        if scope is not None:
            parts = [unknowns[place].part or "" for place in own]
            spreads.append(spread_over(name, scope, parts, fit.values[own], variances[own]))
            pooling[number, own] = spreads[-1].weights
    # One value for all of them acts on the windows of each.
    jacobian = np.stack(
        [fit.derivatives.jacobian[..., own].sum(axis=-1) for own in places.values()], axis=-1
    )
    derivatives = replace(fit.derivatives, jacobian=jacobian)
    one = replace(fit, values=pooling @ fit.values, derivatives=derivatives)
    return Pooled(one, tuple(spreads), pooling)


def _variances(fit: Fit, unknowns: Sequence[Unknown]) -> FloatArray:
    """(unknowns,) of each value by its own windows, within what the bounds leave."""
    jacobian = fit.derivatives.eliminate()[1]
    flat = jacobian.reshape(-1, jacobian.shape[2])
    step = np.array([each.step for each in unknowns])
    prior = np.array([each.high - each.low for each in unknowns]) / np.sqrt(12.0) / step
    known = np.linalg.inv(flat.T @ flat + np.diag(prior**-2.0))
    result: FloatArray = np.diag(known) * step**2
    return result
