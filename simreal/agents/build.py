"""Builds agents of stable-baselines3 from their configurations."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise
from torch import nn

from simreal.agents.adaptive import AdaptivePolicy
from simreal.agents.adaptive_ppo import AdaptivePPO
from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.agents.config import (
    AgentConfig,
    DQNConfig,
    OffPolicyConfig,
    PPOConfig,
    QConfig,
    QRDQNConfig,
    RecurrentPPOConfig,
    RMAConfig,
    SACConfig,
    TD3Config,
    TeacherConfig,
)
from simreal.agents.images import SeenObservation
from simreal.agents.memory import Actor, AdaptiveActor, RecurrentActor, WithMemory
from simreal.agents.normalizer import NormalizedObservation, Normalizer
from simreal.agents.residual import ResidualPolicy
from simreal.agents.symmetric import SymmetricPolicy
from simreal.agents.taught import TaughtPPO, untold
from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.image_replay import ImageReplay
from simreal.agents.value.networks import ValueNetwork
from simreal.contract import Contract
from simreal.images import NO_IMAGES, Images
from simreal.vec_env import SimrealVecEnv

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}


def build_agent(
    config: AgentConfig,
    env: SimrealVecEnv,
    seed: int,
    tensorboard: Path | None = None,
    rma: RMAConfig | None = None,
    teacher: TeacherConfig | None = None,
) -> BaseAlgorithm:
    """Make an untrained agent.

    Args:
        config: which agent, and its numbers.
        env: where it learns.
        seed: of its networks, its noise and the environment's episodes.
        tensorboard: folder for event files; none are written if absent.
        rma: of a policy that estimates in which world it is.
        teacher: how it is taught, if it does not learn from rewards.

    Raises:
        UserError: a symmetric policy for a robot or a task without a mirror image.
    """
    common: dict[str, Any] = {
        "policy": "MlpPolicy",
        "env": env,
        "learning_rate": _linear(config.learning_rate, config.final_learning_rate_share),
        "gamma": config.discount,
        "batch_size": config.batch_size,
        "seed": seed,
        "device": "cpu",
        "tensorboard_log": str(tensorboard) if tensorboard else None,
    }
    size = env.batch.observation_size + env.batch.privileged.shape[1]
    symmetry = env.batch.symmetry() if isinstance(config, PPOConfig) and config.symmetric else None
    image = None if symmetry is None else symmetry.observation
    policy: dict[str, Any] = {
        "net_arch": list(config.hidden_layers),
        "activation_fn": ACTIVATIONS[config.activation],
        "features_extractor_class": NormalizedObservation,
        "features_extractor_kwargs": {"normalizer": Normalizer(size, image)},
    }
    cameras, on_policy = env.batch.contract.cameras, isinstance(config, PPOConfig)
    if cameras:
        policy["features_extractor_class"] = SeenObservation
        policy["features_extractor_kwargs"] |= {
            "cameras": cameras,
            "kind": config.image_network,
            "shift": config.image_shift,
        }
        policy["normalize_images"] = False  # the encoders do it as the contract says
        common["policy"] = "MultiInputPolicy"
    if symmetry is not None or size > env.batch.observation_size or (cameras and on_policy):
        common["policy"] = AsymmetricPolicy
        policy["actor_size"] = env.batch.observation_size
    if symmetry is not None:
        common["policy"] = SymmetricPolicy
        policy["symmetry"] = symmetry
    if cameras and not on_policy:
        channels = {term.name: term.channels for term in cameras}
        common["replay_buffer_kwargs"] = {"channels": channels, "discount": config.discount}
        common["replay_buffer_class"] = ImageReplay
    if isinstance(config, PPOConfig):
        common["batch_size"] = min(config.batch_size, config.rollout_steps * env.num_envs)
        common |= _of_ppo(config)
        policy |= {"log_std_init": config.initial_log_std, "ortho_init": True}
    match config:
        case RecurrentPPOConfig():
            policy["lstm_hidden_size"] = config.memory
            return RecurrentPPO(**common | {"policy": "MlpLstmPolicy"}, policy_kwargs=policy)
        case PPOConfig() if rma is not None:
            policy |= {"drawn": len(env.batch.randomizer.columns), "rma": rma}
            return _adaptive(config, rma, common, policy)
        case PPOConfig():
            if teacher is not None:
                told = len(untold(env.batch.contract)) + len(env.batch.told_columns)
                return TaughtPPO(**common, policy_kwargs=policy, teacher=teacher, told=told)
            return PPO(**common, policy_kwargs=policy)
        case SACConfig():
            return SAC(**common, **_off_policy(config), policy_kwargs=policy)
        case TD3Config():
            return _td3(config, common, policy, env)
        case DQNConfig():
            return _dqn(config, common, policy)
        case QRDQNConfig():
            return QRDQN(
                **common, **_q(config), policy_kwargs=policy | {"n_quantiles": config.quantiles}
            )
    raise TypeError(f"no agent for {type(config).__name__}")


def add_residual(agent: BaseAlgorithm, residual: ResidualPolicy) -> None:
    """Let an agent's policy have a residual: it is kept, loaded and exported with it.

    None of the agent's optimizers knows it.
    """
    agent.policy.residual = residual


def find_normalizer(agent: BaseAlgorithm) -> Normalizer:
    """The one normalizer that all networks of an agent share."""
    return next(module for module in agent.policy.modules() if isinstance(module, Normalizer))


def _linear(start: float, final_share: float) -> Callable[[float], float]:
    """A learning rate that falls from start to a share of it; takes the remaining progress, 1 to 0."""
    return lambda remaining: start * (final_share + (1.0 - final_share) * remaining)


def _of_ppo(config: PPOConfig) -> dict[str, Any]:
    return {
        "n_steps": config.rollout_steps,
        "n_epochs": config.epochs,
        "gae_lambda": config.gae_lambda,
        "clip_range": config.clip_range,
        "ent_coef": config.entropy_coefficient,
        "vf_coef": config.value_coefficient,
        "max_grad_norm": config.gradient_norm,
        "target_kl": config.target_kl,
    }


def _adaptive(
    config: PPOConfig, rma: RMAConfig, common: dict[str, Any], policy: dict[str, Any]
) -> AdaptivePPO:
    """The teacher's learning rate falls over its own part of the steps."""
    rate = _linear(config.learning_rate, config.final_learning_rate_share)
    teacher = 1.0 - rma.student_share
    common["learning_rate"] = lambda remaining: rate(max(0.0, (remaining - 1.0 + teacher) / teacher))
    return AdaptivePPO(**common | {"policy": AdaptivePolicy}, policy_kwargs=policy, rma=rma)


