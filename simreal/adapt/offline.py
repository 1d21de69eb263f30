"""Learning from recorded transitions alone, held near what was recorded: TD3+BC and IQL.

TD3+BC (Fujimoto and Gu, NeurIPS 2021) raises the critics' value of the policy's actions and lowers their
distance to the recorded ones. IQL (Kostrikov, Nair and Levine, ICLR 2022) never asks the critics about
other actions than the recorded: it learns an upper expectile of their value, and imitates those actions
that come out above it. Both start from the policy that there is, and change its network alone.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from simreal.adapt.transitions import Transitions
from simreal.config import Config

Positive = Annotated[float, Field(gt=0)]
HIDDEN = 128
CRITICS = 5
TARGETS = 2
"""Critics drawn at each update, whose lower value is the target (Chen et al., REDQ, ICLR 2021)."""
TARGET_RATE = 0.005
POLICY_DELAY = 2
LARGEST_WEIGHT = 100.0
"""Of an imitated action."""


class OfflineConfig(Config):
    """How to learn from logs alone."""

    algorithm: Literal["td3_bc", "iql"] = "td3_bc"
    updates: int = Field(default=20_000, gt=0)
    """Gradient steps of the critics."""
    batch_size: int = Field(default=256, ge=2)
    learning_rate: Positive = 3e-4
    """Of critics and policy."""
    critics_alone: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of the updates before the policy begins to change."""
    alpha: Positive = 2.5
    """Of TD3+BC: weight of the critics' value against the distance to recorded actions."""
    target_noise: Positive = 0.1
    """Of TD3+BC: standard deviation of the noise on actions in the critics' targets."""
    expectile: Annotated[float, Field(gt=0.5, lt=1)] = 0.7
    """Of IQL: above the mean, 0.5, by how much better than it the imitated actions are."""
    temperature: Positive = 3.0
    """Of IQL: how much more the better actions are imitated than the worse."""


class Critics(nn.Module):
    """Several critics at once, which share no weight, with layer norm (Ball et al., RLPD, ICML 2023).

    (batch, size) observations and (batch, actuators) actions to (critics, batch) values.
    """

    def __init__(self, size: int, count: int, hidden: int = HIDDEN) -> None:
        """Make so many for inputs of a size, with two hidden layers of a width."""
        super().__init__()
        widths = [size, hidden, hidden, 1]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for before, after in pairwise(widths):
            bound = before**-0.5
            self.weights.append(nn.Parameter(torch.empty(count, before, after).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.zeros(count, 1, after)))

    def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """The values that each thinks."""
        values = torch.cat((observation, action), dim=1).expand(len(self.weights[0]), -1, -1)
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, values, weight)
            if place < len(self.weights) - 1:
                values = nn.functional.relu(nn.functional.layer_norm(values, values.shape[-1:]))
        return values.squeeze(-1)


