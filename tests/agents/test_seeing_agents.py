"""Agents with a replay learn from images: their checkpoints come back, their files act as they do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simreal.agents.build import build_agent
from simreal.agents.checkpoint import Progress, load_checkpoint, save_checkpoint
from simreal.agents.exported import act_with, exported
from simreal.agents.value.image_replay import ImageReplay
from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.export import largest_difference, record_inputs, to_onnx
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

AGENTS = {"sac": "nature", "td3": "small", "dqn": "nature", "rainbow": "small", "qrdqn": "small"}
"""And the network that each is tried with."""


def make(name: str) -> tuple[Any, SimrealVecEnv]:
    numbers = name in ("sac", "td3")
    size = 36 if AGENTS[name] == "nature" else 16
    experiment = load_experiment(
        "qube_swingup" if numbers else "qube_swingup_discrete",
        [
            f"agent={name}",
            "episode_length=0.15",
            f"cameras=[{{name: overview, width: {size}, height: {size}, stack: 2, rate: 50}}]",
            f"{name}.image_network={AGENTS[name]}",
            f"{name}.image_shift=2",
            f"{name}.simulations=4",
            f"{name}.learning_starts=40",
            f"{name}.gradient_steps=1",
            f"{name}.batch_size=8",
            f"{name}.replay_size=120",
            f"{name}.hidden_layers=[16]",
        ],
    )
    env = SimrealVecEnv(BatchEnv(experiment, 4, seed=0, threads=1))
    return build_agent(experiment.agent_config, env, 0), env


@pytest.fixture(
    scope="module",
    params=[
        "sac",
        "rainbow",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("td3", "dqn", "qrdqn")),
    ],
)
def learned(request: pytest.FixtureRequest) -> tuple[str, Any, SimrealVecEnv]:
    agent, env = make(request.param)
    before = {name: each.clone() for name, each in agent.policy.state_dict().items()}
    agent.learn(160)
    after = agent.policy.state_dict()
    moved = [
        name for name in before if "encoders" in name and not torch.equal(before[name], after[name])
    ]
    assert moved  # what it sees is learnt, too
    return request.param, agent, env


def test_its_images_are_stored_once(learned: tuple[str, Any, SimrealVecEnv]) -> None:
    name, agent, _ = learned
    replay = agent.replay_buffer
    assert isinstance(replay, ImageReplay)
    assert replay.full
    size = 36 if AGENTS[name] == "nature" else 16
    assert replay.films["overview"].frames.nbytes == 120 * 3 * size * size


def test_its_graph_acts_as_it_does(learned: tuple[str, Any, SimrealVecEnv]) -> None:
    _, agent, env = learned
    batch = env.batch
    assert isinstance(batch, BatchEnv)
    module = exported(agent, batch.contract)
    inputs = record_inputs(batch, module, 40)
    graph = to_onnx(module, batch.observation_size, batch.contract.cameras)
    assert largest_difference(module, graph.SerializeToString(), inputs) < 1e-4
    seen = env.reset()
    action, _ = agent.predict(seen, deterministic=True)
    expected = env._chosen(action)
    images = {"overview": seen["overview"]}
    np.testing.assert_allclose(act_with(module, seen["state"], images), expected, atol=1e-4)


def test_a_noisy_agent_explores_on_images_as_they_are() -> None:
    agent, env = make("rainbow")
    seen, features = env.reset(), []
    values = agent.q_net.values
    agent.q_net.values = lambda given: features.append(given) or values(given)
    for deterministic in (True, False, False):
        agent.predict(seen, deterministic=deterministic)
    # What shifts images, and rounds them, is for learning alone.
    torch.testing.assert_close(features[1], features[0], rtol=0, atol=0)
    torch.testing.assert_close(features[2], features[0], rtol=0, atol=0)
    assert any(layer.training for layer in agent.q_net.modules())


def test_its_checkpoint_brings_images_back(
    learned: tuple[str, Any, SimrealVecEnv], tmp_path: Path
) -> None:
    name, agent, _ = learned
    save_checkpoint(tmp_path / "step.pt", agent, Progress(160, 9, 1.0, {}))
    other, _ = make(name)
    load_checkpoint(tmp_path / "step.pt", other)
    places = np.arange(agent.replay_buffer.pos * 4, 120)  # those whose stacks are whole for sure
    places = places[places >= (agent.replay_buffer.pos + 4) * 4]
    mine, theirs = (each.replay_buffer._gather(places, np.ones(len(places))) for each in (agent, other))
    assert len(places) > 8
    for key, values in mine.observations.items():
        np.testing.assert_array_equal(theirs.observations[key], values)
    other.learn(40, reset_num_timesteps=False)
