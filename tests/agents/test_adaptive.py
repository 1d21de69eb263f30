"""The policy with a latent: what its teacher, student and estimator see, and what each changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from simreal.agents.adaptive import AdaptivePolicy, Estimator
from simreal.agents.adaptive_ppo import AdaptivePPO, Histories, WithHistory
from simreal.agents.build import build_agent
from simreal.agents.config import RMAConfig
from simreal.agents.exported import exported
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
    "rma.recent_frames=2",
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
    vec_env = SimrealVecEnv(env)
    shown = np.asarray(vec_env.reset())
    assert shown.shape[1] == env.observation_size + len(env.randomizer.columns)
    seen = torch.as_tensor(WithHistory(vec_env, policy).show(shown))
    other = seen.clone()
    other[:, shown.shape[1] - 1] += 1.0
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


class Keep(BaseCallback):
    """Keeps the policy as it was before each rollout, and what each rollout was."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[dict[str, torch.Tensor]] = []
        self.shown: list[torch.Tensor] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        state = self.model.policy.state_dict()
        self.states.append({name: value.clone() for name, value in state.items()})

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer  # type: ignore[attr-defined]
        self.shown.append(torch.as_tensor(buffer.observations.copy()))


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_one_simulation_after_the_other_comes_to_act_on_estimates() -> None:
    agent, _ = make(16, "rma.teacher_share=0.25", "rma.handover_share=0.5")
    keep = Keep()
    agent.learn(8 * 128, callback=keep)  # eight rollouts
    acted_on_estimates = [shown[-1, :, -1] for shown in keep.shown]
    assert [int(each.sum()) for each in acted_on_estimates] == [0, 0, 0, 4, 8, 12, 16, 16]
    assert (acted_on_estimates[3][:4] == 1.0).all()
    policy = agent.policy
    end = {name: value.clone() for name, value in policy.state_dict().items()}
    learned = changed(keep.states[0], keep.states[1])
    assert {name.split(".")[0] for name in learned} >= {"estimator", "mlp_extractor", "action_net"}
    assert "mlp_extractor.encoder.0.weight" in learned
    assert {"estimator.latent.weight", "mlp_extractor.policy_net.0.weight"} <= changed(
        keep.states[7], end
    )


def test_ppo_never_moves_the_estimator_and_its_own_loss_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent, _ = make(16)

    def learned() -> set[str]:
        before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
        agent.learn(128)
        return changed(before, agent.policy.state_dict())

    with monkeypatch.context() as patch:
        patch.setattr(agent, "_fit_estimator", lambda: None)
        by_ppo = learned()
    assert by_ppo and not any(name.startswith("estimator") for name in by_ppo)
    monkeypatch.setattr(PPO, "train", lambda self: None)
    by_its_loss = learned()
    assert by_its_loss and all(name.startswith("estimator") for name in by_its_loss)


def test_the_estimator_learns_what_the_encoder_says_of_the_same_simulation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent, env = make(16)
    labels: list[torch.Tensor] = []
    monkeypatch.setattr(agent, "_fit_estimator", lambda: labels.append(agent._encoded()))
    monkeypatch.setattr(PPO, "train", lambda self: None)
    agent.learn(128)  # eight steps of episodes that have thirty: the worlds are those of the end
    shown = np.concatenate((np.zeros((16, env.observation_size)), env.privileged), axis=1)
    with torch.no_grad():
        expected = agent.policy.encode(torch.as_tensor(shown, dtype=torch.float32))
    assert expected.std(dim=0).min() > 0.0
    for step in labels[0].reshape(8, 16, -1):
        torch.testing.assert_close(step, expected)


def test_more_learning_begins_with_new_episodes() -> None:
    agent, _ = make(16)
    agent.learn(128)
    agent.learn(128, reset_num_timesteps=False)
    assert agent.num_timesteps == 256


