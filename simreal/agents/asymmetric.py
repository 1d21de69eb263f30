"""A policy whose critic sees more than its actor (Pinto et al., RSS 2018)."""

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import nn


class AsymmetricExtractor(nn.Module):
    """Two networks: the actor's sees the first entries of an observation, the critic's all of them.

    Attributes:
        policy_net: of the actor.
        value_net: of the critic.
        latent_dim_pi: width of the actor's output.
        latent_dim_vf: width of the critic's output.
    """

    def __init__(self, size: int, actor_size: int, layers: Any, activation: type[nn.Module]) -> None:
        """Make networks for observations of a size, of which the actor sees `actor_size` entries."""
        super().__init__()
        actor = MlpExtractor(actor_size, layers, activation, "cpu")
        critic = MlpExtractor(size, layers, activation, "cpu")
        self._actor_size = actor_size
        self.policy_net, self.value_net = actor.policy_net, critic.value_net
        self.latent_dim_pi, self.latent_dim_vf = actor.latent_dim_pi, critic.latent_dim_vf

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What both make of (batch, size) features."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """What the actor makes of them."""
        latent: torch.Tensor = self.policy_net(features[:, : self._actor_size])
        return latent

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """What the critic makes of them."""
        latent: torch.Tensor = self.value_net(features)
        return latent


class AsymmetricPolicy(ActorCriticPolicy):
    """PPO's policy on observations whose first `actor_size` entries are all that the actor sees."""

    def __init__(self, *args: Any, actor_size: int, **kwargs: Any) -> None:
        """As its base class."""
        self.actor_size = actor_size
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        extractor: Any = AsymmetricExtractor(
            self.features_dim, self.actor_size, self.net_arch, self.activation_fn
        )
        self.mlp_extractor = extractor