def _off_policy(config: OffPolicyConfig) -> dict[str, Any]:
    return {
        "buffer_size": config.replay_size,
        "learning_starts": config.learning_starts,
        "tau": config.target_rate,
        "train_freq": 1,
        "gradient_steps": config.gradient_steps,
    }


def _td3(config: TD3Config, common: dict[str, Any], policy: dict[str, Any], env: SimrealVecEnv) -> TD3:
    size = env.batch.action_size
    noise = NormalActionNoise(np.zeros(size), np.full(size, config.exploration_noise))
    return TD3(
        **common,
        **_off_policy(config),
        action_noise=VectorizedActionNoise(noise, env.num_envs),
        policy_delay=config.policy_delay,
        target_policy_noise=config.target_noise,
        target_noise_clip=config.target_noise_clip,
        policy_kwargs=policy,
    )


def _q(config: QConfig) -> dict[str, Any]:
    return _off_policy(config) | {
        "target_update_interval": config.target_interval,
        "exploration_fraction": config.exploration_share,
        "exploration_final_eps": config.final_exploration,
    }


CHOSEN_BY_VALUE_AGENT = ("policy", "replay_buffer_class")


def _dqn(config: DQNConfig, common: dict[str, Any], policy: dict[str, Any]) -> ValueAgent:
    return ValueAgent(
        **{name: value for name, value in common.items() if name not in CHOSEN_BY_VALUE_AGENT},
        **_q(config),
        policy_kwargs=policy,
        double=config.double,
        duelling=config.duelling,
        noisy=config.noisy,
        n_steps=config.n_steps,
        priority_exponent=config.priority_exponent if config.prioritized else 0.0,
        importance_exponent=config.importance_exponent,
        atom_range=config.atom_range if config.distributional else None,
        atom_count=config.atoms,
    )


ACTING = ("actor", "q_net", "quantile_net")
"""Of policies with several networks, the one that acts; PPO's has one extractor for all."""


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
        self.encoders = nn.ModuleList(_encoders(policy))
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


def _encoders(policy: Any) -> list[nn.Module]:
    """Of the network that acts, in the order of the contract's cameras."""
    acts = next((getattr(policy, name) for name in ACTING if hasattr(policy, name)), policy)
    extractor = acts.features_extractor
    return list(extractor.encoders.values()) if isinstance(extractor, SeenObservation) else []


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
        self.encoders = nn.ModuleList(_encoders(policy))
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
    """The deterministic policy of an agent, in evaluation mode.

    Raises:
        UserError: its training has not come so far.
    """
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
