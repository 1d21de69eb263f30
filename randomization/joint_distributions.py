"""Distributions of several columns at once.

Like those of one column they are functions of uniform numbers, here from (n, columns) of them to
(n, columns) values. Each row stands alone, to the last bit, so that an episode replays in any batch.
"""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from scipy.special import ndtr, ndtri

from simreal.randomization.distributions import BELOW_ONE, Distribution, Precomputed, edges, locate
from simreal.randomization.posterior import Posterior, as_fault, read_posterior, some
from simreal.state import FloatArray

_SMALLEST_UNIFORM = 2.0**-54  # for 0, which has no finite normal number; its neighbour is 2^-53


class Correlated(Precomputed):
    """Columns with distributions of their own, and a correlation between them (a Gaussian copula).

    Correlated standard normal numbers become uniform ones, through the normal distribution function,
    and go through the quantile function of each column (Nelsen, An Introduction to Copulas, 2006,
    section 2.3). So each column follows its distribution exactly, cuts included, with nothing heaped
    onto the edges. `correlation` is that of the normal numbers. What the columns then have is, for
    continuous distributions, a rank correlation (Spearman's) of 6/pi asin(correlation/2), within 0.02
    of it; their linear correlation is a little nearer to zero, the more the less normal they are.
    """

    type: Literal["correlated"]
    marginals: Annotated[tuple[Distribution, ...], AfterValidator(some)]
    """One for each column."""
    correlation: tuple[tuple[float, ...], ...]

    @field_validator("marginals")
    @classmethod
    def _marginals_rise(cls, marginals: tuple[Distribution, ...]) -> Any:
        for index, marginal in enumerate(marginals):
            if not marginal.rises:
                raise ValueError(
                    f"the {marginal.type} at {index} does not rise, so that a correlation with it means "
                    "nothing: list values, or components that do not overlap, from small to large"
                )
        return marginals

    @field_validator("correlation")
    @classmethod
    def _is_correlation(cls, rows: tuple[tuple[float, ...], ...], info: ValidationInfo) -> Any:
        size = len(info.data.get("marginals", rows))
        if len(rows) != size or any(len(row) != size for row in rows):
            raise ValueError(f"expected {size} rows of {size} numbers, for {size} marginals")
        for i, row in enumerate(rows):
            _check_row(rows, i, row)
        smallest = float(np.linalg.eigvalsh(rows)[0])
        if smallest < -1e-9:
            shrunk = math.floor(1e3 / (1.0 - smallest)) / 1e3
            raise ValueError(
                f"no quantities can be correlated like this (smallest eigenvalue {smallest:.3g}, not "
                f"below 0): bring the numbers off the diagonal to {shrunk:g} of these"
            )
        return rows

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.marginals)

    @property
    def support(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of each column, (columns,) both."""
        low, high = np.array([marginal.support for marginal in self.marginals]).T
        return low, high

    @cached_property
    def _factor(self) -> FloatArray:
        """Lower triangular, times its transpose the correlation; also where Cholesky's has no root."""
        eigenvalues, vectors = np.linalg.eigh(self.correlation)
        factor = _lower_factor(np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * vectors.T)
        lengths: FloatArray = np.linalg.norm(factor, axis=1, keepdims=True)
        return factor / lengths

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Map (n, columns) independent uniform numbers to (n, columns) values."""
        normal = _product(self._factor, _normal(uniform.T))
        correlated = np.minimum(ndtr(normal), BELOW_ONE)
        pairs = zip(self.marginals, correlated, strict=True)
        return np.stack([marginal.quantile(column) for marginal, column in pairs], axis=1)

    def describe(self) -> str:
        """One line for tables."""
        return "correlated: " + "; ".join(marginal.describe() for marginal in self.marginals)


def _check_row(rows: tuple[tuple[float, ...], ...], i: int, row: tuple[float, ...]) -> None:
    if row[i] != 1.0:
        raise ValueError(f"[{i}][{i}] is {row[i]:g}, but a quantity's correlation with itself is 1")
    for j, value in enumerate(row):
        if value != rows[j][i]:
            raise ValueError(f"[{i}][{j}] is {value:g}, but [{j}][{i}] is {rows[j][i]:g}")
        if abs(value) > 1.0:
            raise ValueError(f"[{i}][{j}] is {value:g}, outside -1 to 1")


class PosteriorSamples(Precomputed):
    """Samples of an identification, drawn as whole rows, so that every relation between them survives.

    With a bandwidth h, a draw is a sample drawn in to the mean by sqrt(1 - h²), plus a normal number
    with h² times the samples' covariance: a kernel density estimate that keeps mean and covariance
    (West, Approximating posterior distributions by mixtures, J. R. Statist. Soc. B 55, 1993). What
    falls outside the samples' range in a column is reflected back into it, which takes a little off
    the spread: identification has seen nothing there.
    """

    type: Literal["posterior"]
    file: Path
    bandwidth: float = Field(default=0.0, ge=0.0, le=1.0)
    """0 draws the samples themselves, 1 a normal distribution; about 0.2 fills the gaps."""

    @model_validator(mode="after")
    def _file_is_readable(self) -> Self:
        with as_fault():
            _ = self.posterior
        return self

    @cached_property
    def posterior(self) -> Posterior:
        """What the file says: names, units and operations of the columns among it."""
        return read_posterior(self.file)

    @cached_property
    def _samples(self) -> tuple[FloatArray, FloatArray]:
        return self.posterior.weighted_samples()

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.posterior.parameters)

    @property
    def support(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of each column, (columns,) both."""
        samples, _ = self._samples
        return samples.min(axis=0), samples.max(axis=0)

    @cached_property
    def _edges(self) -> FloatArray:
        return edges(self._samples[1])

    @cached_property
    def _kernels(self) -> tuple[FloatArray, FloatArray]:
        """Centres, (samples, columns), and the factor of the covariance that all have."""
        samples, _ = self._samples
        shares = np.diff(self._edges)[:, None]
        mean = (shares * samples).sum(axis=0)
        centres = mean + np.sqrt(1.0 - self.bandwidth**2) * (samples - mean)
        return centres, self.bandwidth * _lower_factor(np.sqrt(shares) * (samples - mean))

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Map (n, columns) independent uniform numbers to (n, columns) values.

        The first number picks the sample; its rest and the other numbers are for the kernel.
        """
        row, rest = locate(uniform[:, 0], self._edges)
        if self.bandwidth == 0.0:
            return self._samples[0][row]
        centres, factor = self._kernels
        normal = _normal(np.vstack((rest, uniform[:, 1:].T)))
        return _reflected(centres[row] + _product(factor, normal).T, *self.support)

    def describe(self) -> str:
        """One line for tables."""
        smooth = f", bandwidth {self.bandwidth:g}" if self.bandwidth else ""
        return f"{len(self.posterior.samples)} samples of {self.size} in {self.file.name}{smooth}"


JointDistribution = Annotated[Correlated | PosteriorSamples, Field(discriminator="type")]
AnyDistribution = Annotated[Distribution | JointDistribution, Field(discriminator="type")]


def _normal(uniform: FloatArray) -> FloatArray:
    """Standard normal numbers from uniform ones in [0, 1)."""
    normal: FloatArray = ndtri(np.maximum(uniform, _SMALLEST_UNIFORM))
    return normal


def _lower_factor(root: FloatArray) -> FloatArray:
    """A lower triangular L with L L^T = root^T root, nothing negative on its diagonal.

    By QR of the root, which also has an answer where root^T root is singular.
    """
    lower: FloatArray = np.linalg.qr(root).R.T
    signs: FloatArray = np.where(np.diag(lower) < 0.0, -1.0, 1.0)
    return lower * signs


def _product(factor: FloatArray, columns: FloatArray) -> FloatArray:
    """(m, k) times the first k of (m, n), to the bit the same whatever n is, unlike a BLAS product."""
    total = np.zeros((len(factor), columns.shape[1]))
    for weights, column in zip(factor.T, columns, strict=False):  # m > k: fewer samples than columns
        total += weights[:, None] * column
    return total


def _reflected(values: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Fold values into [low, high] by mirrors at both ends."""
    width = np.where(high > low, high - low, 1.0)
    folded = low + width - np.abs(np.mod(values - low, 2.0 * width) - width)
    inside: FloatArray = np.clip(folded, low, high)
    return inside
