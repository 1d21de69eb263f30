"""Observation and action spaces of the environment, as gymnasium names them."""

from typing import Any

import numpy as np
from gymnasium import spaces

from simreal.episodes import Environment


def observation_space(env: Environment) -> Any:
    """What an actor sees: a `Box` without bounds, float32."""
    return unbounded_space(env.observation_size)


def unbounded_space(size: int) -> Any:
    """A `Box` of so many numbers without bounds, float32."""
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)


def action_space(env: Environment) -> Any:
    """A `Box` of [-1, 1] for each actuator; the contract maps it to commands."""
    return spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
