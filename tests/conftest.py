"""What several test files read: one tiny training, since its export alone takes seconds."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure. What else a CI's own profile says stays.
settings.register_profile("any machine", settings(), deadline=None)
settings.load_profile("any machine")

RANDOMIZED = {
    "mass": (0.8, 1.2),
    "motor_strength": (0.8, 1.2),
    "action_latency_ms": (0, 15),
    "encoder_noise": (0, 0.001),
}
"""One quantity of each kind, not all of them: a report takes matplotlib seconds for so many pictures."""

TINY = [
    "episode_length=0.5",
    "ppo.simulations=8",
    "ppo.rollout_steps=16",
    "ppo.batch_size=32",
    "train.total_steps=600",
    "randomization="
    + json.dumps(
        {
            name: {"distribution": {"type": "uniform", "low": low, "high": high}}
            for name, (low, high) in RANDOMIZED.items()
        }
    ),
]
"""Of 50 steps each, an episode ends in every simulation, and the normaliser has seen some hundred."""


@pytest.fixture(autouse=True)
def usual_priority() -> Iterator[None]:
    """Commands that are robots take real-time priority; run in this process, they must not keep it."""
    yield
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def run_and_policy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of `qube_swingup` and the policy exported from it, for tests that leave both as they are."""
    # Here, so that a test file which needs no torch does not wait for it.
    from simreal.experiment import load_experiment
    from simreal.export import export
    from simreal.train import start_run, train

    folder = tmp_path_factory.mktemp("tiny")
    run = start_run(load_experiment("qube_swingup", TINY), 0, folder / "run")
    train(run)
    return run.path, export(run, folder / "policy.onnx").path
