"""Replay of stacked images that holds each image once, as bytes."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from simreal.agents.value.experience import ExperienceReplay
from simreal.agents.value.sum_tree import Places
from simreal.errors import UserError

Frames = NDArray[np.uint8]


class FrameReplay(ExperienceReplay):
    """An `ExperienceReplay` of observations (stack, height, width) whose last image is the new one.

    Of each step the new image alone is stored; a stack is put together when it is drawn. Images from
    before an episode are its first one again. What was seen as an episode ran out of time stands in no
    later step: its stack is kept aside.

    A million steps of four images of 84 x 84 pixels take 7.1 GB, instead of 56 GB as they are observed.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        **arguments: Any,
    ) -> None:
        """Store nothing yet; see `ExperienceReplay`.

        Raises:
            UserError: observations are no stacks of images.
        """
        if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 3:
            raise UserError(f"{observation_space}: expected a box of (stack, height, width)")
        if observation_space.dtype != np.uint8:
            raise UserError(f"{observation_space}: expected images of bytes (uint8)")
        self._stack = observation_space.shape[0]
        # The base class lays out whole observations: of a single number here, which is not used.
        nothing = spaces.Box(0, 1, (1,), np.uint8)
        super().__init__(buffer_size, nothing, action_space, device, n_envs, False, **arguments)
        if self.buffer_size <= self._stack:
            raise UserError(f"a replay of {self.buffer_size} steps cannot hold a stack of {self._stack}")
        image = observation_space.shape[1:]
        self._frames: Frames = np.zeros((self.buffer_size, n_envs, *image), np.uint8)
        self._age = np.zeros((self.buffer_size, n_envs), np.uint8)
        self._newest: Frames = np.zeros((n_envs, *observation_space.shape), np.uint8)
        self._final: dict[int, Frames] = {}

    @property
    def image_bytes(self) -> int:
        """Bytes that all images take, those aside included."""
        aside = sum(each.nbytes for each in self._final.values())
        return self._frames.nbytes + self._age.nbytes + self._newest.nbytes + aside

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all simulations; `next_obs` of one that has ended is what it saw last."""
        row = self.pos
        before = (row - 1) % self.buffer_size
        begun = self.filled == 0 or self.dones[before] > 0.0
        older = np.minimum(self._age[before].astype(np.int64) + 1, self._stack - 1)
        self._age[row] = np.where(begun, 0, older)
        self._frames[row] = obs[:, -1]
        self._newest[:] = next_obs
        for env in range(self.n_envs):
            self._final.pop(row * self.n_envs + env, None)
        out_of_time = [bool(info.get("TimeLimit.truncated", False)) for info in infos]
        for late in np.flatnonzero(out_of_time):
            self._final[row * self.n_envs + int(late)] = np.array(next_obs[late], np.uint8)
        nothing = np.zeros((self.n_envs, 1), np.uint8)
        super().add(nothing, nothing, action, reward, done, infos)
        if self.priorities is not None and self.full:
            # What these look back upon has been overwritten.
            rows = (self.pos + np.arange(self._stack - 1)) % self.buffer_size
            places = (rows[:, None] * self.n_envs + np.arange(self.n_envs)).ravel()
            self.priorities.update(places, np.zeros(len(places)))

    def _evenly(self, number: int) -> Places:
        """(number,) places whose stacks are whole."""
        if not self.full:
            return super()._evenly(number)
        rows = (
            self.pos + np.random.randint(self._stack - 1, self.buffer_size, number)
        ) % self.buffer_size
        return rows * self.n_envs + np.random.randint(0, self.n_envs, number)

    def _seen(self, rows: Places, envs: Places) -> Frames:
        """(n, stack, height, width) what was seen at some steps."""
        back = np.minimum(np.arange(self._stack - 1, -1, -1), self._age[rows, envs][:, None])
        return self._frames[(rows[:, None] - back) % self.buffer_size, envs[:, None]]

    def _seen_after(self, rows: Places, envs: Places) -> Frames:
        """(n, stack, height, width) what was seen after some steps; after an end for good, anything."""
        following = self._seen((rows + 1) % self.buffer_size, envs)
        newest = rows == (self.pos - 1) % self.buffer_size
        following[newest] = self._newest[envs[newest]]
        for each in np.flatnonzero(self.timeouts[rows, envs] > 0.0):
            following[each] = self._final[int(rows[each]) * self.n_envs + int(envs[each])]
        return following
