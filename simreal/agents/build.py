"""Builds agents of stable-baselines3 from their configurations."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise
from torch import nn

from simreal.agents.adaptive import AdaptivePolicy, NormalizedWithHistory
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
from simreal.agents.images import SeenObservation, freeze
from simreal.agents.imitation import ImitationPPO, untold
from simreal.agents.normalizer import NormalizedObservation, Normalizer
from simreal.agents.residual_policy import ResidualPolicy
from simreal.agents.symmetric import SymmetricPolicy
from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.image_replay import ImageReplay
from simreal.agents.value.variants import arguments_of
from simreal.vec_env import SimrealVecEnv

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
NO_MEMORY = "can't allocate memory"


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
        MemoryError: networks or a replay that the computer has no memory for.
    """
    common = _common(config, env, seed, tensorboard)
    with warnings.catch_warnings():
        # Of a last batch that is smaller; in an evaluation, nothing is learned in batches.
        warnings.filterwarnings("ignore", "You have specified a mini-batch size")
        try:
            agent = _agent(config, env, common, rma, teacher)
        except RuntimeError as error:  # as torch says it
            if NO_MEMORY not in str(error):
                raise
            raise MemoryError(
                f"for the networks of {type(config).__name__.removesuffix('Config')}"
            ) from None
    if config.image_encoder_frozen:
        freeze(agent.policy)
    return agent


def _agent(
    config: AgentConfig,
    env: SimrealVecEnv,
    common: dict[str, Any],
    rma: RMAConfig | None,
    teacher: TeacherConfig | None,
) -> BaseAlgorithm:
    common["policy"], policy = _networks(config, env)
    match config:
        case RecurrentPPOConfig():
            policy["lstm_hidden_size"] = config.memory
            return RecurrentPPO(**common | {"policy": "MlpLstmPolicy"}, policy_kwargs=policy)
        case PPOConfig() if rma is not None:
            policy |= {"drawn": len(env.batch.randomizer.columns), "rma": rma}
            policy["features_extractor_class"] = NormalizedWithHistory
            return AdaptivePPO(**common | {"policy": AdaptivePolicy}, policy_kwargs=policy, rma=rma)
        case PPOConfig():
            if teacher is not None:
                told = len(untold(env.batch.contract)) + len(env.batch.told_columns)
                return ImitationPPO(**common, policy_kwargs=policy, teacher=teacher, told=told)
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


def add_residual_policy(agent: BaseAlgorithm, residual: ResidualPolicy) -> None:
    """Let an agent's policy have a residual: it is kept, loaded and exported with it.

    None of the agent's optimizers knows it.
    """
    agent.policy.residual = residual


def _linear(start: float, final_share: float) -> Callable[[float], float]:
    """A learning rate that falls from start to a share of it; takes the remaining progress, 1 to 0."""
    return lambda remaining: start * (final_share + (1.0 - final_share) * remaining)


def _common(
    config: AgentConfig, env: SimrealVecEnv, seed: int, tensorboard: Path | None
) -> dict[str, Any]:
    """What all agents are told, and those of a kind."""
    common: dict[str, Any] = {
        "env": env,
        "learning_rate": _linear(config.learning_rate, config.final_learning_rate_share),
        "gamma": config.discount,
        "batch_size": config.batch_size,
        "seed": seed,
        "device": "cpu",
        "tensorboard_log": str(tensorboard) if tensorboard else None,
    }
    cameras = env.batch.contract.cameras
    if isinstance(config, PPOConfig):
        common["batch_size"] = min(config.batch_size, config.rollout_steps * env.num_envs)
        return common | _of_ppo(config)
    if cameras:
        channels = {term.name: term.channels for term in cameras}
        common["replay_buffer_kwargs"] = {"channels": channels, "discount": config.discount}
        common["replay_buffer_class"] = ImageReplay
    return common


def _networks(config: AgentConfig, env: SimrealVecEnv) -> tuple[Any, dict[str, Any]]:
    """The policy's class, or the name that stable-baselines3 has for it, and what it is made of."""
    batch, on_policy = env.batch, isinstance(config, PPOConfig)
    cameras = batch.contract.cameras
    size = batch.observation_size + batch.privileged.shape[1]
    symmetry = batch.symmetry() if isinstance(config, PPOConfig) and config.symmetric else None
    image = None if symmetry is None else symmetry.observation
    networks: dict[str, Any] = {
        "net_arch": list(config.hidden_layers),
        "activation_fn": ACTIVATIONS[config.activation],
        "features_extractor_class": NormalizedObservation,
        "features_extractor_kwargs": {"normalizer": Normalizer(size, image)},
    }
    if cameras:
        networks["features_extractor_class"] = SeenObservation
        networks["features_extractor_kwargs"] |= {
            "cameras": cameras,
            "kind": config.image_network,
            "shift": config.image_shift,
            "features": config.image_features,
        }
        networks["normalize_images"] = False  # the encoders do it as the contract says
    if isinstance(config, PPOConfig):
        networks |= {"log_std_init": config.initial_log_std, "ortho_init": True}
    if symmetry is not None:
        seen = {"actor_size": batch.observation_size, "symmetry": symmetry}
        return SymmetricPolicy, networks | seen
    if size > batch.observation_size or (cameras and on_policy):
        return AsymmetricPolicy, networks | {"actor_size": batch.observation_size}
    return "MultiInputPolicy" if cameras else "MlpPolicy", networks


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
        **arguments_of(config),
    )
