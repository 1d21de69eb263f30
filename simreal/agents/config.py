"""Configurations of the agents."""

from typing import Annotated, Literal

from pydantic import Field

from simreal.config import Config

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]


class AgentConfig(Config):
    """What every agent has."""

    simulations: Count
    """Simulations stepped together."""
    total_steps: Count
    """Environment steps of a full training."""
    learning_rate: Positive
    final_learning_rate_share: Share = 1.0
    """The learning rate falls linearly to this share of itself."""
    discount: Share = 0.99
    batch_size: Count
    hidden_layers: tuple[Count, ...]
    activation: Literal["tanh", "relu", "elu"]


class PPOConfig(AgentConfig):
    """Proximal policy optimization (Schulman et al., 2017)."""

    simulations: Count = 256
    total_steps: Count = 2_000_000
    learning_rate: Positive = 1e-3
    batch_size: Count = 4096
    hidden_layers: tuple[Count, ...] = (64, 64)
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    rollout_steps: Count = 64
    """Control steps of each simulation between updates."""
    epochs: Count = 5
    gae_lambda: Share = 0.95
    clip_range: Positive = 0.2
    entropy_coefficient: float = Field(default=0.0, ge=0)
    value_coefficient: Positive = 0.5
    gradient_norm: Positive = 0.5
    target_kl: Positive | None = None
    initial_log_std: float = 0.0


class OffPolicyConfig(AgentConfig):
    """What SAC and TD3 share."""

    simulations: Count = 16
    total_steps: Count = 400_000
    learning_rate: Positive = 1e-3
    batch_size: Count = 256
    hidden_layers: tuple[Count, ...] = (128, 128)
    activation: Literal["tanh", "relu", "elu"] = "relu"
    replay_size: Count = 400_000
    """Transitions."""
    learning_starts: Count = 5_000
    """Environment steps of random actions first."""
    gradient_steps: Count = 8
    """Updates after each step of all simulations."""
    target_rate: Positive = 0.005
    """Share by which the target networks move at each update."""


class SACConfig(OffPolicyConfig):
    """Soft actor-critic (Haarnoja et al., 2018), entropy coefficient learned."""


class TD3Config(OffPolicyConfig):
    """Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018)."""

    exploration_noise: Positive = 0.1
    """Standard deviation added to actions in [-1, 1] while collecting."""
    target_noise: Positive = 0.2
    target_noise_clip: Positive = 0.5
    policy_delay: Count = 2
