"""Configurations of the agents, and the table of them: `AGENTS`."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from simreal.config import Config

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]
LARGEST_NETWORK = 2**26
"""Weights between hidden layers: 256 MiB of them, and a larger policy is loaded by no control loop."""


class AgentConfig(Config):
    """What every agent has."""

    simulations: Count
    """Simulations stepped together."""
    total_steps: Count
    """Environment steps of a full training, of all simulations together."""
    learning_rate: Positive
    """Of Adam, at the beginning."""
    final_learning_rate_share: Share = 1.0
    """The learning rate falls linearly to this share of itself."""
    discount: Share = 0.99
    """Weight of a reward for each control step by which it comes later."""
    batch_size: Count
    """Transitions in each gradient step."""
    hidden_layers: tuple[Count, ...]
    """Widths, of the policy's network and of the critic's."""
    activation: Literal["tanh", "relu", "elu"]
    """Between the layers."""
    image_network: Literal["small", "nature"] = "small"
    """For each camera of a policy that sees: see `simreal.agents.images`."""
    image_features: Count | None = None
    """Numbers that each camera's network makes of an image, by a layer behind it: few can say little
    beside what the task asks for. If absent, `small` has no such layer and `nature` one of 512."""
    image_shift: Annotated[int, Field(ge=0, le=64)] = 0
    """Pixels by which images are shifted at random in training (Kostrikov et al., 2021)."""
    image_encoder: Path | None = None
    """A run, of any agent, whose networks for images these begin as."""
    image_encoder_frozen: bool = False
    """Whether those stay as they are, so that only what follows them learns."""

    @model_validator(mode="after")
    def _fits_a_control_loop(self) -> Self:
        weights = sum(before * after for before, after in pairwise((1, *self.hidden_layers)))
        if weights > LARGEST_NETWORK:
            between = " and ".join(map(str, self.hidden_layers))
            raise ValueError(
                f"hidden_layers: {weights:,} weights between {between}; "
                f"at most {LARGEST_NETWORK:,}, such as [8192, 8192]"
            )
        return self

    @model_validator(mode="after")
    def _freezes_something(self) -> Self:
        if self.image_encoder_frozen and self.image_encoder is None:
            raise ValueError("image_encoder_frozen: as those of which run? Give image_encoder")
        return self


class ResidualPolicyConfig(Config):
    """A network that moves the actions of a frozen policy; `simreal finetune-online` makes it."""

    width: float = Field(default=0.05, gt=0, le=2)
    """How far at most, where actions lie in [-1, 1], when it was made; checkpoints have it of now."""
    hidden_layers: tuple[int, ...] = (64, 64)


class TeacherConfig(Config):
    """Imitation of a policy that is told what this one must see (DAgger: Ross et al., 2011)."""

    policy: str
    """A shipped policy's name or a file: of the same robot, commands, actions and control rate."""
    tells: tuple[str, ...] = ()
    """Of `critic`, what the features of the images are taught to tell, beside the commands that it is
    not told: numbers of about 1 that only its cameras show."""
    taught_share: Share = 0.5
    """Of the simulations that the teacher drives at first; it falls to none in half of the training."""
    updates: Count = 200
    """Gradient steps after each rollout."""
    memory: Count = 40_000
    """Moments that are remembered; the oldest are forgotten."""


