"""Encoders of images that policies begin with, keep, and share with an alignment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simreal.adapt.alignment import AlignDuringTraining, AlignmentConfig
from simreal.agents.build import build_agent
from simreal.agents.images import acting_encoders, encoder_of
from simreal.agents.imitation import ImitationPPO
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.run import Run
from simreal.teacher import find_teacher
from simreal.train import load_agent, start_run, train
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)

SEES = "cameras=[{name: overview, width: 16, height: 16, rate: 50}]"
OF_PPO = [SEES, "ppo.simulations=4", "ppo.rollout_steps=8", "ppo.batch_size=16", "episode_length=0.3"]
OF_DQN = [
    SEES,
    "agent=dqn",
    "episode_length=0.3",
    "dqn.simulations=4",
    "dqn.learning_starts=8",
    "dqn.gradient_steps=1",
    "dqn.batch_size=8",
    "dqn.replay_size=200",
    "dqn.hidden_layers=[8]",
]

OF_PUPIL = [
    "ppo.simulations=8",
    "ppo.rollout_steps=8",
    "ppo.batch_size=16",
    "ppo.image_shift=0",
    "ppo.final_learning_rate_share=1.0",
    "teacher.updates=6",
    "episode_length=0.4",
]


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a PPO that has learnt a little."""
    run = start_run(load_experiment("qube_swingup", OF_PPO), 3, tmp_path_factory.mktemp("donor") / "run")
    train(run, total_steps=64)
    return run.path


def weights(encoder: torch.nn.Module) -> list[torch.Tensor]:
    return [each.clone() for each in encoder.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("frozen", [True, False])
def test_an_agent_of_another_kind_begins_with_a_runs_encoder_and_keeps_it_if_frozen(
    frozen: bool, donor: Path, tmp_path: Path
) -> None:
    given = [f"dqn.image_encoder={donor}", f"dqn.image_encoder_frozen={frozen}"]
    run = start_run(load_experiment("qube_swingup_discrete", [*OF_DQN, *given]), 0, tmp_path / "run")
    train(run, total_steps=80)
    theirs = weights(acting_encoders(load_agent(Run.open(donor))[0].policy)["overview"])
    policy = load_agent(run)[0].policy
    learnt = weights(acting_encoders(policy)["overview"])
    assert same(learnt, theirs) == frozen
    env = SimrealVecEnv(BatchEnv(run.experiment(), 4, 0, threads=1))
    before: Any = build_agent(run.experiment().agent_config, env, 0).policy
    assert not same(weights(policy.q_net.advantage), weights(before.q_net.advantage))


def test_what_does_not_fit_is_refused(donor: Path, tmp_path: Path) -> None:
    given = f"ppo.image_encoder={donor}"
    stacked = "cameras=[{name: overview, width: 16, height: 16, rate: 50, stack: 2}]"
    wide = load_experiment("qube_swingup", [*OF_PPO[1:], stacked, given])
    with pytest.raises(UserError, match="camera overview has another size, kind, stack"):
        train(start_run(wide, 0, tmp_path / "wide"))
    lost = load_experiment("qube_swingup", [*OF_PPO, "ppo.image_encoder=nowhere"])
    with pytest.raises(UserError, match="nowhere"):
        train(start_run(lost, 0, tmp_path / "lost"))
    with pytest.raises(UserError, match="as those of which run"):
        load_experiment("qube_swingup", [*OF_PPO, "ppo.image_encoder_frozen=true"])
    with pytest.raises(UserError, match="sees nothing: this experiment has no cameras"):
        load_experiment("qube_swingup", [given])


@pytest.mark.parametrize("agent", ["ppo", pytest.param("dqn", marks=pytest.mark.long)])
def test_alignment_and_policy_shape_one_encoder(agent: str) -> None:
    """Real images are here simulated ones, darker and in other colours."""
    overrides, discrete = (OF_PPO, "") if agent == "ppo" else (OF_DQN, "_discrete")
    experiment = load_experiment(f"qube_swingup{discrete}", overrides)
    apart = []
    for aligns in (False, True):
        env = BatchEnv(experiment, 4, 0, threads=1)
        made = build_agent(experiment.agent_config, SimrealVecEnv(env), 0)
        simulated = []
        for seed in range(8):
            env.reset(seed)
            simulated.append(env.images["overview"].copy())
        shown = np.concatenate(simulated)
        real = (0.5 * shown[:, ::-1]).astype(np.uint8)
        config = AlignmentConfig(loss="coral", weight=30.0, updates=8, batch_size=16, learning_rate=3e-3)
        callback = AlignDuringTraining(real, config, camera="overview")
        made.learn(96, callback=callback if aligns else None)
        encoder = encoder_of(made.policy, "overview").eval()
        with torch.no_grad():
            pair = [encoder(torch.from_numpy(each)).mean(dim=0) for each in (shown, real)]
        apart.append(float((pair[0] - pair[1]).square().mean()))
    assert apart[1] < 0.7 * apart[0]


def test_a_pupil_aligns_in_each_update_of_its_imitation_as_much_as_the_weight_says() -> None:
    """Two rollouts with six updates each: the few steps between rollouts alone would not be seen."""
    experiment = load_experiment("so101_reach_pixels", OF_PUPIL)
    apart = []
    for weight in (1e-6, 100.0):
        env = BatchEnv(experiment, 8, 0, threads=1)
        made = build_agent(experiment.agent_config, SimrealVecEnv(env), 0, teacher=experiment.teacher)
        assert isinstance(made, ImitationPPO)
        made.teach = find_teacher("so101_reach", env)
        env.reset(1)
        shown = env.images["front"].copy()
        real = np.concatenate([255 - shown] * 4)
        config = AlignmentConfig(loss="coral", weight=weight, batch_size=32)
        callback = AlignDuringTraining(real, config, camera="front")
        made.learn(128, callback=callback)
        assert made.beside is None
        encoder = encoder_of(made.policy, "front").eval()
        with torch.no_grad():
            pair = [encoder(torch.from_numpy(each)).mean(dim=0) for each in (shown, real)]
        apart.append(float((pair[0] - pair[1]).square().mean()))
    assert apart[1] < 0.5 * apart[0]


def test_what_is_frozen_or_not_there_is_not_aligned(donor: Path) -> None:
    frozen = [f"ppo.image_encoder={donor}", "ppo.image_encoder_frozen=true"]
    experiment = load_experiment("qube_swingup", [*OF_PPO, *frozen])
    agent = build_agent(experiment.agent_config, SimrealVecEnv(BatchEnv(experiment, 4, 0, threads=1)), 0)
    real = np.zeros((300, 3, 16, 16), np.uint8)
    with pytest.raises(UserError, match="frozen encoder cannot be aligned"):
        agent.learn(32, callback=AlignDuringTraining(real, camera="overview"))
    with pytest.raises(UserError, match=r"no camera 'overveiw'.*overview"):
        agent.learn(32, callback=AlignDuringTraining(real, camera="overveiw"))
