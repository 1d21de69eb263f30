"""PPO for a policy that comes to act on estimates of a latent, simulation after simulation.

At first every simulation acts on what the encoder makes of the drawn parameters, at last every one on
what the estimator makes of the history: the policy learns how wrong that is (Kumar et al., "Adapting
Rapid Motor Adaptation for Bipedal Robots", IROS 2022). The estimator learns from every rollout, and so
on what its own estimates lead to (as DAgger does: Ross, Gordon and Bagnell, AISTATS 2011).
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch.nn.functional import mse_loss

from simreal.agents.adaptive import AdaptivePolicy, recent_frames
from simreal.agents.config import RMAConfig

FINAL_SHARE = 0.1
"""Of the estimator's learning rate, at the end."""


class Histories:
    """What a batch of simulations saw and did in the last steps, episode by episode."""

    def __init__(self, count: int, history: int, frame_size: int) -> None:
        """Remember nothing yet."""
        self._history, self._count = history, count
        self._frames = torch.zeros(history, count, frame_size)
        self._age = torch.zeros(count, dtype=torch.int64)
        self._ages: list[torch.Tensor] = []
        self._new: list[torch.Tensor] = []

    def newest(self) -> torch.Tensor:
        """(count, history, size) of the frames before the present step."""
        frames = torch.cat((self._frames, *[each[None] for each in self._new[-self._history :]]))
        return _since(frames[-self._history :].transpose(0, 1), self._age)

    def add(self, frame: torch.Tensor, ended: torch.Tensor) -> None:
        """Take (count, size) frames of a step, and which episodes it ended."""
        self._ages.append(self._age)
        self._new.append(frame)
        self._age = torch.where(ended, 0, self._age + 1)

    def close(self) -> tuple[torch.Tensor, torch.Tensor]:
        """End the rollout: its (steps + history, count, size) frames and (steps, count) ages."""
        frames, ages = torch.cat((self._frames, torch.stack(self._new))), torch.stack(self._ages)
        self._frames = frames[-self._history :]
        self._new, self._ages = [], []
        return frames, ages

    def pick(self, frames: torch.Tensor, ages: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """(n, history, size) histories of some of a rollout's moments.

        Args:
            frames: as `close` gave them.
            ages: likewise.
            which: (n,) numbers of moments, step by step.
        """
        step, row = which // self._count, which % self._count
        windows = frames.unfold(0, self._history, 1)[step, row].transpose(1, 2)
        return _since(windows, ages[step, row])


def _since(windows: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
    """(n, history, size) with zeros in place of the frames from before episodes of (n,) ages."""
    place = torch.arange(windows.shape[1])
    known = place[None] >= windows.shape[1] - age[:, None]
    return torch.where(known[..., None], windows, 0.0)


class WithHistory(VecEnvWrapper):
    """What an environment shows, and behind it recent frames, an estimate, and whether that is to act.

    The last observation of an episode that ended is as it was: only a critic looks at it, which sees
    nothing of what stands behind. The first observation of a rollout was shown at the end of the one
    before, with the estimate of then.

    Attributes:
        histories: of the simulations.
        estimated: how many simulations, the first, act on estimates.
    """

    def __init__(self, venv: VecEnv, policy: AdaptivePolicy) -> None:
        """Stand before an environment whose episodes begin."""
        super().__init__(venv)
        self._policy, estimator = policy, policy.estimator
        self.histories = Histories(venv.num_envs, estimator.steps, estimator.frame_size)
        self.estimated = 0
        self._observation = torch.zeros(0)
        self._action = torch.zeros(0)

    def show(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """(count, size + recent frames + latent + 1) of (count, size) observations of this step."""
        self._observation = torch.as_tensor(observation)
        history, policy = self.histories.newest(), self._policy
        recent = recent_frames(history, policy.recent).numpy()
        with torch.no_grad():
            estimate = policy.estimator(history).numpy()
        acts = (np.arange(len(estimate)) < self.estimated).astype(np.float32)
        return np.concatenate((observation, recent, estimate, acts[:, None]), axis=1)

    def reset(self) -> NDArray[np.float32]:
        """Not asked for: the agent resets what stands behind."""
        raise NotImplementedError

    def step_async(self, actions: NDArray[np.floating[Any]]) -> None:
        """Take (count, actuators) actions."""
        self._action = torch.as_tensor(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """As the environment's, and the histories grow by the step."""
        observation, reward, done, infos = self.venv.step_wait()
        with torch.no_grad():
            features: Any = self._policy.extract_features(self._observation)
        frame = torch.cat((features[:, : self._policy.actor_size], self._action), dim=1)
        self.histories.add(frame, torch.as_tensor(np.asarray(done)))
        assert isinstance(observation, np.ndarray)
        return self.show(observation), reward, done, infos


class AdaptivePPO(PPO):
    """PPO with `AdaptivePolicy`: policy, encoder and estimator learn from the same rollouts."""

    policy: AdaptivePolicy

    def __init__(self, *args: Any, rma: RMAConfig, **kwargs: Any) -> None:
        """As its base class."""
        self._rma = rma
        self._with_history: WithHistory | None = None
        super().__init__(*args, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        behind = self.policy.recent * self.policy.estimator.frame_size + self._rma.latent + 1
        size = int(self.observation_space.shape[0])  # type: ignore[index]
        self.rollout_buffer = RolloutBuffer(
            self.n_steps,
            spaces.Box(-np.inf, np.inf, (size + behind,), np.float32),
            self.action_space,
            device=self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        self._with_history = self._last_obs = None  # so that the base class lets episodes begin
        return super()._setup_learn(*args, **kwargs)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, other = super()._get_torch_save_params()
        return [*names, "policy.estimator_optimizer"], other

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """As the base class does, of simulations some of which act on estimates."""
        share = self._rma.estimated_share(self.num_timesteps / self._total_timesteps)
        estimated = round(share * env.num_envs)
        if self._with_history is None:
            self._with_history = WithHistory(env, self.policy)
            self._with_history.estimated = estimated
            self._last_obs = self._with_history.show(np.asarray(self._last_obs))
        self._with_history.estimated = estimated
        self.logger.record("estimator/share", share)
        return super().collect_rollouts(self._with_history, callback, rollout_buffer, n_rollout_steps)

    def train(self) -> None:
        """Let the estimator learn what the encoder says, and then policy and encoder."""
        self._fit_estimator()  # first, since PPO changes the order of the rollout's moments
        super().train()

    def _fit_estimator(self) -> None:
        assert self._with_history is not None
        policy, optimizer = self.policy, self.policy.estimator_optimizer
        rate = FINAL_SHARE + (1.0 - FINAL_SHARE) * self._current_progress_remaining
        for group in optimizer.param_groups:
            group["lr"] = self._rma.student_learning_rate * rate
        histories = self._with_history.histories
        frames, ages = histories.close()
        latent = self._encoded()
        losses = []
        for which in torch.split(torch.randperm(ages.numel()), self._rma.student_batch_size):
            estimate = policy.estimator(histories.pick(frames, ages, which))
            loss = mse_loss(estimate, latent[which])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        optimizer.zero_grad(set_to_none=True)  # or the policy's gradients would be shortened for them
        spread = float(latent.var(dim=0, correction=0).mean())
        self.logger.record("estimator/loss", float(np.mean(losses)))
        self.logger.record("estimator/unexplained", float(np.mean(losses)) / max(spread, 1e-12))

    def _encoded(self) -> torch.Tensor:
        """(steps * count, latent) what the encoder makes of the rollout's parameters, step by step."""
        shown = torch.as_tensor(self.rollout_buffer.observations).flatten(0, 1)
        size = int(self.observation_space.shape[0])  # type: ignore[index]
        with torch.no_grad():
            return self.policy.encode(shown[:, :size])
