"""Observation normalisation that lives in the policy, and so leaves with it."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from simreal.symmetry import SignedPermutation

CLIP = 10.0
"""Standard deviations beyond which a normalised observation is cut."""


class Normalizer(nn.Module):
    """Running mean and variance of observations (Chan, Golub and LeVeque's parallel update)."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: torch.Tensor

    def __init__(self, size: int, image: SignedPermutation | None = None) -> None:
        """Start as the identity, for (..., size) observations.

        Args:
            size: of an observation.
            image: of its first entries in a mirror; the statistics of both sides are then the same.
        """
        super().__init__()
        self._image = image
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise (..., size) observations and cut them at `CLIP`."""
        scale = torch.rsqrt(self.variance + 1e-8)
        normalised = (observation - self.mean.float()) * scale.float()
        return normalised.clamp(-CLIP, CLIP)

    def first(self, size: int) -> "Normalizer":
        """A copy for the first entries of an observation."""
        part = Normalizer(size)
        part.mean.copy_(self.mean[:size])
        part.variance.copy_(self.variance[:size])
        part.count.copy_(self.count)
        return part

    def update(self, observations: NDArray[np.floating[Any]]) -> None:
        """Take (n, size) observations into the statistics."""
        if self._image is not None:
            observations = np.concatenate([observations, self._mirrored(observations)])
        batch = torch.as_tensor(observations, dtype=torch.float64)
        total = self.count + len(batch)
        difference = batch.mean(dim=0) - self.mean
        spread = batch.var(dim=0, correction=0) * len(batch)
        if self.count > 0:
            spread += self.variance * self.count
            spread += difference**2 * self.count * len(batch) / total
        self.mean += difference * len(batch) / total
        self.variance.copy_(spread / total)
        self.count.copy_(total)

    def _mirrored(self, observations: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        assert self._image is not None
        size = len(self._image.source)
        images = observations.copy()
        images[:, :size] = self._image(observations[:, :size])
        return images


class NormalizedObservation(BaseFeaturesExtractor):
    """Feature extractor that normalises; all networks of an agent share one `Normalizer`."""

    def __init__(self, observation_space: spaces.Box, normalizer: Normalizer) -> None:
        """Use the given statistics."""
        super().__init__(observation_space, features_dim=observation_space.shape[0])
        self.normalizer = normalizer

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Normalise (batch, size) observations."""
        normalised: torch.Tensor = self.normalizer(observations)
        return normalised
