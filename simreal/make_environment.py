"""Which environment an experiment gets."""

from collections.abc import Mapping

from simreal.env import BatchEnv
from simreal.episodes import Environment
from simreal.experiment import BaseExperiment, ExperimentConfig, SuiteExperiment
from simreal.suite.env import SuiteEnv


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