class PPOConfig(AgentConfig):
    """Proximal policy optimization (Schulman et al., 2017)."""

    simulations: Count = 512
    total_steps: Count = 2_000_000
    learning_rate: Positive = 1e-3
    final_learning_rate_share: Share = 0.2
    batch_size: Annotated[int, Field(ge=2)] = 2048
    hidden_layers: tuple[Count, ...] = (64, 64)
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    rollout_steps: Count = 16
    """Control steps of each simulation between updates."""
    epochs: Count = 5
    """Passes over each rollout."""
    gae_lambda: Share = 0.95
    """Of the generalized advantage estimate: 1 trusts returns alone, 0 the critic."""
    clip_range: Positive = 0.2
    """Share by which an update may change the probability of an action."""
    entropy_coefficient: float = Field(default=0.0, ge=0)
    """Reward of randomness in the loss."""
    value_coefficient: Positive = 0.5
    """Weight of the critic in the loss."""
    gradient_norm: Positive = 0.5
    """Longer gradients are shortened to it."""
    target_kl: Positive | None = None
    """Ends an update's epochs once the policy has moved by 1.5 times this divergence."""
    initial_log_std: float = Field(default=0.0, ge=-20, le=5)
    """Natural logarithm of the standard deviation of the exploration, on actions in [-1, 1]."""
    symmetric: bool = False
    """Whether the policy acts alike on both sides, by construction, on a robot with a mirror image."""

    @model_validator(mode="after")
    def _learns_from_several(self) -> Self:
        """An advantage is what one transition has before others of its gradient step."""
        if self.simulations * self.rollout_steps < 2:
            raise ValueError("simulations and rollout_steps: at least one of them above 1")
        return self


class RecurrentPPOConfig(PPOConfig):
    """PPO with a long short-term memory before the layers of policy and critic, of sb3-contrib."""

    simulations: Count = 128
    rollout_steps: Count = 64
    """Control steps of each simulation between updates; gradients reach back no further."""
    memory: Count = 64
    """Width of the memory, of the policy's and of the critic's."""

    @model_validator(mode="after")
    def _has_no_image(self) -> Self:
        if self.symmetric:
            raise ValueError("symmetric: what a memory holds has no mirror image")
        return self

    @model_validator(mode="after")
    def _leaves_more_than_one(self) -> Self:
        """sb3-contrib makes nan of the advantage of a single transition."""
        rollout = self.simulations * self.rollout_steps
        if rollout % self.batch_size == 1:
            raise ValueError(
                f"batch_size {self.batch_size} leaves 1 of the rollout's {rollout} transitions alone: "
                "another one, best one that divides them"
            )
        return self


