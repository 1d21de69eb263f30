"""What training and evaluation ask of an environment, and which one an experiment gets."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.env import BatchEnv, Step
from simreal.episode_random import SeedArray
from simreal.experiment import BaseExperiment, ExperimentConfig, SuiteExperiment
from simreal.observation import Float32Array
from simreal.physics.interface import Ids
from simreal.randomization.randomizer import Randomizer
from simreal.suite.env import SuiteEnv


class Environment(Protocol):
    """`count` simulations, each in an episode of its own; `BatchEnv` says what each member is."""

    count: int
    seed: int
    episodes_begun: int
    diverged_episodes: int
    contract: Contract
    privileged: Float32Array

    @property
    def randomizer(self) -> Randomizer:
        """Of the simulations."""
        ...

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        ...

    @property
    def action_size(self) -> int:
        """Length of an action."""
        ...

    def reset(self, seed: int | None = None) -> Float32Array:
        """Begin new episodes everywhere; with a seed, number them from zero again."""
        ...

    def forget_ready(self) -> None:
        """Draw the next episodes anew: the schedule of the randomization has moved."""
        ...

    def begin(
        self, ids: Ids, seeds: SeedArray, draws: NDArray[np.float64] | None = None
    ) -> Float32Array:
        """Begin particular episodes in some simulations."""
        ...

    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actions) in [-1, 1]."""
        ...


def make_environment(
    experiment: BaseExperiment,
    count: int,
    seed: int = 0,
    pins: Mapping[str, float] | None = None,
    threads: int = 0,
) -> Environment:
    """The environment of an experiment; see `BatchEnv` for the arguments.

    Raises:
        UserError: names or ranges of the experiment that fit neither robot nor task.
    """
    if isinstance(experiment, SuiteExperiment):
        return SuiteEnv(experiment, count, seed, pins, threads)
    assert isinstance(experiment, ExperimentConfig)
    return BatchEnv(experiment, count, seed, pins, threads)
