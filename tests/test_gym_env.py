"""The experiments as gymnasium environments, by gymnasium's and stable-baselines3's own checks."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as stable_baselines_check

import simreal  # noqa: F401  (registers)
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment

NAME = "simreal/qube_swingup"
SHORT = ("episode_length=0.2", "initial_states={hanging: 1}")
LENGTH = 20


def test_gymnasium_finds_nothing_to_say_but_that_the_space_has_no_bounds() -> None:
    env = gymnasium.make(NAME)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gymnasium_check(env.unwrapped)
    messages = [str(each.message) for each in caught]
    assert all("infinity" in message for message in messages), messages


def test_stable_baselines3_finds_nothing_to_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stable_baselines_check(gymnasium.make(NAME).unwrapped)


@pytest.mark.parametrize(
    "program",
    [
        "import gymnasium, simreal; env = gymnasium.make('simreal/qube_swingup')",
        "import simreal, gymnasium; env = gymnasium.make('simreal/qube_swingup')",
        "import gymnasium; env = gymnasium.make('simreal:simreal/qube_swingup')",
        "import simreal.contract; from gymnasium import make_vec as m; env = m('simreal/qube_swingup')",
    ],
)
def test_a_fresh_process_makes_it_by_name(program: str) -> None:
    program += "; print(env.reset(seed=0)[0].shape)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "7" in done.stdout


def test_importing_simreal_imports_no_gymnasium() -> None:
    program = "import sys, simreal, simreal.contract; sys.exit('gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.long
def test_every_shipped_experiment_can_be_made() -> None:
    names = [name for name in gymnasium.registry if name.startswith("simreal/")]
    assert NAME in names
    for name in names:
        env = gymnasium.make(name)
        observation, _ = env.reset(seed=0)
        assert env.observation_space.contains(observation)


def test_it_is_the_batched_environment_with_one_simulation() -> None:
    env = gymnasium.make(NAME, overrides=SHORT)
    batch = BatchEnv(load_experiment("qube_swingup", SHORT), 1)
    observation, _ = env.reset(seed=3)
    np.testing.assert_array_equal(observation, batch.reset(3)[0])
    for number in range(1, LENGTH + 1):
        action = env.action_space.sample()
        observation, reward, terminated, truncated, info = env.step(action)
        expected = batch.step(action[None])
        assert reward == expected.reward[0]
        assert (terminated, truncated) == (False, number == LENGTH)
    np.testing.assert_array_equal(observation, expected.final_observation[0])
    assert info["ended_by"] == "time_limit"
    assert info["draw"] == expected.episodes[0].draw
    assert info["is_success"] is False


def test_a_reset_without_a_seed_begins_another_episode_and_a_seed_the_same() -> None:
    env = gymnasium.make(NAME)
    first, _ = env.reset(seed=3)
    assert not np.array_equal(env.reset()[0], first)
    np.testing.assert_array_equal(env.reset(seed=3)[0], first)
    assert not np.array_equal(env.reset(seed=4)[0], first)


def test_each_episode_takes_one_number() -> None:
    """So that the episodes are those of `simreal evaluate`, one after the other."""
    env = gymnasium.make(NAME, overrides=SHORT)
    batch = BatchEnv(load_experiment("qube_swingup", SHORT), 1)
    expected, found = [batch.reset(3)[0]], [env.reset(seed=3)[0]]
    for _ in range(3):
        for _ in range(LENGTH):
            env.step(np.zeros(1, np.float32))
            step = batch.step(np.zeros((1, 1)))
        expected.append(step.observation[0])
        found.append(env.reset()[0])
    np.testing.assert_array_equal(found, expected)
    begun_and_left, _ = env.reset()
    assert not np.array_equal(begun_and_left, found[-1])


def test_pins_and_overrides_reach_the_simulation() -> None:
    env = gymnasium.make(NAME, overrides=SHORT, pins={"mass[arm]": 1.7})
    env.reset(seed=0)
    truncated = False
    while not truncated:
        *_, truncated, info = env.step(env.action_space.sample())
    assert info["draw"]["mass[arm]"] == 1.7
    with pytest.raises(UserError, match="did you mean"):
        gymnasium.make(NAME, overrides=("episode_lenght=1",))


def test_many_simulations_end_and_go_on_in_the_same_step() -> None:
    env = gymnasium.make_vec(NAME, num_envs=5, overrides=SHORT)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    first, _ = env.reset(seed=2)
    assert env.observation_space.contains(first)
    actions = env.action_space.sample()
    for _ in range(LENGTH):
        observation, reward, terminated, truncated, info = env.step(actions)
        assert env.observation_space.contains(observation)
    assert reward.shape == terminated.shape == (5,)
    assert truncated.all()
    assert info["_final_obs"].all()
    assert (info["final_info"]["ended_by"] == "time_limit").all()
    for row in range(5):
        assert env.single_observation_space.contains(info["final_obs"][row])
        assert not np.array_equal(info["final_obs"][row], observation[row])
    *_, info = env.step(actions)
    assert info == {}


def test_many_simulations_can_be_wrapped_by_gymnasium() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        gymnasium.make_vec(NAME, num_envs=3, overrides=SHORT)
    )
    env.reset(seed=0)
    for _ in range(LENGTH):
        *_, info = env.step(env.action_space.sample())
    assert info["episode"]["l"].tolist() == [LENGTH] * 3
    env.close()


@pytest.mark.parametrize("seed", [4, [4, 5, 6]])
def test_the_vector_begins_with_the_seed(seed: int | list[int]) -> None:
    env = gymnasium.make_vec(NAME, num_envs=3)
    batch = BatchEnv(load_experiment("qube_swingup"), 3)
    np.testing.assert_array_equal(env.reset(seed=seed)[0], batch.reset(4))


def test_unseeded_environments_are_different_robots() -> None:
    envs = [gymnasium.make("simreal/qube_swingup") for _ in range(3)]
    assert len({env.reset()[0].tobytes() for env in envs}) == 3


def test_asking_whether_gymnasium_is_there_leaves_the_registration_pending() -> None:
    code = (
        "import simreal, importlib.util; importlib.util.find_spec('gymnasium'); import gymnasium; "
        "assert 'simreal/qube_swingup' in gymnasium.registry"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
