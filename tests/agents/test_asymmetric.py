"""Tests of the policy whose critic sees more than its actor."""

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.agents.build import build_agent
from simreal.agents.exported import ExportedPolicy, act_with, exported
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


def test_a_critic_of_numbers_beside_an_actor_of_images() -> None:
    """What the critic is told moves its value alone; what the camera shows, the action alone."""
    seen = "cameras=[{name: overview, width: 16, height: 16}]"
    experiment = load_experiment("qube_swingup", [*SMALL, seen])
    env = SimrealVecEnv(BatchEnv(experiment, 16, 0, threads=1))
    made: Any = build_agent(experiment.agent_config, env, 0)
    first = {name: torch.from_numpy(values) for name, values in env.reset().items()}
    dark = first | {"overview": torch.zeros_like(first["overview"])}
    told = first | {"state": first["state"].clone()}
    told["state"][:, env.batch.observation_size :] += 1.0
    with torch.no_grad():
        action, value = (
            [of(given) for given in (first, dark, told)]
            for of in (
                lambda given: made.policy.get_distribution(given).distribution.mean,
                made.policy.predict_values,
            )
        )
    assert (action[0] != action[1]).any() and (value[0] != value[2]).all()
    torch.testing.assert_close(action[2], action[0], rtol=0, atol=0)
    torch.testing.assert_close(value[1], value[0], rtol=0, atol=0)
    made.learn(256)
    module = exported(made, env.batch.contract)
    numbers = env.reset()["state"][:, : env.batch.observation_size]
    assert act_with(module, numbers, env.batch.images).shape == (16, 1)
