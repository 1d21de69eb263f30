"""Observation and action spaces of the environment, as gymnasium names them."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simreal.episodes import Environment
from simreal.images import Images
from simreal.observation import Float32Array

STATE = "state"
"""Key of the numbers beside a camera's images."""


def observation_space(env: Environment) -> Any:
    """What an actor sees: a `Box` without bounds, float32; with cameras a `Dict`."""
    return space_with_images(env, env.observation_size)


def space_with_images(env: Environment, size: int) -> Any:
    """So many numbers; with cameras as `state` beside each camera's images, uint8, channels first."""
    if not env.images:
        return unbounded_space(size)
    seen = {name: spaces.Box(0, 255, images.shape[1:], np.uint8) for name, images in env.images.items()}
    return spaces.Dict({STATE: unbounded_space(size), **seen})


def with_images(observation: Float32Array, images: Images) -> Any:
    """(n, size) numbers, or those as `state` beside copies of images."""
    if not images:
        return observation
    return {STATE: observation, **{name: seen.copy() for name, seen in images.items()}}


def unbounded_space(size: int) -> Any:
    """A `Box` of so many numbers without bounds, float32."""
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)


def action_space(env: Environment) -> Any:
    """A `Box` of [-1, 1] for each actuator, or a number of choices; the contract maps it to commands."""
    choices = env.contract.action.choices
    if choices:
        return spaces.Discrete(len(choices))
    return spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)


class Chooser:
    """Turns what agents give, numbers of choices or actions, into actions in [-1, 1]."""

    def __init__(self, env: Environment) -> None:
        """Of an environment."""
        table = [choice.action for choice in env.contract.action.choices]
        self._table = np.array(table, dtype=np.float32) if table else None

    def __call__(self, action: NDArray[Any]) -> NDArray[Any]:
        """(n, actuators) actions of (n,) choices; actions themselves pass."""
        return action if self._table is None else self._table[action]
