"""Benchmarks of trainings that are small."""

import pytest

from simreal.experiment import ExperimentConfig, load_experiment

AGENTS = ("ppo", "recurrent_ppo")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of a few simulations, the same otherwise."""
    few = [f"{agent}.{size}=16" for agent in AGENTS for size in ("simulations", "rollout_steps")]

    def load(name: str) -> ExperimentConfig:
        return load_experiment(name, few)

    monkeypatch.setattr("simreal.transfer_bench.arms.load_experiment", load)
    monkeypatch.setattr("simreal.transfer_bench.targets.load_experiment", load)
