"""A policy that acts alike on both sides of a robot that is its own mirror image, by construction.

Its mean action is ``(f(o) + M f(M o)) / 2`` with the mirror images M of observations and actions
(Abdolhosseini et al., "On Learning Symmetric Locomotion", MIG 2019, call it a symmetric network). The
critic is as ever, since what it sees beside the observation has no image.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.symmetry import SignedPermutation, Symmetry


class Image(nn.Module):
    """Mirror images of (..., n) tensors."""

    source: torch.Tensor
    sign: torch.Tensor

    def __init__(self, permutation: SignedPermutation) -> None:
        """Images by a signed permutation."""
        super().__init__()
        source, sign = permutation.source.astype(np.int64), permutation.sign.astype(np.float32)
        self.register_buffer("source", torch.from_numpy(source), persistent=False)
        self.register_buffer("sign", torch.from_numpy(sign), persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The image."""
        image: torch.Tensor = values.index_select(-1, self.source) * self.sign
        return image


class SymmetricMean(nn.Module):
    """The mean action of (batch, size) normalised observations, alike on both sides."""

    def __init__(self, network: nn.Module, symmetry: Symmetry) -> None:
        """Make a network's mean actions symmetric."""
        super().__init__()
        self.network = network
        self.observation, self.action = Image(symmetry.observation), Image(symmetry.action)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(batch, actuators)."""
        images = self.action(self.network(self.observation(observation)))
        mean: torch.Tensor = 0.5 * (self.network(observation) + images)
        return mean


class SymmetricPolicy(AsymmetricPolicy):
    """PPO's policy whose actor is symmetric; the critic may see more, as in its base class.

    The normalisation of the observations must be symmetric, too.
    """

    def __init__(self, *args: Any, symmetry: Symmetry, **kwargs: Any) -> None:
        """As its base class."""
        self._symmetry = symmetry
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        super()._build(lr_schedule)
        network = nn.Sequential(self.mlp_extractor.policy_net, self.action_net)
        self.mlp_extractor.policy_net = SymmetricMean(network, self._symmetry)  # type: ignore[assignment]
        self.action_net = nn.Identity()

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Any:
        even = 0.5 * (self.log_std + self.log_std[self._symmetry.action.source])
        return self.action_dist.proba_distribution(latent_pi, even)