def test_who_acts_on_an_estimate_sees_nothing_of_what_was_drawn_and_the_others_nothing_of_it() -> None:
    agent, env = make(16, "rma.teacher_share=0.25", "rma.handover_share=0.5")
    keep = Keep()
    agent.learn(8 * 128, callback=keep)
    size, estimator = env.observation_size + env.privileged.shape[1], agent.policy.estimator
    recent = agent.policy.recent * estimator.frame_size
    assert keep.shown[4].shape[-1] == size + recent + estimator.latent.out_features + 1
    rows = keep.shown[4][-1]
    drawn, estimated = rows.clone(), rows.clone()
    drawn[:, env.observation_size : size] += 0.3
    estimated[:, size + recent : -1] += 0.3
    with torch.no_grad():
        first, of_drawn, of_estimate = (
            agent.policy.get_distribution(each).distribution.mean for each in (rows, drawn, estimated)
        )
    torch.testing.assert_close(first[:8], of_drawn[:8], rtol=0, atol=0)
    torch.testing.assert_close(first[8:], of_estimate[8:], rtol=0, atol=0)
    assert (first[:8] != of_estimate[:8]).all() and (first[8:] != of_drawn[8:]).all()


def test_estimates_of_training_are_those_of_the_file_that_leaves() -> None:
    agent, env = make(16)
    agent.learn(512)
    module, policy = exported(agent, env.contract), agent.policy
    assert isinstance(module, AdaptiveActor)
    vec_env = SimrealVecEnv(env)
    shown = WithHistory(vec_env, policy)
    shown.estimated = 16
    act, seen = Actor(module), shown.show(np.asarray(vec_env.reset()))
    for _ in range(40):
        with torch.no_grad():
            expected = policy.get_distribution(torch.as_tensor(seen)).distribution.mean.clamp(-1.0, 1.0)
        action = act(seen[:, : env.observation_size])
        np.testing.assert_allclose(action, expected.numpy(), atol=1e-5)
        seen, _, done, _ = shown.step(action)
        act.begin(np.flatnonzero(done))


def test_no_more_recent_frames_than_there_is_history() -> None:
    with pytest.raises(UserError, match="at most 12"):
        load_experiment("qube_swingup", [*SMALL, "rma.recent_frames=13"])


@pytest.mark.parametrize("shares", ["0.5, handover_share: 0.5", "0.9, handover_share: 0.2"])
def test_a_share_must_be_left_to_estimates(shares: str) -> None:
    with pytest.raises(UserError, match="must leave a share to estimates"):
        load_experiment("qube_swingup", [*SMALL[:1], f"rma={{teacher_share: {shares}}}"])


def test_estimates_may_act_from_the_beginning_or_all_at_once() -> None:
    assert RMAConfig(teacher_share=0.0, handover_share=0.0).estimated_share(0.0) == 1.0
    at_once = RMAConfig(teacher_share=0.5, handover_share=0.0)
    assert [at_once.estimated_share(done) for done in (0.0, 0.49, 0.5, 1.0)] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("history", [8, 9, 12, 28, 50])
def test_an_estimator_takes_every_history_that_is_allowed(history: int) -> None:
    estimator = Estimator(5, RMAConfig(history=history, latent=3))
    assert estimator(torch.zeros(2, history, 5)).shape == (2, 3)


def test_no_estimate_of_a_robot_beyond_the_ranges_is_further_out_than_a_latent_can_be() -> None:
    agent, _ = make()
    frames = 1e3 * torch.randn(64, agent.policy.estimator.steps, agent.policy.estimator.frame_size)
    drawn = 1e3 * torch.randn(64, int(agent.observation_space.shape[0]))  # type: ignore[index]
    with torch.no_grad():
        for latent in (agent.policy.estimator(frames), agent.policy.encode(drawn)):
            assert latent.std() > 0.0 and latent.abs().max() <= 1.0


def test_histories_for_learning_are_those_that_acted() -> None:
    """Over rollouts and ends of episodes, against a plain recording of each episode."""
    count, history, size = 3, 4, 2
    histories = Histories(count, history, size)
    rng = np.random.default_rng(0)
    past: list[list[torch.Tensor]] = [[] for _ in range(count)]
    for _ in range(4):
        acted = []
        for _ in range(5):
            acted.append(histories.newest())
            for row in range(count):
                known = torch.stack([torch.zeros(size)] * history + past[row])[-history:]
                torch.testing.assert_close(acted[-1][row], known, rtol=0, atol=0)
            frame = torch.as_tensor(rng.standard_normal((count, size)), dtype=torch.float32)
            ended = torch.as_tensor(rng.uniform(size=count) < 0.2)
            histories.add(frame, ended)
            for row in range(count):
                past[row] = [] if ended[row] else [*past[row], frame[row]]
        frames, ages = histories.close()
        picked = histories.pick(frames, ages, torch.arange(5 * count))
        torch.testing.assert_close(picked, torch.cat(acted), rtol=0, atol=0)


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
