"""PPO for a policy with a latent, the estimator's training, and PPO again on what it estimates.

One algorithm in three parts, so that checkpoints, resumption, tables and progress are as of any other:

1. a teacher learns with the encoded parameters;
2. nothing but the estimator learns, supervised, while its estimates act (as DAgger does: Ross, Gordon
   and Bagnell, AISTATS 2011);
3. the policy learns on with the estimates in place of the latent, and so how wrong they are (Kumar et
   al., "Adapting Rapid Motor Adaptation for Bipedal Robots", IROS 2022).
"""

from typing import Any, Literal

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

from simreal.agents.adaptive import AdaptivePolicy
from simreal.agents.config import RMAConfig
from simreal.agents.normalizer import Normalizer

Part = Literal["teacher", "student", "policy"]
"""Who learns."""
FINAL_SHARE = 0.1
"""Of the estimator's learning rate, at the end."""


class Histories:
    """What a batch of simulations saw and did in the last steps, episode by episode.

    Attributes:
        latent: (steps, count, latent) what the encoder says at each step of the rollout.
    """

    def __init__(self, count: int, history: int, frame_size: int) -> None:
        """Remember nothing yet."""
        self._history, self._count = history, count
        self._frames = torch.zeros(history, count, frame_size)
        self._age = torch.zeros(count, dtype=torch.int64)
        self._ages: list[torch.Tensor] = []
        self._new: list[torch.Tensor] = []
        self._latents: list[torch.Tensor] = []
        self.latent = torch.zeros(0, count, 0)

    def newest(self) -> torch.Tensor:
        """(count, history, size) of the frames before the present step."""
        frames = torch.cat((self._frames, *[each[None] for each in self._new[-self._history :]]))
        return _since(frames[-self._history :].transpose(0, 1), self._age)

    def add(self, frame: torch.Tensor, latent: torch.Tensor, ended: torch.Tensor) -> None:
        """Take (count, size) frames of a step, what the encoder says, and which episodes it ended."""
        self._ages.append(self._age)
        self._new.append(frame)
        self._latents.append(latent)
        self._age = torch.where(ended, 0, self._age + 1)

    def close(self) -> tuple[torch.Tensor, torch.Tensor]:
        """End the rollout: its (steps + history, count, size) frames and (steps, count) ages."""
        frames, ages = torch.cat((self._frames, torch.stack(self._new))), torch.stack(self._ages)
        self.latent = torch.stack(self._latents)
        self._frames = frames[-self._history :]
        self._new, self._ages, self._latents = [], [], []
        return frames, ages

    def pick(
        self, frames: torch.Tensor, ages: torch.Tensor, which: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, history, size) histories and (n, latent) labels of some of a rollout's moments.

        Args:
            frames: as `close` gave them.
            ages: likewise.
            which: (n,) numbers of moments, step by step.
        """
        step, row = which // self._count, which % self._count
        windows = frames.unfold(0, self._history, 1)[step, row].transpose(1, 2)
        return _since(windows, ages[step, row]), self.latent[step, row]


def _since(windows: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
    """(n, history, size) with zeros in place of the frames from before episodes of (n,) ages."""
    place = torch.arange(windows.shape[1])
    known = place[None] >= windows.shape[1] - age[:, None]
    return torch.where(known[..., None], windows, 0.0)


class WithEstimates(VecEnvWrapper):
    """What an environment shows, and behind it the latent that the estimator makes of the history.

    The last observation of an episode that ended is as it was: only a critic looks at it, which sees no
    estimates.
    """

    def __init__(self, venv: VecEnv, policy: AdaptivePolicy, histories: Histories) -> None:
        """Stand before an environment, in the midst of its episodes."""
        super().__init__(venv)
        self._policy, self._histories = policy, histories
        self._seen = torch.zeros(0)
        self._action = torch.zeros(0)

    def show(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """(count, size + latent) of (count, size) observations of the present step."""
        with torch.no_grad():
            features: Any = self._policy.extract_features(torch.as_tensor(observation))
            estimate = self._policy.estimator(self._histories.newest())
        self._seen = features[:, : self._policy.actor_size]
        return np.concatenate((observation, estimate.numpy()), axis=1)

    def reset(self) -> NDArray[np.float32]:
        """Not asked for: it stands in the midst of a training."""
        raise NotImplementedError

    def step_async(self, actions: NDArray[np.floating[Any]]) -> None:
        """Take (count, actuators) actions."""
        self._action = torch.as_tensor(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """As the environment's, and the histories grow by the step."""
        observation, reward, done, infos = self.venv.step_wait()
        frame, nothing = torch.cat((self._seen, self._action), dim=1), torch.zeros(len(self._seen), 0)
        self._histories.add(frame, nothing, torch.as_tensor(np.asarray(done)))
        assert isinstance(observation, np.ndarray)
        return self.show(observation), reward, done, infos


