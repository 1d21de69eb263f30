"""Gauss-Newton with bounds on many windows: each iteration is two batches of simulations.

One batch differentiates: a simulation of each window for each unknown, shifted a little. The other tries
steps of several lengths at once (Levenberg and Marquardt's damping), and the best is taken.

The start of each window is uncertain, too. It is an unknown of that window alone, held by what the
measurements around it say, and is eliminated window by window: the unknowns of all windows are then
found as if each start had been fitted along (variable projection, Golub and Pereyra, SIAM J. Numer.
Anal. 10, 1973, in its linearised form).
"""

from dataclasses import dataclass

import numpy as np

from simreal.callbacks import Tell
from simreal.identification.residuals import Noise, errors, estimate_noise, loss, scaled, weights
from simreal.identification.simulator import Simulator
from simreal.state import FloatArray

DAMPINGS = np.array([0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3])
"""Tried at once, as multiples of the curvature's diagonal."""
PERTURBATION = 0.02
"""Of an unknown's step, for derivatives."""
NOISE_ITERATIONS = 8
"""In which noise is estimated anew, at most."""
SMALLEST_CHANGE = 1e-3
"""Of noise, relative, below which it counts as the same."""
START_ITERATIONS = 6
"""Of a fit of starts alone."""
MOST_ITERATIONS = 30
SMALLEST_GAIN = 1e-4
"""Share of the loss below which a step is the last."""


@dataclass(frozen=True, slots=True)
class Derivatives:
    """A linear model of the residuals around some values.

    Attributes:
        residual: (windows, rows) in standard deviations, weighted, with the starts' own rows.
        jacobian: (windows, rows, unknowns) by the unknowns' steps.
        starts: (windows, rows, 2 joints) by the starts' deviations.
    """

    residual: FloatArray
    jacobian: FloatArray
    starts: FloatArray

    def eliminate(self) -> tuple[FloatArray, FloatArray]:
        """Residual and Jacobian of what no start can explain, (windows, rows), (windows, rows, n)."""
        basis = np.linalg.qr(self.starts)[0]
        residual = self.residual - np.einsum(
            "wrk,wk->wr", basis, np.einsum("wrk,wr->wk", basis, self.residual)
        )
        jacobian = self.jacobian - basis @ (basis.transpose(0, 2, 1) @ self.jacobian)
        return residual, jacobian

    def starts_for(self, step: FloatArray) -> FloatArray:
        """(windows, 2 joints) best change of the starts beside a change of the unknowns."""
        rest = self.residual + self.jacobian @ step
        curvature = self.starts.transpose(0, 2, 1) @ self.starts
        gradient = np.einsum("wrk,wr->wk", self.starts, rest)
        found: FloatArray = -np.linalg.solve(curvature, gradient[..., None])[..., 0]
        return found


@dataclass(slots=True)
class Fit:
    """What a search found.

    Attributes:
        values: (unknowns,).
        starts: (windows, 2, joints) as fitted along.
        noise: by channel, of the fit.
        loss: Huber's, in units of variance.
        derivatives: around them.
    """

    values: FloatArray
    starts: FloatArray
    noise: Noise
    loss: float
    derivatives: Derivatives


def _alike(before: Noise | None, noise: Noise) -> bool:
    """Whether an estimate has hardly changed, so that a small gain is the end of the search."""
    if before is None:
        return False
    return before is noise or np.allclose(before.position, noise.position, rtol=SMALLEST_CHANGE)


