"""Experience replay: transitions over several steps, drawn evenly or by what they still teach."""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from simreal.agents.value.sum_tree import Places, SumTree

SMALLEST_PRIORITY = 1e-6
"""Added to every error, so that what is learnt already may still be drawn."""


class Experience(NamedTuple):
    """Some transitions.

    Attributes:
        observations: (n, ...) at the first step; of cameras beside numbers, such a tensor by name.
        actions: (n, 1) taken there.
        rewards: (n, 1) of all its steps, discounted to the first.
        next_observations: likewise after the last step.
        discounts: (n, 1) of what follows after that: the discount to the power of the number of
            steps, or zero where an episode has ended for good.
        weights: (n, 1) of each in the loss.
        places: (n,) where they stand in the replay.
    """

    observations: Any
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: Any
    discounts: torch.Tensor
    weights: torch.Tensor
    places: Places


class ExperienceReplay(ReplayBuffer):
    """A replay whose transitions span `n_steps`, fewer where an episode, or what is stored, ends before.

    With a `priority_exponent` a above 0, a transition is drawn with a probability in proportion to
    (its last error)^a, and its weight in the loss is (probability * number stored)^-b, divided by the
    largest of the batch; b is the `importance_exponent` (Schaul et al., "Prioritized Experience Replay",
    ICLR 2016, proportional variant). A new transition has the largest priority so far.

    Attributes:
        priorities: the tree, or None where draws are even.
        importance_exponent: b, which the agent moves to 1 as training goes on.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        n_steps: int = 1,
        discount: float = 0.99,
        priority_exponent: float = 0.0,
    ) -> None:
        """Store nothing yet."""
        super().__init__(
            buffer_size, observation_space, action_space, device, n_envs, optimize_memory_usage
        )
        self._n_steps, self._discount = n_steps, discount
        self._exponent = priority_exponent
        self.priorities = SumTree(self.buffer_size * n_envs) if priority_exponent > 0.0 else None
        self._largest = 1.0
        self.importance_exponent = 1.0

    @property
    def filled(self) -> int:
        """Steps of all simulations that are stored."""
        return self.buffer_size if self.full else self.pos

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a step of all simulations; see the base class."""
        row = self.pos
        super().add(*args, **kwargs)
        if self.priorities is not None:
            places = row * self.n_envs + np.arange(self.n_envs)
            self.priorities.update(places, np.full(self.n_envs, self._largest))

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """Draw transitions as the agents of stable-baselines3 ask for them; weights are left out."""
        drawn = self.draw(batch_size)
        # The discount is zero after an end for good, so that nothing is left for `dones` to say.
        return ReplayBufferSamples(
            drawn.observations,
            drawn.actions,
            drawn.next_observations,
            torch.zeros_like(drawn.discounts),
            drawn.rewards,
            drawn.discounts,
        )

    def draw(self, number: int) -> Experience:
        """Draw transitions, with the global generator of NumPy, as stable-baselines3 does."""
        if self.priorities is None:
            return self._gather(self._evenly(number), np.ones(number))
        stored = self.filled * self.n_envs
        # One draw from each of `number` equal parts of the sum, as the paper has it.
        sums = (np.arange(number) + np.random.random(number)) * (self.priorities.total / number)
        places = self.priorities.find(sums)
        probability = self.priorities.priority(places) / self.priorities.total
        weights = (probability * stored) ** -self.importance_exponent
        return self._gather(places, weights / weights.max())

    def _evenly(self, number: int) -> Places:
        """(number,) places of what is stored."""
        return np.random.randint(0, self.filled * self.n_envs, number)

    def learnt(self, places: Places, errors: NDArray[np.floating[Any]]) -> None:
        """Hear the (n,) sizes of the errors of transitions that were drawn."""
        if self.priorities is None:
            return
        priority = (np.abs(errors).astype(np.float64) + SMALLEST_PRIORITY) ** self._exponent
        self._largest = max(self._largest, float(priority.max()))
        self.priorities.update(places, priority)

    def forget_what_goes_on(self) -> None:
        """All episodes that go on are over, as if their time had run out; others begin."""
        newest = (self.pos - 1) % self.buffer_size
        self.timeouts[newest] = np.where(self.dones[newest] > 0.0, self.timeouts[newest], 1.0)
        self.dones[newest] = 1.0

    def restore_priorities(self, priorities: NDArray[np.float64], largest: float) -> None:
        """Put back what `stored_priorities` gave."""
        if self.priorities is not None:
            self.priorities.update(np.arange(len(priorities)), priorities)
            self._largest = largest

    def stored_priorities(self) -> tuple[NDArray[np.float64], float]:
        """(stored,) priorities in the order of the replay, and the largest so far."""
        if self.priorities is None:
            return np.zeros(0), self._largest
        return self.priorities.priority(np.arange(self.filled * self.n_envs)), self._largest

    def _gather(self, places: Places, weights: NDArray[np.float64]) -> Experience:
        rows, envs = np.divmod(places, self.n_envs)
        reward = np.zeros(len(places), np.float32)
        factor = np.ones(len(places), np.float32)
        alive = np.ones(len(places), dtype=bool)
        last, ended = rows, np.zeros(len(places), dtype=bool)
        newest = (self.pos - 1) % self.buffer_size
        for _ in range(self._n_steps):
            reward += np.where(alive, factor * self.rewards[rows, envs], 0.0).astype(np.float32)
            factor = np.where(alive, factor * self._discount, factor).astype(np.float32)
            last = np.where(alive, rows, last)
            done = self.dones[rows, envs] > 0.0
            ended |= alive & done & ~(self.timeouts[rows, envs] > 0.0)
            alive &= ~done & (rows != newest)
            rows = (rows + 1) % self.buffer_size
        first = places // self.n_envs
        factor[ended] = 0.0
        return Experience(
            self._as_tensors(self._seen(first, envs)),
            self.to_torch(self.actions[first, envs]),
            self.to_torch(reward[:, None]),
            self._as_tensors(self._seen_after(last, envs)),
            self.to_torch(factor[:, None]),
            self.to_torch(weights.astype(np.float32)[:, None]),
            places,
        )

    def _as_tensors(self, observed: Any) -> Any:
        if isinstance(observed, dict):
            return {name: self.to_torch(values) for name, values in observed.items()}
        return self.to_torch(observed)

    def _seen(self, rows: Places, envs: Places) -> Any:
        """(n, ...) what was observed at some steps."""
        return self.observations[rows, envs]

    def _seen_after(self, rows: Places, envs: Places) -> Any:
        """(n, ...) what was observed after some steps."""
        return self.next_observations[rows, envs]
