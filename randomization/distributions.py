"""Distributions of a random number, as quantile functions.

A distribution maps uniform numbers in [0, 1) to values. So the randomness stays in one place
(`EpisodeRandom`), and grids, histograms and correlated draws come from the same functions.
"""

import itertools
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field, model_validator
from scipy.special import ndtr, ndtri

from simreal.config import Config
from simreal.randomization.posterior import as_fault, read_posterior, some
from simreal.state import FloatArray

BELOW_ONE = math.nextafter(1.0, 0.0)


class Precomputed(Config):
    """A model that keeps what follows from its fields, in cached properties."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, but a changed copy works out its own."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(copied).model_fields.keys():
            del copied.__dict__[name]
        return copied


class _Scalar(Precomputed):
    @property
    def rises(self) -> bool:
        """Whether a larger uniform number never gives a smaller value."""
        return True


class Constant(_Scalar):
    """Always the same value."""

    type: Literal["constant"]
    value: float

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.value, self.value

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """The value, whatever the uniform number."""
        return np.full_like(uniform, self.value)

    def describe(self) -> str:
        """One line for tables."""
        return f"constant {self.value:g}"


class _Interval(_Scalar):
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high


class Uniform(_Interval):
    """Each value between low and high equally often."""

    type: Literal["uniform"]

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Map uniform numbers linearly."""
        # Rounding may lead an ulp beyond the end.
        return np.minimum(self.low + (self.high - self.low) * uniform, self.high)

    def describe(self) -> str:
        """One line for tables."""
        return f"uniform {self.low:g} to {self.high:g}"


class LogUniform(_Interval):
    """The logarithm is uniform: factors of two are equally likely, wherever they lie."""

    type: Literal["log_uniform"]

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.low <= 0:
            raise ValueError(f"log_uniform needs low > 0, not {self.low:g}")
        return self

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Map uniform numbers exponentially."""
        ratio = math.log(self.high / self.low)
        return np.clip(self.low * np.exp(ratio * uniform), self.low, self.high)

    def describe(self) -> str:
        """One line for tables."""
        return f"log-uniform {self.low:g} to {self.high:g}"


class TruncatedNormal(_Interval):
    """A normal distribution, cut at low and high."""

    type: Literal["truncated_normal"]
    mean: float
    std: float = Field(gt=0)

    @model_validator(mode="after")
    def _cut_leaves_something(self) -> Self:
        lower, upper = self._cut
        if upper - lower < 1e-12:
            raise ValueError(
                f"nothing of a normal distribution ({self.mean:g}, {self.std:g}) lies between "
                f"{self.low:g} and {self.high:g}"
            )
        return self

    @cached_property
    def _cut(self) -> tuple[float, float]:
        """Shares of the whole normal distribution below low and below high."""
        return (
            float(ndtr((self.low - self.mean) / self.std)),
            float(ndtr((self.high - self.mean) / self.std)),
        )

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Map uniform numbers through the inverse of the cut normal distribution function."""
        lower, upper = self._cut
        normal = ndtri(lower + (upper - lower) * uniform)
        values: FloatArray = np.clip(self.mean + self.std * normal, self.low, self.high)
        return values

    def describe(self) -> str:
        """One line for tables."""
        return f"normal {self.mean:g} ± {self.std:g}, cut to {self.low:g} to {self.high:g}"


def edges(weights: ArrayLike) -> FloatArray:
    """Divide [0, 1] into adjoining intervals, as wide as the weights are heavy.

    Returns:
        (weights + 1,) ends, from 0 to 1.
    """
    largest = np.max(weights)  # divided by first, so that no sum overflows
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64) / largest)
    return np.concatenate(([0.0], cumulative / cumulative[-1]))


