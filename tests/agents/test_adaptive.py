"""The policy with a latent: what its teacher, student and estimator see, and what each changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from simreal.agents.adaptive import AdaptivePolicy, Estimator
from simreal.agents.adaptive_ppo import AdaptivePPO, Histories, WithEstimates
from simreal.agents.build import build_agent
from simreal.agents.config import RMAConfig
from simreal.agents.exported import exported, find_normalizer
from simreal.agents.memory import Actor, AdaptiveActor
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)

SMALL = (
    "adaptation=rma",
    "ppo.hidden_layers=[8]",
    "rma.latent=3",
    "rma.encoder_layers=[8]",
    "rma.history=12",
    "rma.channels=4",
    "episode_length=0.3",
    "ppo.rollout_steps=8",
)


def make(count: int = 16, *more: str) -> tuple[AdaptivePPO, BatchEnv]:
    experiment = load_experiment("qube_swingup", [*SMALL, *more])
    env = BatchEnv(experiment, count, 0, threads=1)
    agent = build_agent(experiment.agent_config, SimrealVecEnv(env), 0, rma=experiment.rma)
    assert isinstance(agent, AdaptivePPO)
    return agent, env


def test_the_teachers_action_follows_from_the_drawn_parameters() -> None:
    agent, env = make()
    policy = agent.policy
    assert isinstance(policy, AdaptivePolicy)
    seen = torch.as_tensor(np.concatenate((env.reset(seed=0), env.privileged), axis=1))
    assert seen.shape[1] == env.observation_size + len(env.randomizer.columns)
    other = seen.clone()
    other[:, -1] += 1.0
    with torch.no_grad():
        means = [policy.get_distribution(each).distribution.mean for each in (seen, other)]
    assert (means[0] != means[1]).all()


def test_parameters_stand_last_and_between_their_ranges_however_the_critic_names_them() -> None:
    _, plain = make()
    _, named = make(16, "critic=[parameters]")
    for env in (plain, named):
        env.reset(seed=3)
        assert env.privileged.shape == (16, len(env.randomizer.columns))
        assert np.abs(env.privileged).max() <= 1.0 + 1e-6
    np.testing.assert_array_equal(plain.privileged, named.privileged)


class Watch(BaseCallback):
    """Keeps what each part of a training was, and changed."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def _on_step(self) -> bool:
        self.parts.append(self.model.part)  # type: ignore[attr-defined]
        return True


def test_the_first_part_trains_all_but_the_estimator_and_the_second_nothing_else() -> None:
    agent, _ = make(16, "rma.student_share=0.5", "rma.policy_share=0")
    policy, watch = agent.policy, Watch()

    def weights() -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in policy.state_dict().items()}

    start = weights()
    agent.learn(256, callback=watch)  # two rollouts of 128 steps, one for each part
    assert watch.parts == ["teacher"] * 8 + ["student"] * 8
    end = weights()
    agent.learn(128)  # anew: a teacher's alone
    changed = {name for name in start if not torch.equal(start[name], end[name])}
    estimator = {name for name in start if name.startswith("estimator.")}
    assert estimator - {"estimator.seen"} <= changed
    assert "mlp_extractor.encoder.0.weight" in changed
    assert int(end["estimator.seen"]) == 128
    teacher, _ = make(16, "rma.student_share=0.5", "rma.policy_share=0")
    teacher._total_timesteps = 10**9
    teacher.learn(128)
    same = teacher.policy.state_dict()
    for name in set(start) - estimator:
        torch.testing.assert_close(end[name], same[name], rtol=0, atol=0)