class Search:
    """Gauss-Newton on the windows of a simulator."""

    def __init__(
        self,
        simulator: Simulator,
        velocities: bool = False,
        tell: Tell | None = None,
        starts_known: bool = False,
    ) -> None:
        """Prepare.

        Args:
            simulator: of the windows.
            velocities: whether those that the robot reports count as well as positions.
            tell: is told of each iteration.
            starts_known: whether windows begin exactly where they were measured to; half the simulations
                do then.
        """
        self.simulator = simulator
        self._starts_known = starts_known
        self._velocities = velocities
        self._tell = tell
        unknowns = simulator.unknowns
        self._low = np.array([each.low for each in unknowns])
        self._high = np.array([each.high for each in unknowns])
        self._step = np.array([each.step for each in unknowns])
        names = [each.name for each in unknowns]
        distinct = list(dict.fromkeys(names))
        self._name = np.array([distinct.index(name) for name in names], dtype=np.int64)

    def run(
        self, values: FloatArray, noise: Noise | None = None, iterations: int = MOST_ITERATIONS
    ) -> Fit:
        """Search from (unknowns,) values.

        Args:
            values: within the bounds.
            noise: by channel; estimated anew in each of the first iterations if absent.
            iterations: at most.
        """
        windows = self.simulator.windows
        starts, given = windows.start_state.copy(), noise is not None
        for number in range(1, iterations + 1):
            nominal, jacobian, by_starts = self._differentiate(values, starts)
            before = noise
            if not given and number <= NOISE_ITERATIONS:
                noise = estimate_noise(nominal, windows, windows.position.shape[2])
            assert noise is not None
            derivatives = self._derivatives(nominal, jacobian, by_starts, starts, noise)
            current = self._losses(nominal[None], starts[None], noise).sum()
            best, values_new, starts_new = self._try(derivatives, values, starts, noise)
            if self._tell is not None:
                self._tell(f"iteration {number}: loss {current:.4g}")
            if not best < current:
                break
            gain = (current - best) / max(current, 1e-300)
            values, starts, current = values_new, starts_new, best
            if gain < SMALLEST_GAIN and _alike(before, noise):
                break
        nominal, jacobian, by_starts = self._differentiate(values, starts, exact=True)
        assert noise is not None
        derivatives = self._derivatives(nominal, jacobian, by_starts, starts, noise)
        current = float(self._losses(nominal[None], starts[None], noise).sum())
        return Fit(values, starts, noise, current, derivatives)

    def linearised(self, values: FloatArray, noise: Noise) -> Derivatives:
        """What the windows tell of the unknowns around some values, with the starts as measured."""
        starts = self.simulator.windows.start_state
        return self._derivatives(*self._differentiate(values, starts), starts, noise)

    def fit_starts(self, values: FloatArray, noise: Noise) -> FloatArray:
        """(windows, 2, joints) starts that fit the valid measurements best, the unknowns as they are."""
        windows = self.simulator.windows
        starts, deviation = windows.start_state.copy(), windows.start_deviation
        for _ in range(START_ITERATIONS):
            error, _, by_starts = self._differentiate(values, starts, of_unknowns=False)
            none = np.zeros((0, *error.shape))
            derivatives = self._derivatives(error, none, by_starts, starts, noise)
            change = derivatives.starts_for(np.zeros(0)).reshape(deviation.shape)
            starts += deviation * np.clip(change, -3.0, 3.0)
        return starts

    def _predict(self, values: FloatArray, starts: FloatArray) -> FloatArray:
        """(candidates, windows, samples, channels) errors."""
        predicted = self.simulator.predict(values, starts)
        return errors(self.simulator.windows, predicted, self._velocities)

    def _differentiate(
        self, values: FloatArray, starts: FloatArray, of_unknowns: bool = True, exact: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Errors, and their derivatives by steps of the unknowns and by deviations of the starts.

        Returns:
            (windows, samples, channels), and (unknowns or 2 joints, windows, samples, channels) twice.
        """
        deviation = self.simulator.windows.start_deviation
        shifted = self._shifted(values) if of_unknowns else np.empty((0, len(values)))
        own = len(shifted)
        of_start = 0 if self._starts_known else int(np.prod(deviation.shape[1:]))
        candidates = np.concatenate((values[None], shifted, np.tile(values, (of_start, 1))))
        all_starts = np.repeat(starts[None], len(candidates), axis=0)
        flat = all_starts.reshape(len(candidates), len(starts), -1)
        moved = PERTURBATION * deviation.reshape(len(starts), -1)
        for column in range(of_start):
            flat[1 + own + column, :, column] += moved[:, column]
        error = self._predict(candidates, all_starts)
        by_starts = (error[1 + own :] - error[0]) / PERTURBATION
        if not exact:
            return error[0], self._slopes(error[1 : 1 + own] - error[0], shifted - values), by_starts
        # From both sides: what unknowns do that only trade places must cancel.
        behind = np.clip(2.0 * values - shifted, self._low, self._high)
        other = self._predict(behind, all_starts[1 : 1 + own])
        return error[0], self._slopes(error[1 : 1 + own] - other, shifted - behind), by_starts

    def _shifted(self, values: FloatArray) -> FloatArray:
        """(names, unknowns) values with those of one name shifted a little, within their bounds.

        What differs by group or log acts on other windows in each: one simulation of all of them
        differentiates by every one.
        """
        change = PERTURBATION * self._step
        change = np.where(values + change > self._high, -change, change)
        of_name = np.arange(self._name.max(initial=-1) + 1)[:, None] == self._name
        result: FloatArray = values + np.where(of_name, change, 0.0)
        return result

    def _slopes(self, difference: FloatArray, change: FloatArray) -> FloatArray:
        """(unknowns, windows, samples, channels) by steps of the unknowns, each on its own windows.

        Args:
            difference: (names, windows, samples, channels) of errors that a change makes.
            change: (names, unknowns) of the values.
        """
        own = self._name if len(change) else self._name[:0]
        apart = change[own, np.arange(len(own))] / self._step[: len(own)]
        acts = self.simulator.acts_on[: len(own)]
        result: FloatArray = difference[own] / apart[:, None, None, None] * acts[:, :, None, None]
        return result

    def _derivatives(
        self,
        error: FloatArray,
        jacobian: FloatArray,
        by_starts: FloatArray,
        starts: FloatArray,
        noise: Noise,
    ) -> Derivatives:
        count = len(starts)
        deviation = self.simulator.windows.start_deviation
        residual = scaled(error, noise)
        weight = weights(residual)
        residual, weight = (each.reshape(count, -1) for each in (weight * residual, weight))
        by_all = [
            np.nan_to_num(scaled(each, noise).reshape(len(each), *weight.shape) * weight).transpose(
                1, 2, 0
            )
            for each in (jacobian, by_starts)
        ]
        own = ((starts - self.simulator.windows.start_state) / deviation).reshape(count, -1)
        own = own[:, : by_all[1].shape[2]]
        identity = np.broadcast_to(np.eye(own.shape[1]), (count, own.shape[1], own.shape[1]))
        nothing = np.zeros((count, own.shape[1], by_all[0].shape[2]))
        return Derivatives(
            np.concatenate((residual, own), axis=1),
            np.concatenate((by_all[0], nothing), axis=1),
            np.concatenate((by_all[1], identity), axis=1),
        )

    def _losses(self, error: FloatArray, starts: FloatArray, noise: Noise) -> FloatArray:
        """(candidates, windows) loss, what the starts deviate from their measurement included."""
        windows = self.simulator.windows
        own = (starts - windows.start_state) / windows.start_deviation
        total: FloatArray = loss(scaled(error, noise)) + 0.5 * (own**2).sum(axis=(2, 3))
        return total

    def _try(
        self, derivatives: Derivatives, values: FloatArray, starts: FloatArray, noise: Noise
    ) -> tuple[float, FloatArray, FloatArray]:
        """Try steps of all dampings at once; the best loss, and where it is.

        Each window takes its new start or keeps the old one, whichever is better: where a motion is
        chaotic, a step of its start that the derivatives promise may lead far away.
        """
        residual, jacobian = derivatives.eliminate()
        flat = jacobian.reshape(-1, jacobian.shape[2])
        curvature, gradient = flat.T @ flat, flat.T @ residual.reshape(-1)
        candidates = np.stack(
            [self._bounded_step(curvature, gradient, values, damping) for damping in DAMPINGS]
        )
        if self._starts_known:
            known = np.repeat(starts[None], len(candidates), axis=0)
            found = self._losses(self._predict(candidates, known), known, noise).sum(axis=1)
            best = int(np.nanargmin(found))
            return float(found[best]), candidates[best], starts
        deviation = self.simulator.windows.start_deviation
        steps = (candidates - values) / self._step
        moved = [
            starts + deviation * derivatives.starts_for(step).reshape(deviation.shape) for step in steps
        ]
        both = np.stack((*moved, *[starts] * len(steps)))
        losses = self._losses(self._predict(np.tile(candidates, (2, 1)), both), both, noise)
        ahead, kept = losses.reshape(2, len(steps), -1)
        found = np.minimum(ahead, kept).sum(axis=1)
        best = int(np.nanargmin(found))
        better = (ahead[best] < kept[best])[:, None, None]
        return float(found[best]), candidates[best], np.where(better, moved[best], starts)

    def _bounded_step(
        self, curvature: FloatArray, gradient: FloatArray, values: FloatArray, damping: float
    ) -> FloatArray:
        """A damped step within the bounds: what would cross one is put onto it, the rest solved anew."""
        diagonal = np.diag(curvature)
        floor = 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-12)
        damped = curvature + np.diag(damping * diagonal + floor)
        free, step = np.ones(len(values), dtype=bool), np.zeros(len(values))
        low, high = (self._low - values) / self._step, (self._high - values) / self._step
        for _ in range(len(values) + 1):
            fixed = ~free
            rest = gradient[free] + damped[np.ix_(free, fixed)] @ step[fixed]
            if not free.any():
                break
            step[free] = -np.linalg.lstsq(damped[np.ix_(free, free)], rest, rcond=None)[0]
            crossed = free & ((step < low) | (step > high))
            if not crossed.any():
                break
            step = np.clip(step, low, high)
            free &= ~crossed
        bounded: FloatArray = np.clip(values + step * self._step, self._low, self._high)
        return bounded
