"""A policy whose critic sees more than its actor, or numbers where that sees images.

Pinto et al., RSS 2018.
"""

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import nn


class AsymmetricExtractor(nn.Module):
    """Two networks on numbers and, behind them, features of images.

    The actor's sees the first numbers and all images. The critic's sees all numbers, and the images only
    where those are no more than the actor sees.

    Attributes:
        policy_net: of the actor.
        value_net: of the critic.
        latent_dim_pi: width of the actor's output.
        latent_dim_vf: width of the critic's output.
    """

    def __init__(
        self,
        size: int,
        actor_size: int,
        layers: Any,
        activation: type[nn.Module],
        numbers: int | None = None,
    ) -> None:
        """Make the networks.

        Args:
            size: of the features.
            actor_size: the first numbers, which the actor sees.
            layers: widths.
            activation: between them.
            numbers: how many of the features are numbers; all if absent.
        """
        super().__init__()
        self._actor_size, self._numbers = actor_size, size if numbers is None else numbers
        self._critic_size = self._numbers if self._numbers > actor_size else size
        actor = MlpExtractor(actor_size + size - self._numbers, layers, activation, "cpu")
        critic = MlpExtractor(self._critic_size, layers, activation, "cpu")
        self.policy_net, self.value_net = actor.policy_net, critic.value_net
        self.latent_dim_pi, self.latent_dim_vf = actor.latent_dim_pi, critic.latent_dim_vf

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What both make of (batch, size) features."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """What the actor makes of them."""
        seen = [features[:, : self._actor_size], features[:, self._numbers :]]
        latent: torch.Tensor = self.policy_net(torch.cat(seen, dim=1))
        return latent

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """What the critic makes of them."""
        latent: torch.Tensor = self.value_net(features[:, : self._critic_size])
        return latent


class AsymmetricPolicy(ActorCriticPolicy):
    """PPO's policy on observations whose first `actor_size` entries are all that the actor sees."""

    def __init__(self, *args: Any, actor_size: int, **kwargs: Any) -> None:
        """As its base class."""
        self.actor_size = actor_size
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        extractor: Any = AsymmetricExtractor(
            self.features_dim,
            self.actor_size,
            self.net_arch,
            self.activation_fn,
            getattr(self.features_extractor, "numbers", None),
        )
        self.mlp_extractor = extractor