class Actor(nn.Module):
    """A deterministic policy whose network learns: (batch, size) normalised observations to actions.

    Where its squashing cuts off, gradients pass as if it did not, or a policy at its limits could never
    leave them.
    """

    def __init__(self, network: nn.Module, squash: nn.Module) -> None:
        """Take the modules of a policy; they are shared, not copied."""
        super().__init__()
        self.network, self.squash = network, squash

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Act."""
        raw: torch.Tensor = self.network(observation)
        if not isinstance(self.squash, nn.Hardtanh):
            squashed: torch.Tensor = self.squash(raw)
            return squashed
        return raw + (raw.clamp(-1.0, 1.0) - raw).detach()


class Learner:
    """Critics and actor of one fine-tuning; observations are normalised already.

    Attributes:
        critics: of rewards times (1 - discount), so that values are of the rewards' size.
        actor: that learns.
    """

    def __init__(
        self, actor: Actor, data: Transitions, discount: float, config: OfflineConfig, seed: int
    ) -> None:
        """Begin.

        Args:
            actor: of the policy as it is.
            data: with normalised observations.
            discount: of the task.
            config: how to learn.
            seed: of critics and batches.
        """
        torch.manual_seed(seed)
        self.actor, self._config, self._discount = actor, config, discount
        self._observation, self._action = (
            torch.from_numpy(data.observation),
            torch.from_numpy(data.action),
        )
        self._next = torch.from_numpy(data.next_observation)
        self._reward = (1.0 - discount) * torch.from_numpy(data.reward)
        self._goes_on = torch.from_numpy(~data.terminated).float()
        size = data.observation.shape[1]
        self.critics = Critics(size + data.action.shape[1], CRITICS)
        self._target = Critics(size + data.action.shape[1], CRITICS)
        self._target.load_state_dict(self.critics.state_dict())
        self._value = nn.Sequential(
            nn.Linear(size, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        )
        rate = config.learning_rate
        self._of_critics = torch.optim.Adam(
            [*self.critics.parameters(), *self._value.parameters()], lr=rate
        )
        self._of_actor = torch.optim.Adam(actor.network.parameters(), lr=rate)

    def learn(self, listen: Callable[[int], None] | None = None) -> None:
        """All updates; `listen` hears their number now and then."""
        config = self._config
        alone = round(config.critics_alone * config.updates)
        step = self._td3_bc if config.algorithm == "td3_bc" else self._iql
        for update in range(config.updates):
            rows = torch.randint(len(self._reward), (config.batch_size,))
            step(rows, moves_policy=update >= alone and update % POLICY_DELAY == 0)
            with torch.no_grad():
                for old, new in zip(self._target.parameters(), self.critics.parameters(), strict=True):
                    old.lerp_(new, TARGET_RATE)
            if listen is not None and update % 100 == 99:
                listen(update + 1)

    def _targets(self, rows: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        """(batch,) of what the critics are to say, given (batch,) values of the next states."""
        return self._reward[rows] + self._discount * self._goes_on[rows] * following

    def _lower(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """(batch,) the lower of two critics' values."""
        chosen = torch.randperm(CRITICS)[:TARGETS]
        lower: torch.Tensor = self._target(observation, action)[chosen].min(dim=0).values
        return lower

    def _td3_bc(self, rows: torch.Tensor, moves_policy: bool) -> None:
        observation, action = self._observation[rows], self._action[rows]
        with torch.no_grad():
            noise = self._config.target_noise * torch.randn_like(action)
            bound = 2.0 * self._config.target_noise
            following = self.actor(self._next[rows]) + noise.clamp(-bound, bound)
            target = self._targets(rows, self._lower(self._next[rows], following.clamp(-1.0, 1.0)))
        self._descend(self._of_critics, ((self.critics(observation, action) - target) ** 2).mean())
        if moves_policy:
            chosen = self.actor(observation)
            value = self.critics(observation, chosen).mean(dim=0)
            weight = self._config.alpha / value.abs().mean().detach().clamp(min=1e-6)
            loss = ((chosen - action) ** 2).mean() - weight * value.mean()
            self._descend(self._of_actor, loss)

    def _iql(self, rows: torch.Tensor, moves_policy: bool) -> None:
        observation, action = self._observation[rows], self._action[rows]
        with torch.no_grad():
            lower = self._lower(observation, action)
            target = self._targets(rows, self._value(self._next[rows]).squeeze(-1))
        value = self._value(observation).squeeze(-1)
        above = lower - value
        side = torch.where(above > 0, self._config.expectile, 1.0 - self._config.expectile)
        loss = ((self.critics(observation, action) - target) ** 2).mean() + (side * above**2).mean()
        self._descend(self._of_critics, loss)
        if moves_policy:
            spread = above.detach().std().clamp(min=1e-6)
            weight = (self._config.temperature * above.detach() / spread).exp().clamp(max=LARGEST_WEIGHT)
            distance = ((self.actor(observation) - action) ** 2).sum(dim=1)
            self._descend(self._of_actor, (weight * distance).mean() / weight.mean())

    @staticmethod
    def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
