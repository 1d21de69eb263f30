"""Each agent learns for some hundred steps, and its exported module acts as it does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.agents.build import build_agent
from simreal.agents.exported import ExportedChooser, ExportedPolicy, find_normalizer
from simreal.agents.normalizer import Normalizer
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

TINY = {
    "ppo": ["ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32", "ppo.hidden_layers=[16]"],
    **{
        name: [
            f"{name}.{setting}"
            for setting in (
                "simulations=8",
                "learning_starts=64",
                "gradient_steps=1",
                "batch_size=32",
                "hidden_layers=[16, 16]",
            )
        ]
        for name in ("sac", "td3")
    },
}
CLASSES = {"ppo": PPO, "sac": SAC, "td3": TD3}


def make(name: str, *overrides: str, seed: int = 0) -> BaseAlgorithm:
    experiment = load_experiment("qube_swingup", [f"agent={name}", *TINY[name], *overrides])
    env = SimrealVecEnv(BatchEnv(experiment, experiment.agent_config.simulations, seed))
    return build_agent(experiment.agent_config, env, seed)


def parameters(agent: BaseAlgorithm) -> torch.Tensor:
    return torch.cat([each.detach().ravel() for each in agent.policy.parameters()])


def some_observations(agent: BaseAlgorithm, number: int = 64) -> Any:
    size = agent.observation_space.shape
    return np.random.default_rng(0).normal(0, 2, (number, *size)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(TINY))
def test_an_agent_learns_and_stays_finite(name: str) -> None:
    agent = make(name)
    assert isinstance(agent, CLASSES[name])
    before = parameters(agent)
    agent.learn(400)
    after = parameters(agent)
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", sorted(TINY))
def test_all_networks_share_one_normalizer(name: str) -> None:
    agent = make(name)
    normalizers = {m for m in agent.policy.modules() if isinstance(m, Normalizer)}
    assert normalizers == {find_normalizer(agent)}


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_exported_module_acts_as_the_agent_does(name: str) -> None:
    agent = make(name, f"{name}.activation=elu")
    agent.learn(300)
    observations = some_observations(agent)
    find_normalizer(agent).update(3.0 + 2.0 * observations)
    expected, _ = agent.predict(observations, deterministic=True)
    with torch.no_grad():
        found = ExportedPolicy(agent)(torch.from_numpy(observations)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found).max() <= 1.0
    assert found.std() > 1e-4


def test_an_agent_that_nobody_can_export_is_not_exported_as_another() -> None:
    stranger: Any = SimpleNamespace(policy=make("sac").policy)
    with pytest.raises(TypeError, match="no network to export is known of SimpleNamespace"):
        ExportedPolicy(stranger)
    choosing = load_experiment("qube_swingup", ["agent=dqn", "action.bins=3"])
    contract = BatchEnv(choosing, 1).contract
    with pytest.raises(TypeError, match="no network to export is known of SimpleNamespace"):
        ExportedChooser(stranger, contract)


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_normalizer_changes_what_the_policy_sees(name: str) -> None:
    agent = make(name)
    observations = some_observations(agent)
    before, _ = agent.predict(observations, deterministic=True)
    find_normalizer(agent).update(10.0 + observations)
    after, _ = agent.predict(observations, deterministic=True)
    shifted, _ = agent.predict(observations + 10.0, deterministic=True)
    assert not np.allclose(before, after, atol=1e-3)
    # Standardised observations are the same numbers wherever their mean lies.
    find_normalizer(agent).load_state_dict(Normalizer(observations.shape[1]).state_dict())
    find_normalizer(agent).update(observations)
    np.testing.assert_allclose(shifted, agent.predict(observations, deterministic=True)[0], atol=1e-4)


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_seed_decides_what_is_learned(name: str) -> None:
    learned = []
    for seed in (0, 0, 1):
        agent = make(name, seed=seed)
        agent.learn(256)
        learned.append(parameters(agent))
    assert torch.equal(learned[0], learned[1])
    assert not torch.equal(learned[0], learned[2])


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_learning_rate_falls_to_its_share(name: str) -> None:
    agent = make(name, f"{name}.learning_rate=0.01", f"{name}.final_learning_rate_share=0.25")
    assert agent.lr_schedule(1.0) == pytest.approx(0.01)
    assert agent.lr_schedule(0.5) == pytest.approx(0.00625)
    assert agent.lr_schedule(0.0) == pytest.approx(0.0025)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["agent=ppo", "ppo.batch_size=1"], "greater than or equal to 2"),
        (["agent=ppo", "ppo.simulations=1", "ppo.rollout_steps=1"], "at least one of them above 1"),
        (["agent=ppo", "ppo.initial_log_std=-1000"], "greater than or equal to -20"),
        (
            ["agent=recurrent_ppo", "recurrent_ppo={simulations: 3, rollout_steps: 8, batch_size: 23}"],
            "batch_size 23 leaves 1 of the rollout's 24 transitions alone",
        ),
    ],
)
def test_what_no_gradient_can_be_made_of_is_refused(overrides: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_experiment("qube_swingup", overrides)


@pytest.mark.filterwarnings("error")
def test_a_last_batch_may_be_smaller() -> None:
    make("ppo", "ppo.batch_size=100").learn(128)