def test_in_the_last_part_the_policy_learns_on_estimates_and_nothing_else_learns() -> None:
    agent, env = make(16, "rma.student_share=0.25", "rma.policy_share=0.5")
    policy, watch, states = agent.policy, Watch(), []

    class Keep(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            states.append({name: value.clone() for name, value in policy.state_dict().items()})

    agent.learn(512, callback=[watch, Keep()])  # four rollouts
    assert watch.parts == ["teacher"] * 8 + ["student"] * 8 + ["policy"] * 16
    before, end = states[2], policy.state_dict()
    changed = {name for name in end if not torch.equal(before[name], end[name])}
    assert any(name.startswith("mlp_extractor.policy_net") for name in changed)
    assert any(name.startswith("mlp_extractor.value_net") for name in changed)
    assert not [name for name in changed if name.startswith(("estimator", "mlp_extractor.encoder"))]
    # What it learned on is what the estimator said of the histories then, whatever was drawn.
    buffer = agent.rollout_buffer
    size = env.observation_size + env.privileged.shape[1]
    assert buffer.observations.shape[-1] == size + policy.estimator.latent.out_features
    rows = torch.as_tensor(buffer.observations).flatten(0, -2)[-16:]
    drawn = rows.clone()
    drawn[:, env.observation_size : size] += 0.3
    estimated = rows.clone()
    estimated[:, size:] += 0.3
    with torch.no_grad():
        first, same, other = (
            policy.get_distribution(each).distribution.mean for each in (rows, drawn, estimated)
        )
    torch.testing.assert_close(first, same, rtol=0, atol=0)
    assert (first != other).all()


def test_estimates_of_the_last_part_are_those_of_the_file_that_leaves() -> None:
    agent, env = make(16, "rma.student_share=0.25", "rma.policy_share=0.5")
    agent.learn(512)
    module, policy = exported(agent, env.contract), agent.policy
    assert isinstance(module, AdaptiveActor)
    shown = WithEstimates(SimrealVecEnv(env), policy, Histories(16, 12, policy.estimator.frame_size))
    act, seen = Actor(module), shown.show(SimrealVecEnv(env).reset())
    for _ in range(40):
        with torch.no_grad():
            expected = policy.get_distribution(torch.as_tensor(seen)).distribution.mean.clamp(-1.0, 1.0)
        action = act(seen[:, : env.observation_size])
        np.testing.assert_allclose(action, expected.numpy(), atol=1e-5)
        seen, _, done, _ = shown.step(action)
        act.begin(np.flatnonzero(done))


@pytest.mark.parametrize("shares", ["0.5, policy_share: 0.5", "0.9, policy_share: 0.2"])
def test_a_teacher_must_be_left_a_share(shares: str) -> None:
    with pytest.raises(UserError, match="must leave a share to the teacher"):
        load_experiment("qube_swingup", [*SMALL[:1], f"rma={{student_share: {shares}}}"])


def test_statistics_of_observations_stand_still_while_the_estimator_learns() -> None:
    agent, _ = make(16, "rma.student_share=0.5", "rma.policy_share=0")
    agent.learn(256)
    normalizer = find_normalizer(agent)
    assert normalizer.frozen
    before = normalizer.mean.clone()
    normalizer.update(np.ones((4, len(before))))
    torch.testing.assert_close(normalizer.mean, before, rtol=0, atol=0)


@pytest.mark.parametrize("history", [8, 9, 12, 28, 50])
def test_an_estimator_takes_every_history_that_is_allowed(history: int) -> None:
    estimator = Estimator(5, RMAConfig(history=history, latent=3))
    assert estimator(torch.zeros(2, history, 5)).shape == (2, 3)


def test_histories_for_learning_are_those_that_acted() -> None:
    """Over rollouts and ends of episodes, against a plain recording of each episode."""
    count, history, size = 3, 4, 2
    histories = Histories(count, history, size)
    rng = np.random.default_rng(0)
    past: list[list[torch.Tensor]] = [[] for _ in range(count)]
    for _ in range(4):
        acted, labels = [], []
        for _ in range(5):
            acted.append(histories.newest())
            for row in range(count):
                known = torch.stack([torch.zeros(size)] * history + past[row])[-history:]
                torch.testing.assert_close(acted[-1][row], known, rtol=0, atol=0)
            frame = torch.as_tensor(rng.standard_normal((count, size)), dtype=torch.float32)
            labels.append(torch.as_tensor(rng.standard_normal((count, 1))))
            ended = torch.as_tensor(rng.uniform(size=count) < 0.2)
            histories.add(frame, labels[-1], ended)
            for row in range(count):
                past[row] = [] if ended[row] else [*past[row], frame[row]]
        frames, ages = histories.close()
        picked, label = histories.pick(frames, ages, torch.arange(5 * count))
        torch.testing.assert_close(picked, torch.cat(acted), rtol=0, atol=0)
        torch.testing.assert_close(label, torch.cat(labels), rtol=0, atol=0)


def test_the_student_acts_in_evaluation_as_it_did_in_training() -> None:
    agent, env = make(16, "rma.student_share=0.5", "rma.policy_share=0")
    agent.learn(256)
    module = exported(agent, env.contract)
    assert isinstance(module, AdaptiveActor)
    act, policy = Actor(module), agent.policy
    histories = Histories(16, 12, policy.estimator.frame_size)
    observation = env.reset(seed=5)
    for _ in range(40):
        whole = torch.as_tensor(np.concatenate((observation, env.privileged), axis=1))
        with torch.no_grad():
            seen = policy.extract_features(whole)[:, : env.observation_size]
            latent = policy.estimator(histories.newest())
            expected = policy.action_net(policy.mlp_extractor.act(seen, latent)).clamp(-1.0, 1.0)
        action = act(observation)
        np.testing.assert_allclose(action, expected.numpy(), atol=1e-6)
        step = env.step(action)
        ended = step.terminated | step.truncated
        histories.add(torch.cat((seen, expected), dim=1), latent, torch.as_tensor(ended))
        act.begin(np.flatnonzero(ended))
        observation = step.observation


def test_a_teacher_alone_is_not_exported() -> None:
    agent, env = make()
    with pytest.raises(UserError, match="estimator"):
        exported(agent, env.contract)


def test_an_estimator_finds_what_history_shows() -> None:
    """The latent of a world whose parameter is the size of what is seen, which one frame cannot show."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    estimator = Estimator(2, RMAConfig(history=16, latent=1, channels=8))
    optimizer = torch.optim.Adam(estimator.parameters(), 3e-3)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        size = rng.uniform(0.2, 1.0, (128, 1, 1))
        values = size * rng.standard_normal((128, 16, 2))
        return torch.as_tensor(values, dtype=torch.float32), torch.as_tensor(
            size[:, 0], dtype=torch.float32
        )

    for _ in range(120):
        history, size = batch()
        loss = ((estimator(history) - size) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    history, size = batch()
    with torch.no_grad():
        unexplained = ((estimator(history) - size) ** 2).mean() / size.var()
    assert unexplained < 0.5


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (("agent=sac",), "needs agent: ppo"),
        (("action.bins=3",), "actions that are numbers"),
        (("ppo.symmetric=true",), "no mirror image"),
    ],
)
def test_what_cannot_adapt_is_refused(overrides: tuple[str, ...], what: str) -> None:
    with pytest.raises(UserError, match=what):
        load_experiment("qube_swingup", ["adaptation=rma", *overrides])


def test_without_randomization_there_is_nothing_to_adapt_to(tmp_path: Path) -> None:
    plain = load_experiment("qube_swingup").model_dump(mode="json") | {"randomization": {}}
    with pytest.raises(ValueError, match="nothing is randomized"):
        ExperimentConfig.model_validate(plain | {"adaptation": "rma"})