class RMAConfig(Config):
    """Rapid motor adaptation (Kumar et al., RSS 2021): `adaptation: rma`, with ppo.

    The policy sees a latent beside the observation: first that which an encoder makes of the drawn
    parameters, at last that which an estimator makes of the history of observations and actions.
    """

    latent: Count = 8
    """Width of the latent."""
    encoder_layers: tuple[Count, ...] = (64, 32)
    """Widths, of the network that encodes the drawn parameters."""
    history: Annotated[int, Field(ge=8)] = 50
    """Control steps that the estimator sees."""
    recent_frames: Annotated[int, Field(ge=0)] = 4
    """The last, which the policy sees itself: what was commanded and has not arrived yet, what moved."""
    channels: Count = 32
    """Of the estimator's convolutions over time."""
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Of the training's steps in which every simulation acts on what the encoder says."""
    handover_share: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Of them, thereafter, in which one simulation after the other comes to act on estimates."""
    student_learning_rate: Positive = 1e-3
    """Of the estimator; it falls linearly to a tenth."""
    student_batch_size: Count = 512
    """Moments in each gradient step of the estimator, which passes over each rollout once."""

    def estimated_share(self, progress: float) -> float:
        """Of the simulations that act on estimates, at a progress of the training from 0 to 1."""
        if self.handover_share == 0.0:
            return float(progress >= self.teacher_share)
        return min(1.0, max(0.0, (progress - self.teacher_share) / self.handover_share))

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.teacher_share + self.handover_share >= 1.0:
            raise ValueError("teacher_share and handover_share must leave a share to estimates: below 1")
        if self.recent_frames > self.history:
            raise ValueError(f"recent_frames must be no more than history: at most {self.history}")
        return self


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


class QConfig(OffPolicyConfig):
    """What agents share that value a list of choices."""

    total_steps: Count = 1_000_000
    learning_rate: Positive = 5e-4
    gradient_steps: Count = 4
    target_rate: Positive = 1.0
    target_interval: Count = 2_000
    """Environment steps between updates of the target network."""
    exploration_share: Share = 0.2
    """Share of the training in which the probability of a choice by chance falls."""
    final_exploration: Share = 0.05
    """To this, from 1."""


class DQNConfig(QConfig):
    """Deep Q-network (Mnih et al., 2015), and what improves it, each a switch."""

    double: bool = False
    """One network chooses, the other values (van Hasselt et al., 2016)."""
    duelling: bool = False
    """A value of the state beside advantages of the choices (Wang et al., 2016)."""
    prioritized: bool = False
    """Replay by what is left to learn (Schaul et al., 2016)."""
    priority_exponent: Share = 0.6
    """Of an error in the probability of being replayed; as published for this alone."""
    importance_exponent: Share = 0.4
    """By which a loss is weighed against that at first; it rises to 1."""
    noisy: bool = False
    """Exploration by learnt noise in the weights (Fortunato et al., 2018), instead of by chance."""
    n_steps: Count = 1
    """Rewards that are summed before the rest is estimated."""
    distributional: bool = False
    """Distributions of returns on fixed atoms (Bellemare et al., 2017: C51)."""
    atoms: Annotated[int, Field(ge=2)] = 51
    """How many."""
    atom_range: tuple[float, float] = (-10.0, 100.0)
    """Lowest and highest discounted return that they tell apart."""

    def idle(self) -> dict[str, str]:
        """Numbers that change nothing as the switches stand, and because of which one."""
        prioritized = ("priority_exponent", "importance_exponent")
        because = {
            "prioritized: false": () if self.prioritized else prioritized,
            "distributional: false": () if self.distributional else ("atoms", "atom_range"),
            "noisy: true": ("exploration_share", "final_exploration") if self.noisy else (),
        }
        return {name: switch for switch, names in because.items() for name in names}


class RainbowConfig(DQNConfig):
    """Rainbow (Hessel et al., 2018): a deep Q-network with all its improvements."""

    double: bool = True
    duelling: bool = True
    prioritized: bool = True
    priority_exponent: Share = 0.5
    """Of an error in the probability of being replayed; as published for Rainbow."""
    noisy: bool = True
    n_steps: Count = 3
    distributional: bool = True


class QRDQNConfig(QConfig):
    """Quantile regression DQN (Dabney et al., 2018), of sb3-contrib."""

    quantiles: Count = 50
    """Of the return of each choice."""


class TD3Config(OffPolicyConfig):
    """Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018)."""

    exploration_noise: Positive = 0.1
    """Standard deviation added to actions in [-1, 1] while collecting."""
    target_noise: Positive = 0.2
    """Standard deviation added to the actions in the critic's targets."""
    target_noise_clip: Positive = 0.5
    """At most so much of it."""
    policy_delay: Count = 2
    """Updates of the critic for each of the policy."""


AgentName = Literal["ppo", "recurrent_ppo", "sac", "td3", "dqn", "rainbow", "qrdqn"]


@dataclass(frozen=True, slots=True)
class Agent:
    """A row of the table of agents.

    Attributes:
        config: its numbers; an experiment has them in the section of the agent's name.
        chooses: whether its actions are numbers alone, a choice from a list alone, or either.
        sees: whether it takes images.
    """

    config: type[AgentConfig]
    chooses: Literal["never", "always", "either"]
    sees: bool = True


AGENTS: dict[AgentName, Agent] = {
    "ppo": Agent(PPOConfig, "either"),
    "recurrent_ppo": Agent(RecurrentPPOConfig, "never", sees=False),
    "sac": Agent(SACConfig, "never"),
    "td3": Agent(TD3Config, "never"),
    "dqn": Agent(DQNConfig, "always"),
    "rainbow": Agent(RainbowConfig, "always"),
    "qrdqn": Agent(QRDQNConfig, "always"),
}
"""Every agent. `BaseExperiment` has a field for each, agents/build.py builds and exports them."""
