"""Observation and action spaces of the environment, as gymnasium names them."""

from typing import Any

import numpy as np
from gymnasium import spaces

from simreal.env import BatchEnv


def observation_space(env: BatchEnv) -> Any:
    """A `Box` without bounds, float32."""
    return spaces.Box(-np.inf, np.inf, (env.observation_size,), np.float32)


def action_space(env: BatchEnv) -> Any:
    """A `Box` of [-1, 1] for each actuator; the contract maps it to commands."""
    return spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
