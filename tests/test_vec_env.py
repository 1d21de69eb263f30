"""The batched environment as stable-baselines3 sees it."""

from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv

LENGTH = 20


def make(count: int, *overrides: str) -> SimrealVecEnv:
    short = ["episode_length=0.2", "initial_states={hanging: 1}", *overrides]
    return SimrealVecEnv(BatchEnv(load_experiment("qube_swingup", short), count, threads=1))


def test_steps_have_the_shapes_and_types_that_the_library_promises() -> None:
    env = make(3)
    observation = env.reset()
    assert isinstance(observation, np.ndarray)
    assert (env.num_envs, observation.shape) == (3, (3, *env.observation_space.shape))
    observation, reward, done, infos = env.step(np.stack([env.action_space.sample() for _ in range(3)]))
    assert observation.dtype == reward.dtype == np.float32
    assert reward.shape == done.shape == (3,)
    assert done.dtype == bool
    assert all(env.observation_space.contains(row) for row in observation)
    assert len(infos) == 3


def test_an_ended_episode_gives_its_last_observation_and_whether_time_ended_it() -> None:
    env, longer = make(4), make(4, "episode_length=1.0")
    for each in (env, longer):
        each.seed(5)
        each.reset()
    for _ in range(LENGTH):
        observation, _, done, infos = env.step(np.zeros((4, 1), np.float32))
        expected, *_ = longer.step(np.zeros((4, 1), np.float32))
    assert done.all()
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        np.testing.assert_array_equal(info["terminal_observation"], expected[row])
        assert not np.array_equal(info["terminal_observation"], observation[row])
        assert info["episode"]["l"] == LENGTH
    _, _, done, infos = env.step(np.zeros((4, 1), np.float32))
    assert infos == [{}] * 4


def test_an_early_end_is_not_truncated() -> None:
    env = make(2, "episode_length=5.0")
    env.reset()
    infos: list[dict[str, Any]] = [{}]
    while not any(infos):
        _, _, done, infos = env.step(np.ones((2, 1), np.float32))
    assert done.any()
    assert [info["TimeLimit.truncated"] for info in infos if info] == [False] * int(done.sum())


def test_the_seed_decides_the_episodes() -> None:
    first, second = make(3), make(3)
    assert first.seed(7) == [7, 7, 7]
    second.seed(7)
    observation = first.reset()
    np.testing.assert_array_equal(second.reset(), observation)
    assert not np.array_equal(first.reset(), observation)
    first.seed(7)
    np.testing.assert_array_equal(first.reset(), observation)


def test_finished_episodes_are_handed_over_once() -> None:
    env = make(2)
    env.reset()
    for _ in range(LENGTH):
        env.step(np.zeros((2, 1), np.float32))
    assert [episode.length for episode in env.take_finished()] == [LENGTH, LENGTH]
    assert env.take_finished() == []


def test_attributes_and_methods_answer_for_each_simulation() -> None:
    env = make(3)
    assert env.get_attr("batch") == [env.batch] * 3
    assert env.get_attr("render_mode", [0]) == [None]
    assert env.env_method("take_finished", indices=[1, 2]) == [[], []]
    assert env.env_is_wrapped(Monitor) == [False] * 3
    env.close()


def test_the_library_evaluates_a_policy_on_it_and_monitors_it() -> None:
    env = VecMonitor(make(4, "initial_states={anywhere: 1}"))
    agent = PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    agent.learn(64 * 4)
    returns, lengths = evaluate_policy(agent, env, 9, return_episode_rewards=True)
    counted = [(each["r"], each["l"]) for each in agent.ep_info_buffer]
    counted += zip(returns, lengths, strict=True)
    assert len(counted) > 9
    recorded = {(round(e.episode_return, 3), e.length) for e in env.venv.take_finished()}
    # What the library adds up from rewards and ends is what the episodes themselves record.
    for total, length in counted:
        assert any(abs(total - r) < 0.01 and length == n for r, n in recorded)


def test_wrappers_of_the_library_take_it() -> None:
    env = VecNormalize(make(4))
    observation = env.reset()
    for _ in range(LENGTH + 1):
        observation, *_ = env.step(np.zeros((4, 1), np.float32))
    assert np.isfinite(observation).all()
