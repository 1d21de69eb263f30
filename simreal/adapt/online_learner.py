"""Learning on a robot from few steps: SAC as in RLPD, whose policy is a residual on a frozen one.

After Ball, Smith, Kostrikov and Levine (RLPD, ICML 2023): ten critics with layer norm, the lower of two
drawn at random as target, each batch half from logs and half from the robot, several updates of the
critics for each step, and one of the policy by the mean of all critics. The SAC of stable-baselines3
carries none of these (its critics have no layer norm, its target is the lowest of all of them, its
batches are from one buffer, its actor is no residual), so that this is torch; the critics are those of
learning from logs alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simreal.adapt.offline import HIDDEN, TARGETS, Critics
from simreal.adapt.transitions import Transitions
from simreal.agents.exported import ExportedPolicy
from simreal.agents.residual import ResidualPolicy
from simreal.files import write_atomically

CRITICS = 10
TARGET_RATE = 0.02
"""Four times RLPD's, which makes many more updates of a target for each step."""
FIRST_TEMPERATURE = 0.1
"""Of the entropy, against rewards as the task gives them."""
LISTEN_EVERY = 50
"""Updates."""


class FrozenPolicy:
    """A policy that does not learn, seen as what lies below a residual."""

    def __init__(self, module: ExportedPolicy) -> None:
        """Take a policy without a residual."""
        self._module = module.eval()

    def features(self, observation: torch.Tensor) -> torch.Tensor:
        """(n, size) normalised observations."""
        with torch.no_grad():
            seen: torch.Tensor = self._module.normalizer(observation)
        return seen

    def act(self, features: torch.Tensor) -> torch.Tensor:
        """(n, actuators) actions on normalised observations."""
        with torch.no_grad():
            action: torch.Tensor = self._module.squash(self._module.network(features))
        return action.clamp(-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Experience:
    """Transitions as the learner sees them, (n, ...): observations normalised, with base actions."""

    observation: torch.Tensor
    base: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    next_observation: torch.Tensor
    next_base: torch.Tensor
    goes_on: torch.Tensor

    @classmethod
    def of(cls, data: Transitions, policy: FrozenPolicy) -> "Experience":
        """Of transitions with raw observations."""
        now = policy.features(torch.from_numpy(data.observation))
        after = policy.features(torch.from_numpy(data.next_observation))
        return cls(
            now,
            policy.act(now),
            torch.from_numpy(data.action),
            torch.from_numpy(data.reward),
            after,
            policy.act(after),
            torch.from_numpy(~data.terminated).float(),
        )

    def __len__(self) -> int:
        return len(self.reward)

    def parts(self) -> tuple[torch.Tensor, ...]:
        """All of them, in order."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def rows(self, rows: torch.Tensor) -> "Experience":
        """Some of them."""
        return Experience(*(each[rows] for each in self.parts()))

    def then(self, other: "Experience") -> "Experience":
        """These, and others behind them."""
        return Experience(*map(torch.cat, zip(self.parts(), other.parts(), strict=True)))


def half_and_half(logs: Experience, robot: Experience, size: int, random: torch.Generator) -> Experience:
    """A batch: half of it from logs, half from the robot; where one has nothing, all from the other."""
    from_logs = size // 2 if len(robot) and len(logs) else size * bool(len(logs))
    drawn = [
        each.rows(torch.randint(len(each), (count,), generator=random))
        for each, count in ((logs, from_logs), (robot, size - from_logs))
        if count
    ]
    return drawn[0] if len(drawn) == 1 else drawn[0].then(drawn[1])


class OnlineLearner:
    """Critics, their targets, the residual and the weight of its entropy.

    Values are of rewards times (1 - discount), so that they are of the rewards' size.

    Attributes:
        residual: that learns.
        critics: that judge.
        updates: of the critics so far.
    """

    def __init__(
        self,
        residual: ResidualPolicy,
        size: int,
        actuators: int,
        discount: float,
        rate: float,
        seed: int,
        hidden: int = HIDDEN,
    ) -> None:
        """Begin.

        Args:
            residual: of the policy.
            size: of an observation.
            actuators: how many.
            discount: of the task.
            rate: of learning.
            seed: of critics, batches and exploration within updates.
            hidden: width of the critics' hidden layers.
        """
        torch.manual_seed(seed)
        self.residual, self.updates = residual, 0
        self._discount, self._actuators = discount, actuators
        self.critics = Critics(size + actuators, CRITICS, hidden)
        with torch.no_grad():  # what they think by chance of actions would lead the policy astray
            self.critics.weights[-1].zero_()
        self.targets = Critics(size + actuators, CRITICS, hidden)
        self.targets.load_state_dict(self.critics.state_dict())
        self.log_temperature = nn.Parameter(torch.tensor(FIRST_TEMPERATURE).log())
        self._random = torch.Generator().manual_seed(seed)
        self._optimizers = {
            "critics": torch.optim.Adam(self.critics.parameters(), lr=rate),
            "residual": torch.optim.Adam(residual.parameters(), lr=rate),
            "temperature": torch.optim.Adam([self.log_temperature], lr=rate),
        }

    def sample(self, observation: torch.Tensor, base: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, actuators) actions with exploration, and (n,) logarithms of the residual's densities.

        The densities are those of what leaves the tanh, in [-1, 1]: entropy is in shares of the width.
        """
        mean, log_std = self.residual.gaussian(observation, base)
        raw = mean + log_std.exp() * torch.randn(mean.shape, generator=self._random)
        normal = torch.distributions.Normal(mean, log_std.exp())
        squashing = 2.0 * (0.6931472 - raw - nn.functional.softplus(-2.0 * raw))  # log(1 - tanh²)
        density: torch.Tensor = normal.log_prob(raw)  # type: ignore[no-untyped-call]
        log_density = (density - squashing).sum(dim=1)
        return self.residual.around(base, torch.tanh(raw)), log_density

    def target(self, batch: Experience) -> torch.Tensor:
        """(n,) of what the critics are to say: the lower of two target critics, drawn anew each time."""
        with torch.no_grad():
            action, log_density = self.sample(batch.next_observation, batch.next_base)
            chosen = torch.randperm(CRITICS, generator=self._random)[:TARGETS]
            lower = self.targets(batch.next_observation, action)[chosen].min(dim=0).values
            following = lower - self._temperature * log_density
            reward = (1.0 - self._discount) * batch.reward
            target: torch.Tensor = reward + self._discount * batch.goes_on * following
        return target

    @property
    def _temperature(self) -> torch.Tensor:
        """Of values that are scaled by (1 - discount)."""
        return (1.0 - self._discount) * self.log_temperature.exp().detach()

    def update(self, batch: Experience, moves_policy: bool) -> None:
        """One update of the critics, and perhaps of the policy."""
        target = self.target(batch)
        errors = self.critics(batch.observation, batch.action) - target
        self._descend("critics", (errors**2).mean())
        with torch.no_grad():
            for old, new in zip(self.targets.parameters(), self.critics.parameters(), strict=True):
                old.lerp_(new, TARGET_RATE)
        self.updates += 1
        if not moves_policy:
            return
        action, log_density = self.sample(batch.observation, batch.base)
        self.critics.requires_grad_(False)
        value = self.critics(batch.observation, action).mean(dim=0)
        self._descend("residual", (self._temperature * log_density - value).mean())
        self.critics.requires_grad_(True)
        surplus = (-log_density.detach() + self._actuators).mean()  # of entropy, above one of -actuators
        self._descend("temperature", self.log_temperature * surplus)

    def learn(
        self,
        logs: Experience,
        robot: Experience,
        updates: int,
        batch_size: int,
        policy_every: int | None,
        listen: Callable[[], bool],
    ) -> None:
        """Update until so many updates have been made in all.

        Args:
            logs: what half of each batch is from.
            robot: the other half.
            updates: in all, with those before.
            batch_size: of a batch.
            policy_every: how many updates of the critics for one of the policy; None for none of it.
            listen: called now and then; stops it by False.
        """
        while self.updates < updates and len(logs) + len(robot):
            batch = half_and_half(logs, robot, batch_size, self._random)
            turn = policy_every is not None and self.updates % policy_every == 0
            self.update(batch, turn)
            if self.updates % LISTEN_EVERY == 0 and not listen():
                return

    def _descend(self, name: str, loss: torch.Tensor) -> None:
        """One step down a loss."""
        optimizer = self._optimizers[name]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def save(self, path: Path) -> None:
        """Write all that learning goes on from, atomically."""
        content: dict[str, Any] = {
            "updates": self.updates,
            "critics": self.critics.state_dict(),
            "targets": self.targets.state_dict(),
            "residual": self.residual.state_dict(),
            "log_temperature": self.log_temperature.detach(),
            "optimizers": {name: each.state_dict() for name, each in self._optimizers.items()},
            "random": self._random.get_state(),
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def load(self, path: Path) -> None:
        """Go on from what was written."""
        content = torch.load(path, map_location="cpu", weights_only=True)
        self.updates = content["updates"]
        for name in ("critics", "targets", "residual"):
            getattr(self, name).load_state_dict(content[name])
        with torch.no_grad():
            self.log_temperature.copy_(content["log_temperature"])
        for name, each in self._optimizers.items():
            each.load_state_dict(content["optimizers"][name])
        self._random.set_state(content["random"])