def locate(uniform: FloatArray, ends: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """The interval that each uniform number falls in, and where in it: a uniform number again."""
    index = np.searchsorted(ends[1:-1], uniform, side="right")
    rest = (uniform - ends[index]) / (ends[index + 1] - ends[index])
    return index, np.minimum(rest, BELOW_ONE)


class Choice(_Scalar):
    """One of the listed values, equally often or by weight."""

    type: Literal["choice"]
    values: tuple[float, ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is not None and (
            len(self.weights) != len(self.values) or sum(self.weights) <= 0
        ):
            raise ValueError("weights: one for each value, not all zero")
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return min(self.values), max(self.values)

    @property
    def rises(self) -> bool:
        """Whether a larger uniform number never gives a smaller value."""
        return list(self.values) == sorted(self.values)

    @cached_property
    def _inner_edges(self) -> FloatArray:
        return edges(self.weights or np.ones(len(self.values)))[1:-1]

    @cached_property
    def _array(self) -> FloatArray:
        return np.array(self.values)

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Pick by cumulative weight."""
        picked: FloatArray = self._array[np.searchsorted(self._inner_edges, uniform, side="right")]
        return picked

    def describe(self) -> str:
        """One line for tables."""
        if len(self.values) > 5:
            return f"one of {len(self.values)} values, {min(self.values):g} to {max(self.values):g}"
        return "one of " + ", ".join(f"{value:g}" for value in self.values)


class Empirical(_Scalar):
    """The samples of one column of a posterior file, linear in between.

    The quantile function runs through the points midway between neighbouring samples, each at the share
    of the weight below it. So every sample keeps its weight, nothing lies beyond the outermost ones and
    nothing is heaped onto them. Other columns do not come along: `PosteriorSamples` draws whole rows.
    """

    type: Literal["empirical"]
    file: Path
    column: str
    """Name of a parameter in the file: ``mass[arm]``."""

    @model_validator(mode="after")
    def _file_is_readable(self) -> Self:
        with as_fault():
            _ = self._function
        return self

    @cached_property
    def _function(self) -> tuple[FloatArray, FloatArray]:
        """Knots of the quantile function: (samples + 1,) uniform numbers and values."""
        posterior = read_posterior(self.file)
        with as_fault():
            column = posterior.column(self.column)
        samples, weights = posterior.weighted_samples()
        order = np.argsort(samples[:, column], kind="stable")
        ascending = samples[order, column]
        middles = ascending[:-1] + 0.5 * np.diff(ascending)
        return edges(weights[order]), np.concatenate((ascending[:1], middles, ascending[-1:]))

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        knots = self._function[1]
        return float(knots[0]), float(knots[-1])

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Interpolate between the knots."""
        ends, knots = self._function
        index, rest = locate(uniform, ends)
        low, high = knots[index], knots[index + 1]
        values: FloatArray = low + (high - low) * rest
        return values

    def describe(self) -> str:
        """One line for tables."""
        low, high = self.support
        return f"samples of {self.column} in {self.file.name}, {low:g} to {high:g}"


class Component(Config):
    """One part of a mixture."""

    weight: float = Field(gt=0)
    distribution: "Distribution"


class Mixture(_Scalar):
    """One of several distributions, by weight.

    One uniform number does both: the interval that it falls in picks the component, and its place in
    that interval, uniform again, goes through the component.
    """

    type: Literal["mixture"]
    components: Annotated[tuple[Component, ...], AfterValidator(some)]

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        supports = [component.distribution.support for component in self.components]
        return min(low for low, _ in supports), max(high for _, high in supports)

    @property
    def rises(self) -> bool:
        """Whether a larger uniform number never gives a smaller value."""
        parts = [component.distribution for component in self.components]
        ordered = all(a.support[1] <= b.support[0] for a, b in itertools.pairwise(parts))
        return ordered and all(part.rises for part in parts)

    @cached_property
    def _edges(self) -> FloatArray:
        return edges([component.weight for component in self.components])

    def quantile(self, uniform: FloatArray) -> FloatArray:
        """Pick a component and map the rest of the number through it."""
        index, rest = locate(uniform, self._edges)
        values = np.empty_like(uniform)
        for number, component in enumerate(self.components):
            here = index == number
            values[here] = component.distribution.quantile(rest[here])
        return values

    def describe(self) -> str:
        """One line for tables."""
        low, high = self.support
        return f"mixture of {len(self.components)}, {low:g} to {high:g}"


Distribution = Annotated[
    Constant | Uniform | LogUniform | TruncatedNormal | Choice | Empirical | Mixture,
    Field(discriminator="type"),
]
Component.model_rebuild()
Mixture.model_rebuild()
