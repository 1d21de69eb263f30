"""PPO's networks, taught by imitation: DAgger (Ross, Gordon and Bagnell, AISTATS 2011).

What the teacher is told and the pupil must see, the features of the images are taught to say, too: from
actions alone, which turn over near the goal, a network takes many times longer to learn where it is.
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from torch import nn
from torch.nn import functional

from simreal.agents.config import TeacherConfig
from simreal.contract import COMMAND_SOURCES, Contract
from simreal.spaces import STATE

WANTED, TOLD = "wanted action", "told"
"""Keys of what is remembered beside what was seen."""


class Teach(Protocol):
    """A teacher of all simulations."""

    def __call__(
        self, last_action: NDArray[np.floating[Any]], begun: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(n, actuators) actions in [-1, 1] that it would take now.

        Args:
            last_action: (n, actuators) that were taken.
            begun: (n,) whether an episode has just begun.
        """
        ...

    def told(self) -> NDArray[np.float32]:
        """(n, k) what it is told now and the pupil is not, numbers of about 1; k may be 0."""
        ...


class Beside(Protocol):
    """What a pupil's networks learn beside what its teacher does, in the same updates."""

    def loss(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        """To be added to the loss of a batch of what was seen."""
        ...

    def step(self) -> None:
        """Let what is not the policy's learn by the gradients that it has now, and forget them."""
        ...


class Memory:
    """Arrays of moments by name; the oldest is forgotten."""

    def __init__(self, capacity: int, example: dict[str, NDArray[Any]]) -> None:
        """For moments like an example of a batch."""
        self._arrays = {
            key: np.zeros((capacity, *values.shape[1:]), values.dtype) for key, values in example.items()
        }
        self._capacity, self._added = capacity, 0

    def add(self, moments: dict[str, NDArray[Any]]) -> None:
        """Remember a batch."""
        number = len(moments[WANTED])
        rows = (self._added + np.arange(number)) % self._capacity
        for key, values in moments.items():
            self._arrays[key][rows] = values
        self._added += number

    def sample(self, size: int) -> dict[str, torch.Tensor]:
        """Moments at random, all equally likely."""
        rows = np.random.randint(0, min(self._added, self._capacity), size)
        return {key: torch.from_numpy(values[rows]) for key, values in self._arrays.items()}


class ImitationPPO(PPO):
    """An agent that does what its teacher would do where it comes itself.

    Attributes:
        teach: the teacher; must be set before it learns.
        beside: what else it learns, if anything.
    """

    def __init__(self, *args: Any, teacher: TeacherConfig, told: int, **kwargs: Any) -> None:
        """As PPO; what is seen is taught to tell `told` numbers."""
        super().__init__(*args, **kwargs)
        policy: Any = self.policy
        self._numbers = getattr(policy.features_extractor, "numbers", policy.features_dim)
        self._tells = told > 0 and policy.features_dim > self._numbers
        if self._tells:
            policy.tell = nn.Linear(policy.features_dim - self._numbers, told)
            policy.optimizer.add_param_group({"params": policy.tell.parameters()})
        self.teach: Teach | None = None
        self.beside: Beside | None = None
        self._config = teacher
        self._memory: Memory | None = None
        actions: Any = self.action_space
        self._actions = np.zeros((self.n_envs, actions.shape[0]), np.float32)
        self._begun = np.ones(self.n_envs, dtype=bool)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "teach", "beside", "_memory"]

    def collect_rollouts(
        self, env: Any, callback: Any, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Step all simulations; the teacher says what it would do, and drives some of them at first."""
        assert self.teach is not None
        callback.on_rollout_start()
        self.policy.set_training_mode(False)
        driven = round(self.n_envs * self._config.taught_share * max(0.0, 1.0 - 2.0 * self._done()))
        for _ in range(n_rollout_steps):
            wanted = self.teach(self._actions, self._begun)
            seen = _as_dict(self._last_obs)
            moments = seen | {WANTED: wanted, TOLD: self.teach.told()}
            if self._memory is None:
                self._memory = Memory(self._config.memory, moments)
            self._memory.add(moments)
            with torch.no_grad():
                given = {key: torch.from_numpy(values) for key, values in seen.items()}
                self._actions = self._mean_action(self._features(given)).clamp(-1.0, 1.0).numpy()
            self._actions[:driven] = wanted[:driven]
            new_obs, _, dones, infos = env.step(self._actions)
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            self._last_obs, self._begun = new_obs, dones
        callback.on_rollout_end()
        return True

    def _done(self) -> float:
        return self.num_timesteps / self._total_timesteps

    def _features(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        policy: Any = self.policy
        features: torch.Tensor = policy.extract_features(seen if len(seen) > 1 else seen[STATE])
        return features

    def _mean_action(self, features: torch.Tensor) -> torch.Tensor:
        policy: Any = self.policy
        action: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))
        return action

    def train(self) -> None:
        """Lessen the squared difference to the teacher on what is remembered."""
        assert self._memory is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(self._config.updates):
            moments = self._memory.sample(self.batch_size)
            wanted, told = moments.pop(WANTED), moments.pop(TOLD)
            features = self._features(moments)
            loss: Any = functional.mse_loss(self._mean_action(features), wanted)
            losses.append(loss.item())
            if self._tells:
                policy: Any = self.policy
                loss = loss + functional.mse_loss(policy.tell(features[:, self._numbers :]), told)
            if self.beside is not None:
                loss = loss + self.beside.loss(moments)
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            if self.beside is not None:
                self.beside.step()
        self._n_updates += self._config.updates
        self.logger.record("train/imitation_loss", float(np.mean(losses)))


def untold(contract: Contract) -> list[int]:
    """Which of the commands a policy must see, since it is told none of them and they vary."""
    if any(term.source in COMMAND_SOURCES for term in contract.observation):
        return []
    return [place for place, each in enumerate(contract.commands) if each.low < each.high]


def _as_dict(seen: Any) -> dict[str, NDArray[Any]]:
    return seen if isinstance(seen, dict) else {STATE: seen}
