"""Runs that were adapted to an identified Qube. Tiny, but real."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.experiment import load_experiment
from simreal.logs.robot_log import Channel, RobotLog
from simreal.randomization.posterior import (
    Posterior,
    PosteriorParameter,
    write_posterior,
)
from simreal.run import Run
from simreal.train import start_run, train

torch.set_num_threads(1)

TINY = {
    "ppo": ["ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32"],
    "sac": ["sac.simulations=8", "sac.learning_starts=64", "sac.gradient_steps=1", "sac.batch_size=32"],
    "td3": ["td3.simulations=8", "td3.learning_starts=64", "td3.gradient_steps=1", "td3.batch_size=32"],
}


def trained(path: Path, agent: str, *more: str) -> Run:
    overrides = [
        f"agent={agent}",
        *TINY[agent],
        f"{agent}.hidden_layers=[16]",
        "episode_length=0.2",
        "train.total_steps=256",
        *more,
    ]
    run = start_run(load_experiment("qube_swingup", overrides), 0, path)
    train(run)
    return run


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("base") / "run", "ppo", "critic=[parameters]")


@pytest.fixture
def identified(tmp_path: Path) -> Path:
    """A Qube whose arm is heavier, whose joint has a spring, and which answers late."""
    random = np.random.default_rng(0)
    columns = (
        ("mass[arm]", "1", "scale", 1.1),
        ("joint_stiffness[arm]", "N·m/rad", "absolute", 0.002),
        ("action_latency_ms", "ms", "absolute", 12.0),
    )
    rows = np.array([each[-1] for each in columns]) * (1 + 0.01 * random.standard_normal((40, 3)))
    posterior = Posterior(
        robot="qube",
        parameters=tuple(
            PosteriorParameter(name=name, unit=unit, operation=operation, low=0.0, high=40.0)  # type: ignore[arg-type]
            for name, unit, operation, _ in columns
        ),
        samples=tuple(map(tuple, rows.tolist())),
    )
    write_posterior(tmp_path / "identified.yaml", posterior)
    return tmp_path / "identified.yaml"


@pytest.fixture
def adapted(base: Run, identified: Path, tmp_path: Path) -> Run:
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "adapted").run
    finetune(run)
    return run


@pytest.fixture
def log() -> Iterator[RobotLog]:
    time = np.arange(0.0, 3.0, 0.004)
    position = np.stack([0.3 * np.sin(2 * time), 0.1 * np.sin(5 * time)], axis=1)
    joints = ("arm", "pendulum")
    found = RobotLog("swing", joint_names=joints, robot="qube")
    found.channels["joint_position"] = Channel(time, position, joints, ("rad", "rad"))
    yield found