class AdaptivePPO(PPO):
    """PPO with `AdaptivePolicy`: its teacher, its estimator and then the policy on estimates learn.

    Attributes:
        part: which of them the present rollout is for.
    """

    policy: AdaptivePolicy

    def __init__(self, *args: Any, rma: RMAConfig, **kwargs: Any) -> None:
        """As its base class."""
        self._rma = rma
        self.part: Part = "teacher"
        self._histories: Histories | None = None
        self._shown: WithEstimates | None = None
        super().__init__(*args, **kwargs)

    def part_at(self, steps: int) -> Part:
        """Who learns after so many environment steps; nobody on estimates before there are some."""
        share = steps / self._total_timesteps
        if share < self._rma.teacher_share:
            return "teacher"
        estimates = int(self.policy.estimator.seen) > 0
        return "policy" if estimates and share >= 1.0 - self._rma.policy_share else "student"

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
        """As the base class does, with the latent of the present part."""
        self.part = self.part_at(self.num_timesteps)
        self._normalizer.frozen = self.part != "teacher"
        match self.part:
            case "teacher":
                if self._shown is not None:  # a training that begins anew
                    self._histories = self._shown = None
                    self.rollout_buffer = self._make_buffer(0)
                return super().collect_rollouts(env, callback, self.rollout_buffer, n_rollout_steps)
            case "student":
                return self._collect_for_estimator(env, callback, n_rollout_steps)
        histories = self._remembered(env)
        if self._shown is None:
            self._shown = WithEstimates(env, self.policy, histories)
            self.rollout_buffer = self._make_buffer(self._rma.latent)
            self._last_obs = self._shown.show(np.asarray(self._last_obs))
        going = super().collect_rollouts(self._shown, callback, self.rollout_buffer, n_rollout_steps)
        if going:
            histories.close()
        return going

    def _remembered(self, env: VecEnv) -> Histories:
        if self._histories is None:
            estimator = self.policy.estimator
            self._histories = Histories(env.num_envs, estimator.steps, estimator.frame_size)
        return self._histories

    def _make_buffer(self, latent: int) -> RolloutBuffer:
        """For observations with so many numbers behind them."""
        size = int(self.observation_space.shape[0]) + latent  # type: ignore[index]
        space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        return RolloutBuffer(
            self.n_steps,
            space,
            self.action_space,
            device=self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )

    def _collect_for_estimator(self, env: VecEnv, callback: BaseCallback, steps: int) -> bool:
        """With the estimator's latents and without exploration."""
        self.policy.set_training_mode(False)
        histories = self._remembered(env)
        callback.on_rollout_start()
        for _ in range(steps):
            if not self._step(env, callback, histories):
                return False
        callback.on_rollout_end()
        return True

    @property
    def _normalizer(self) -> Normalizer:
        normalizer = self.policy.features_extractor.normalizer
        assert isinstance(normalizer, Normalizer)
        return normalizer

    def _step(self, env: VecEnv, callback: BaseCallback, histories: Histories) -> bool:
        """One step of all simulations; whether training goes on."""
        policy, extractor = self.policy, self.policy.mlp_extractor
        with torch.no_grad():
            features: Any = policy.extract_features(torch.as_tensor(self._last_obs))
            seen = features[:, : policy.actor_size]
            latent = policy.estimator(histories.newest())
            action = policy.action_net(extractor.act(seen, latent)).clamp(-1.0, 1.0)  # type: ignore[operator]
            label = extractor.encode(features)  # type: ignore[operator]
        new_obs, _, dones, infos = env.step(action.numpy())
        histories.add(torch.cat((seen, action), dim=1), label, torch.as_tensor(np.asarray(dones)))
        self.num_timesteps += env.num_envs
        callback.update_locals({"new_obs": new_obs, "dones": dones, "infos": infos})
        if not callback.on_step():
            return False
        self._update_info_buffer(infos, dones)
        self._last_obs, self._last_episode_starts = new_obs, dones  # type: ignore[assignment]
        return True

    def train(self) -> None:
        """Update what the rollout was for: policy and encoder, the estimator, or the policy alone."""
        if self.part == "student":
            self._fit_estimator()
        else:
            super().train()

    def _fit_estimator(self) -> None:
        assert self._histories is not None
        policy, optimizer = self.policy, self.policy.estimator_optimizer
        left = self._current_progress_remaining - self._rma.policy_share
        remaining = left / self._rma.student_share
        rate = FINAL_SHARE + (1.0 - FINAL_SHARE) * min(1.0, max(0.0, remaining))
        for group in optimizer.param_groups:
            group["lr"] = self._rma.student_learning_rate * rate
        frames, ages = self._histories.close()
        losses = []
        for _ in range(self._rma.student_epochs):
            for which in torch.split(torch.randperm(ages.numel()), self._rma.student_batch_size):
                history, latent = self._histories.pick(frames, ages, which)
                loss = mse_loss(policy.estimator(history), latent)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(float(loss.detach()))
        optimizer.zero_grad(set_to_none=True)  # or the teacher's gradients would be shortened for them
        policy.estimator.seen += ages.numel()
        spread = float(self._histories.latent.flatten(0, 1).var(dim=0, correction=0).mean())
        self.logger.record("estimator/loss", float(np.mean(losses)))
        self.logger.record("estimator/unexplained", float(np.mean(losses)) / max(spread, 1e-12))
