"""PPO's networks, taught by imitation: DAgger (Ross, Gordon and Bagnell, AISTATS 2011)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from torch.nn import functional

from simreal.agents.config import TeacherConfig
from simreal.spaces import STATE

Teach = Callable[[NDArray[np.floating[Any]], NDArray[np.bool_]], NDArray[np.float32]]
"""From the (n, actuators) last actions, and (n,) whether an episode has just begun, to (n, actuators)
actions in [-1, 1] that the teacher would take now."""


class Memory:
    """What was seen and what the teacher would have done; the oldest is forgotten."""

    def __init__(self, capacity: int, example: dict[str, NDArray[Any]], actuators: int) -> None:
        """For observations like an example of a batch."""
        self._seen = {
            key: np.zeros((capacity, *values.shape[1:]), values.dtype) for key, values in example.items()
        }
        self._wanted = np.zeros((capacity, actuators), np.float32)
        self._capacity, self._added = capacity, 0

    def add(self, seen: dict[str, NDArray[Any]], wanted: NDArray[np.float32]) -> None:
        """Remember a batch."""
        rows = (self._added + np.arange(len(wanted))) % self._capacity
        for key, values in seen.items():
            self._seen[key][rows] = values
        self._wanted[rows] = wanted
        self._added += len(wanted)

    def sample(self, size: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Moments at random, all equally likely."""
        rows = np.random.randint(0, min(self._added, self._capacity), size)
        seen = {key: torch.from_numpy(values[rows]) for key, values in self._seen.items()}
        return seen, torch.from_numpy(self._wanted[rows])


class TaughtPPO(PPO):
    """An agent that does what its teacher would do where it comes itself.

    Attributes:
        teach: the teacher; must be set before it learns.
    """

    def __init__(self, *args: Any, teacher: TeacherConfig, **kwargs: Any) -> None:
        """As PPO."""
        super().__init__(*args, **kwargs)
        self.teach: Teach | None = None
        self._config = teacher
        self._memory: Memory | None = None
        actions: Any = self.action_space
        self._actions = np.zeros((self.n_envs, actions.shape[0]), np.float32)
        self._begun = np.ones(self.n_envs, dtype=bool)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "teach", "_memory"]

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
            if self._memory is None:
                self._memory = Memory(self._config.memory, seen, wanted.shape[1])
            self._memory.add(seen, wanted)
            with torch.no_grad():
                given = {key: torch.from_numpy(values) for key, values in seen.items()}
                self._actions = self._mean_action(given).clamp(-1.0, 1.0).numpy()
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

    def _mean_action(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        policy: Any = self.policy
        given: Any = seen if len(seen) > 1 else seen[STATE]
        features = policy.extract_features(given)
        action: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))
        return action

    def train(self) -> None:
        """Lessen the squared difference to the teacher on what is remembered."""
        assert self._memory is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(self._config.updates):
            seen, wanted = self._memory.sample(self.batch_size)
            loss: Any = functional.mse_loss(self._mean_action(seen), wanted)
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(loss.item())
        self._n_updates += self._config.updates
        self.logger.record("train/imitation_loss", float(np.mean(losses)))


def _as_dict(seen: Any) -> dict[str, NDArray[Any]]:
    return seen if isinstance(seen, dict) else {STATE: seen}
