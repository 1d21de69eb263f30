"""The experiments as gymnasium environments: ``gymnasium.make("simreal/qube_swingup")``."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from simreal.episodes import Episode
from simreal.experiment import load_any_experiment
from simreal.make_environment import make_environment
from simreal.spaces import Chooser, action_space, observation_space, with_images


def _episode_info(episode: Episode) -> dict[str, Any]:
    return {
        "is_success": episode.success,
        "goal_share": episode.goal_share,
        "ended_by": episode.ended_by,
        "draw": episode.draw,
    }


class GymEnv(gymnasium.Env[Any, NDArray[np.float32]]):
    """One simulation of an experiment."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        experiment: str,
        overrides: tuple[str, ...] = (),
        pins: Mapping[str, float] | None = None,
    ) -> None:
        """Build the environment.

        Args:
            experiment: a shipped experiment's name or the path of a YAML file.
            overrides: ``key=value`` assignments.
            pins: randomized parameters to hold at a value.
        """
        self._env = make_environment(load_any_experiment(experiment, overrides), 1, pins=pins, threads=1)
        self.observation_space = observation_space(self._env)
        self.action_space = action_space(self._env)
        self._chosen = Chooser(self._env)
        self._next: Any = None  # first observation of an episode that has begun and seen no action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the same seed begins the same episode, no seed at first any."""
        super().reset(seed=seed)
        if seed is None and self._env.episodes_begun == 0:
            seed = int(self.np_random.integers(2**32))
        if seed is not None or self._next is None:
            self._next = self._seen(self._env.reset(seed))
        observation, self._next = self._next, None
        return observation, {}

    def _seen(self, observation: NDArray[np.float32]) -> Any:
        """What is seen now, beside the numbers of the batch of one."""
        return with_images(observation[0].copy(), {name: of[0] for name, of in self._env.images.items()})

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action in [-1, 1], or the number of a choice."""
        step = self._env.step(self._chosen(np.asarray(action)[None]))
        self._next = None
        if step.episodes:
            self._next = self._seen(step.observation)
            last = {name: of[0] for name, of in step.final_images.items()}
            return (
                with_images(step.final_observation[0].copy(), last),
                float(step.reward[0]),
                bool(step.terminated[0]),
                bool(step.truncated[0]),
                _episode_info(step.episodes[0]),
            )
        return self._seen(step.observation), float(step.reward[0]), False, False, {}


class GymVectorEnv(VectorEnv[Any, NDArray[np.float32], NDArray[Any]]):
    """Many simulations of an experiment; an ended episode is followed by the next in the same step."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        experiment: str,
        num_envs: int = 1,
        overrides: tuple[str, ...] = (),
        pins: Mapping[str, float] | None = None,
    ) -> None:
        """Build the simulations; see `GymEnv` for the arguments."""
        self._env = make_environment(load_any_experiment(experiment, overrides), num_envs, pins=pins)
        self.num_envs = num_envs
        self.single_observation_space = observation_space(self._env)
        self.single_action_space = action_space(self._env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._chosen = Chooser(self._env)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes everywhere; of a list of seeds the first counts."""
        first = seed[0] if isinstance(seed, list) else seed
        if first is None and self._env.episodes_begun == 0:
            first = int(self.np_random.integers(2**32))
        return with_images(self._env.reset(first).copy(), self._env.images), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        Any,
        NDArray[Any],
        NDArray[Any],
        NDArray[Any],
        dict[str, Any],
    ]:
        """Take (num_envs, actuators) actions in [-1, 1], or (num_envs,) numbers of choices."""
        step = self._env.step(self._chosen(actions))
        infos: dict[str, Any] = {}
        for place, row in enumerate(np.flatnonzero(step.terminated | step.truncated)):
            info = {
                "final_obs": with_images(
                    step.final_observation[place],
                    {name: of[place] for name, of in step.final_images.items()},
                ),
                "final_info": _episode_info(step.episodes[place]),
            }
            infos = self._add_info(infos, info, int(row))
        observation = with_images(step.observation.copy(), self._env.images)
        return observation, step.reward, step.terminated, step.truncated, infos
