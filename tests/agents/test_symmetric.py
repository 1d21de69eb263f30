"""Tests of the policy that acts alike on both sides."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO

from simreal.agents.build import build_agent
from simreal.agents.exported import ExportedPolicy, find_normalizer
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv

SMALL = ("ppo.hidden_layers=[16]", "episode_length=0.5", "ppo.rollout_steps=8", "ppo.symmetric=true")


def agent(name: str = "go2_velocity", *overrides: str) -> tuple[PPO, BatchEnv]:
    experiment = load_experiment(name, (*SMALL, *overrides))
    env = BatchEnv(experiment, 16, 0, threads=1)
    made = build_agent(experiment.agent_config, SimrealVecEnv(env), 0)
    assert isinstance(made, PPO)
    return made, env


def lopsided(env: BatchEnv) -> NDArray[np.float32]:
    """(64, size) observations that favour one side."""
    random = np.random.default_rng(0)
    return random.normal(0.3, 1.0, (64, env.observation_size)).astype(np.float32)


@pytest.mark.parametrize("critic", ["critic=[velocity, parameters]", "critic=[]"])
def test_it_does_on_the_right_what_it_does_on_the_left_before_and_after_learning(critic: str) -> None:
    made, env = agent("go2_velocity", critic)
    mirror = env.symmetry()
    seen = lopsided(env)
    for learnt in (False, True):
        if learnt:
            before = [each.clone() for each in made.policy.parameters()]
            beside = np.zeros((64, env.privileged.shape[1]), np.float32)
            find_normalizer(made).update(np.concatenate([seen, beside], axis=1))
            made.learn(256)
            changed = zip(made.policy.parameters(), before, strict=True)
            assert all((new != old).any() for new, old in changed)
        act = ExportedPolicy(made).eval()
        with torch.no_grad():
            here = act(torch.as_tensor(seen)).numpy()
            there = act(torch.as_tensor(mirror.observation(seen))).numpy()
        assert np.abs(here).max() > 1e-3
        np.testing.assert_allclose(there, mirror.action(here), atol=1e-6)


def test_it_explores_alike_on_both_sides() -> None:
    made, env = agent()
    with torch.no_grad():
        made.policy.log_std[:] = torch.linspace(-2.0, 0.0, env.action_size)
        whole = np.concatenate(
            [lopsided(env), np.zeros((64, env.privileged.shape[1]), np.float32)], axis=1
        )
        spread = made.policy.get_distribution(torch.as_tensor(whole)).distribution.stddev.numpy()
    np.testing.assert_allclose(spread, spread[:, env.symmetry().action.source], rtol=1e-6)


def test_a_robot_without_a_mirror_image_is_refused() -> None:
    with pytest.raises(UserError, match="qube has no mirror image"):
        agent("qube_swingup")
