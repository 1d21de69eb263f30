"""Distributions of a random number, as quantile functions.

A distribution maps uniform numbers in [0, 1) to values. So the randomness stays in one place
(`EpisodeRandom`), and grids, histograms and correlated draws come from the same functions.
"""

import math
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from simreal.config import Config

Values = NDArray[np.float64]


class Constant(Config):
    """Always the same value."""

    type: Literal["constant"]
    value: float

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.value, self.value

    def quantile(self, uniform: Values) -> Values:
        """The value, whatever the uniform number."""
        return np.full_like(uniform, self.value)


class _Interval(Config):
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

    def quantile(self, uniform: Values) -> Values:
        """Map uniform numbers linearly."""
        # Rounding may lead an ulp beyond the end.
        return np.minimum(self.low + (self.high - self.low) * uniform, self.high)


class LogUniform(_Interval):
    """The logarithm is uniform: factors of two are equally likely, wherever they lie."""

    type: Literal["log_uniform"]

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.low <= 0:
            raise ValueError(f"log_uniform needs low > 0, not {self.low:g}")
        return self

    def quantile(self, uniform: Values) -> Values:
        """Map uniform numbers exponentially."""
        ratio = math.log(self.high / self.low)
        return np.clip(self.low * np.exp(ratio * uniform), self.low, self.high)


class TruncatedNormal(_Interval):
    """A normal distribution, cut at low and high."""

    type: Literal["truncated_normal"]
    mean: float
    std: float = Field(gt=0)

    @model_validator(mode="after")
    def _cut_leaves_something(self) -> Self:
        lower, upper = self._cut()
        if upper - lower < 1e-12:
            raise ValueError(
                f"nothing of a normal distribution ({self.mean:g}, {self.std:g}) lies between "
                f"{self.low:g} and {self.high:g}"
            )
        return self

    def _cut(self) -> tuple[float, float]:
        return (
            float(ndtr((self.low - self.mean) / self.std)),
            float(ndtr((self.high - self.mean) / self.std)),
        )

    def quantile(self, uniform: Values) -> Values:
        """Map uniform numbers through the inverse of the cut normal distribution function."""
        lower, upper = self._cut()
        normal = ndtri(lower + (upper - lower) * uniform)
        values: Values = np.clip(self.mean + self.std * normal, self.low, self.high)
        return values


class Choice(Config):
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

    def quantile(self, uniform: Values) -> Values:
        """Pick by cumulative weight."""
        cumulative = np.cumsum(self.weights or [1.0] * len(self.values))
        edges = cumulative[:-1] / cumulative[-1]
        picked: Values = np.array(self.values)[np.searchsorted(edges, uniform, side="right")]
        return picked


Distribution = Annotated[
    Constant | Uniform | LogUniform | TruncatedNormal | Choice, Field(discriminator="type")
]
