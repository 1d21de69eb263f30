"""The batched environment as a stable-baselines3 `VecEnv`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from simreal.episodes import Environment, Episode
from simreal.spaces import Chooser, action_space, space_with_images, with_images


class SimrealVecEnv(VecEnv):
    """An environment for stable-baselines3; one call steps every simulation.

    Observations are those of the actor, and behind them what only a critic may see.

    Attributes:
        batch: the environment underneath.
        finished: episodes that ended since `take_finished` was last called.
    """

    def __init__(self, batch: Environment) -> None:
        """Wrap a batch; its first episodes begin at `reset`."""
        self.batch = batch
        self.finished: list[Episode] = []
        self.render_mode = None
        self._pending: NDArray[Any] | None = None
        self._chosen = Chooser(batch)
        size = batch.observation_size + batch.privileged.shape[1]
        super().__init__(batch.count, space_with_images(batch, size), action_space(batch))

    def take_finished(self) -> list[Episode]:
        """Hand over the episodes that have ended, once."""
        finished, self.finished = self.finished, []
        return finished

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the run's seed; it takes effect at the next `reset`."""
        if seed is not None:
            self.batch.seed, self.batch.episodes_begun = seed, 0
            self.batch.forget_ready()
        return [seed] * self.num_envs

    def reset(self) -> VecEnvObs:
        """Begin new episodes everywhere; (simulations, size) observations."""
        observation = self.batch.reset()
        numbers = np.concatenate((observation, self.batch.privileged), axis=1)
        first: VecEnvObs = with_images(numbers, self.batch.images)
        return first

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions, or the numbers of choices, for `step_wait`."""
        self._pending = self._chosen(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step; ended episodes carry their last observation in their info."""
        assert self._pending is not None
        step = self.batch.step(self._pending)
        done = step.terminated | step.truncated
        final = np.concatenate((step.final_observation, step.final_privileged), axis=1)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for place, row in enumerate(np.flatnonzero(done)):
            episode = step.episodes[place]
            infos[row] = {
                "terminal_observation": with_images(
                    final[place], {name: seen[place] for name, seen in step.final_images.items()}
                ),
                "TimeLimit.truncated": bool(step.truncated[row]),
                "episode": {"r": episode.episode_return, "l": episode.length},
                "is_success": episode.success,
            }
        self.finished += step.episodes
        numbers = np.concatenate((step.observation, step.privileged), axis=1)
        observation = with_images(numbers, self.batch.images)
        return observation, step.reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to release: the threads end with the batch."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """This object's attribute, once for each simulation."""
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute for all simulations; they are one object."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method once and give its result for each simulation."""
        result = getattr(self, method_name)(*args, **kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        """No simulation is wrapped one by one."""
        return [False for _ in self._get_indices(indices)]
