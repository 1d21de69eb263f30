"""Learning on a robot from few steps: as in RLPD, with a policy that is a residual on a frozen one.

After Ball, Smith, Kostrikov and Levine (RLPD, ICML 2023): an ensemble of critics with layer norm, the
lower of two drawn at random as target, the mean of all as what the policy climbs, each batch half from
logs and half from the robot. Two things are other, each for what was measured
(docs/learning_on_robot.md): rewards of several steps stand before what a critic thinks (at 100 Hz, and
behind a latency, one step shows too little of what an action does); and the policy, without entropy,
explores by noise that lasts. The agents of stable-baselines3 carry none of these, so that this is torch;
the critics are those of learning from logs alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simreal.adapt.offline import HIDDEN, TARGETS, Critics
from simreal.adapt.transitions import Transitions
from simreal.agents.checkpoint import fault_in_file, load_tensors, save_tensors
from simreal.agents.exported import ExportedPolicy
from simreal.agents.residual_policy import ResidualPolicy
from simreal.errors import UserError

CRITICS = 10
TARGET_RATE = 0.02
"""Four times RLPD's, which makes many more updates of a target for each step."""
POLICY_DELAY = 2
"""Updates of the critics for one of the policy."""
SMOOTHING = 0.2
"""Standard deviation of the noise on actions in targets, in shares of the width (Fujimoto, van Hoof and
Meger, TD3, ICML 2018)."""
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
    """Several steps as one to learn from, (n, ...): observations normalised, with base actions.

    Attributes:
        observation: at the first of the steps.
        base: action of the frozen policy there.
        action: that was taken there.
        reward: of the steps, the later ones discounted.
        next_observation: after the last of them.
        next_base: action of the frozen policy there.
        discount: of what follows; 0 where the task is over.
    """

    observation: torch.Tensor
    base: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    next_observation: torch.Tensor
    next_base: torch.Tensor
    discount: torch.Tensor

    @classmethod
    def of(
        cls, data: Transitions, policy: FrozenPolicy, discount: float, steps: int = 1
    ) -> "Experience":
        """Of transitions with raw observations.

        Args:
            data: in order.
            policy: that does not learn.
            discount: of the task, for each step.
            steps: so many at most: fewer where an episode ends, or a log has a gap.
        """
        last, reward, factor = _returns(data, discount, steps)
        now = policy.features(torch.from_numpy(data.observation))
        after = policy.features(torch.from_numpy(data.next_observation[last]))
        return cls(
            now,
            policy.act(now),
            torch.from_numpy(data.action),
            torch.from_numpy(reward.astype(np.float32)),
            after,
            policy.act(after),
            torch.from_numpy(factor.astype(np.float32)),
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


def _returns(
    data: Transitions, discount: float, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """(n,) row of the last of some steps, their discounted rewards, and the discount of what follows."""
    count = len(data)
    goes_on = np.zeros(count, dtype=bool)  # whether the next row is the next step
    goes_on[:-1] = (data.next_observation[:-1] == data.observation[1:]).all(axis=1)
    goes_on[:-1] &= (data.run[1:] == data.run[:-1]) & ~data.terminated[:-1]
    last, reward = np.arange(count), data.reward.astype(np.float64)
    factor = np.full(count, discount)
    going = np.ones(count, dtype=bool)
    for _ in range(steps - 1):
        going &= goes_on[last]
        last[going] += 1
        reward[going] += factor[going] * data.reward[last[going]]
        factor[going] *= discount
    return last, reward, np.where(data.terminated[last], 0.0, factor)


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
    """Critics, their targets, and the residual.

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
            seed: of critics and batches.
            hidden: width of the critics' hidden layers.
        """
        torch.manual_seed(seed)
        self.residual, self.updates = residual, 0
        self._discount = discount
        self.critics = Critics(size + actuators, CRITICS, hidden)
        with torch.no_grad():  # what they think by chance of actions would lead the policy astray
            self.critics.weights[-1].zero_()
        self.targets = Critics(size + actuators, CRITICS, hidden)
        self.targets.load_state_dict(self.critics.state_dict())
        self._random = torch.Generator().manual_seed(seed)
        self._optimizers = {
            "critics": torch.optim.Adam(self.critics.parameters(), lr=rate),
            "residual": torch.optim.Adam(residual.parameters(), lr=rate),
        }

    def smoothed(self, observation: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """(n, actuators) actions beside the residual's: what holds for those, too, is no narrow peak."""
        unit = self.residual.unit(observation, base)
        noise = torch.randn(unit.shape, generator=self._random).clamp(-2.0, 2.0)
        return self.residual.around(base, (unit + SMOOTHING * noise).clamp(-1.0, 1.0))

    def target(self, batch: Experience) -> torch.Tensor:
        """(n,) of what the critics are to say: the lower of two target critics, drawn anew each time."""
        with torch.no_grad():
            action = self.smoothed(batch.next_observation, batch.next_base)
            chosen = torch.randperm(CRITICS, generator=self._random)[:TARGETS]
            following = self.targets(batch.next_observation, action)[chosen].min(dim=0).values
            target: torch.Tensor = (1.0 - self._discount) * batch.reward + batch.discount * following
        return target

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
        self.critics.requires_grad_(False)
        values = self.critics(batch.observation, self.residual(batch.observation, batch.base))
        self._descend("residual", -values.mean())
        self.critics.requires_grad_(True)

    def learn(
        self,
        logs: Experience,
        robot: Experience,
        updates: int,
        batch_size: int,
        moves_policy: bool,
        listen: Callable[[], bool],
    ) -> None:
        """Update until so many updates have been made in all.

        Args:
            logs: what half of each batch is from.
            robot: the other half.
            updates: in all, with those before.
            batch_size: of a batch.
            moves_policy: whether the policy learns, too.
            listen: called now and then; stops it by False.
        """
        while self.updates < updates and len(logs) + len(robot):
            batch = half_and_half(logs, robot, batch_size, self._random)
            self.update(batch, moves_policy and self.updates % POLICY_DELAY == 0)
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
            "optimizers": {name: each.state_dict() for name, each in self._optimizers.items()},
            "random": self._random.get_state(),
        }
        save_tensors(path, content)

    def load(self, path: Path) -> None:
        """Go on from what was written.

        Raises:
            UserError: it is damaged, or of something else.
        """
        try:
            content = load_tensors(path)
            self.updates = index(content["updates"])
            for name in ("critics", "targets", "residual"):
                getattr(self, name).load_state_dict(content[name])
            for name, each in self._optimizers.items():
                each.load_state_dict(content["optimizers"][name])
            self._random.set_state(content["random"])
        except Exception as error:  # torch raises many kinds: see `load_checkpoint`
            fault = fault_in_file(error)
            raise UserError(f"{path}: cannot be read ({fault}): begin another --run") from None
