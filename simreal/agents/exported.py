"""What is exported of an agent: its deterministic policy as one module, and functions that act by it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from simreal.agents.adaptive import AdaptivePolicy
from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.agents.images import acting_encoders
from simreal.agents.memory import Actor, AdaptiveActor, RecurrentActor, WithMemory
from simreal.agents.normalizer import Normalizer
from simreal.agents.residual_policy import ResidualPolicy
from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.networks import ValueNetwork
from simreal.contract import Contract
from simreal.images import NO_IMAGES, Images


def find_normalizer(agent: BaseAlgorithm) -> Normalizer:
    """The one normalizer that all networks of an agent share."""
    return next(module for module in agent.policy.modules() if isinstance(module, Normalizer))


class ExportedPolicy(nn.Module):
    """The deterministic policy of an agent as one module: normalise, network, squash, residual if any.

    It takes (batch, size) float32 observations, and uint8 images of each camera in the order of the
    contract, and gives (batch, actuators) actions in [-1, 1].
    """

    def __init__(self, agent: BaseAlgorithm) -> None:
        """Take the networks of a trained agent; they are shared, not copied."""
        super().__init__()
        policy: Any = agent.policy
        self.normalizer = find_normalizer(agent)
        self.encoders = nn.ModuleList(acting_encoders(policy).values())
        if isinstance(policy, AsymmetricPolicy):
            self.normalizer = self.normalizer.first(policy.actor_size)
        if isinstance(agent, PPO):
            self.network = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
            self.squash: nn.Module = nn.Hardtanh(-1.0, 1.0)
        elif isinstance(agent, SAC):
            self.network = nn.Sequential(policy.actor.latent_pi, policy.actor.mu)
            self.squash = nn.Tanh()
        elif isinstance(agent, TD3):  # its network ends in a tanh of its own
            self.network = nn.Sequential(*policy.actor.mu)
            self.squash = nn.Identity()
        else:
            raise TypeError(f"no network to export is known of {type(agent).__name__}")
        self.residual: ResidualPolicy | None = getattr(policy, "residual", None)

    def forward(self, observation: torch.Tensor, *images: torch.Tensor) -> torch.Tensor:
        """Act on (batch, size) observations and (batch, channels, height, width) images."""
        features = _features(self.normalizer(observation), self.encoders, images)
        action: torch.Tensor = self.squash(self.network(features))
        return action if self.residual is None else self.residual(features, action)


def _features(
    numbers: torch.Tensor, encoders: nn.ModuleList, images: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """What a network sees: numbers, and behind them features of each camera's images."""
    if not images:
        return numbers
    seen = [encoder(each) for encoder, each in zip(encoders, images, strict=True)]
    return torch.cat([numbers, *seen], dim=1)


class Worth(nn.Module):
    """What each choice is worth, of features."""

    def __init__(self, network: ValueNetwork) -> None:
        """By the network of a `ValueAgent`."""
        super().__init__()
        self._network = network

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, choices) of (batch, size)."""
        return self._network.values(features)


class Mean(nn.Module):
    """Of quantiles."""

    def forward(self, quantiles: torch.Tensor) -> torch.Tensor:
        """(batch, choices) of (batch, quantiles, choices)."""
        return quantiles.mean(dim=1)


class ExportedChooser(nn.Module):
    """The deterministic policy of an agent that chooses, as one module.

    It takes the same as `ExportedPolicy` and gives (batch, actuators) actions in [-1, 1], (batch,)
    numbers of the choices, and (batch, choices) worth of each: Q-values, or logits of PPO.
    """

    table: torch.Tensor

    def __init__(self, agent: BaseAlgorithm, contract: Contract) -> None:
        """Take the networks of a trained agent; they are shared, not copied."""
        super().__init__()
        policy: Any = agent.policy
        self.normalizer = find_normalizer(agent)
        self.encoders = nn.ModuleList(acting_encoders(policy).values())
        if isinstance(agent, PPO):
            if isinstance(policy, AsymmetricPolicy):
                self.normalizer = self.normalizer.first(policy.actor_size)
            self.network: nn.Module = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        elif isinstance(agent, ValueAgent):
            self.network = Worth(policy.q_net)
        elif isinstance(agent, QRDQN):
            of_quantiles = policy.quantile_net
            quantiles = nn.Unflatten(1, (of_quantiles.n_quantiles, -1))
            self.network = nn.Sequential(*of_quantiles.quantile_net, quantiles, Mean())
        else:
            raise TypeError(f"no network to export is known of {type(agent).__name__}")
        table = [choice.action for choice in contract.action.choices]
        self.register_buffer("table", torch.tensor(table, dtype=torch.float32))

    def forward(
        self, observation: torch.Tensor, *images: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Act on (batch, size) observations and (batch, channels, height, width) images."""
        worth = self.network(_features(self.normalizer(observation), self.encoders, images))
        choice = worth.argmax(dim=1)
        return self.table[choice], choice, worth


def exported(agent: BaseAlgorithm, contract: Contract) -> ExportedPolicy | ExportedChooser | WithMemory:
    """The deterministic policy of an agent, in evaluation mode."""
    policy: Any = agent.policy
    module: ExportedPolicy | ExportedChooser | WithMemory
    if isinstance(policy, AdaptivePolicy):
        module = AdaptiveActor(policy, find_normalizer(agent))
    elif isinstance(agent, RecurrentPPO):
        module = RecurrentActor(policy, find_normalizer(agent))
    elif contract.action.choices:
        module = ExportedChooser(agent, contract)
    else:
        module = ExportedPolicy(agent)
    return module.eval()


def act_with(
    module: ExportedPolicy | ExportedChooser,
    observation: NDArray[np.float32],
    images: Images = NO_IMAGES,
) -> NDArray[np.float32]:
    """(n, actuators) actions on (n, size) observations and what cameras show."""
    with torch.no_grad():
        output = module(torch.from_numpy(observation), *map(torch.from_numpy, images.values()))
    action: NDArray[np.float32] = (output[0] if isinstance(output, tuple) else output).numpy()
    return action


def acting(
    module: ExportedPolicy | ExportedChooser | WithMemory,
) -> Callable[[NDArray[np.float32], Images], NDArray[np.float32]]:
    """What maps observations (n, size), and images, to actions (n, actuators); it may remember."""
    if isinstance(module, AdaptiveActor | RecurrentActor):
        return Actor(module)
    return partial(act_with, module)
