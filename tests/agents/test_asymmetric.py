"""Tests of the policy whose critic sees more than its actor."""

import numpy as np
import torch
from stable_baselines3 import PPO

from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.agents.build import build_agent
from simreal.agents.exported import ExportedPolicy
from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv

SMALL = ("critic=[parameters]", "ppo.hidden_layers=[8]", "episode_length=0.5", "ppo.rollout_steps=8")


def agent() -> tuple[PPO, BatchEnv]:
    experiment = load_experiment("qube_swingup", SMALL)
    env = BatchEnv(experiment, 16, 0, threads=1)
    made = build_agent(experiment.agent_config, SimrealVecEnv(env), 0)
    assert isinstance(made, PPO)
    return made, env


def test_what_is_privileged_moves_the_value_and_not_the_action() -> None:
    made, env = agent()
    policy = made.policy
    assert isinstance(policy, AsymmetricPolicy)
    env.reset(seed=0)
    seen = torch.as_tensor(np.concatenate((env.reset(), env.privileged), axis=1))
    other = seen.clone()
    other[:, env.observation_size :] += 1.0
    with torch.no_grad():
        here, there = policy.get_distribution(seen), policy.get_distribution(other)
        torch.testing.assert_close(here.distribution.mean, there.distribution.mean, rtol=0, atol=0)
        assert (policy.predict_values(seen) != policy.predict_values(other)).all()


def test_it_learns_and_what_is_exported_sees_the_robots_observation_alone() -> None:
    made, env = agent()
    before = [parameter.clone() for parameter in made.policy.parameters()]
    made.learn(256)
    assert any((new != old).any() for new, old in zip(made.policy.parameters(), before, strict=True))
    observation = torch.as_tensor(env.reset(seed=1))
    assert observation.shape[1] == env.observation_size
    action = ExportedPolicy(made).eval()(observation)
    assert action.shape == (16, 1)
    whole = torch.cat((observation, torch.as_tensor(env.privileged)), dim=1)
    with torch.no_grad():
        expected = made.policy.get_distribution(whole).distribution.mean.clamp(-1.0, 1.0)
    torch.testing.assert_close(action, expected)
