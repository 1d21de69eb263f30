import gymnasium
import numpy as np
import pytest

from simreal.errors import UserError
from simreal.experiment import SuiteExperiment, load_any_experiment, load_experiment
from simreal.lint import lint_experiment
from simreal.make_environment import make_environment
from simreal.suite.env import SuiteEnv
from simreal.suite.simulation import Simulation

SPREAD = "{distribution: {type: uniform, low: 0.5, high: 2.0}}"


def experiment(task: str, *overrides: str) -> SuiteExperiment:
    found = load_any_experiment(f"dm_control/{task}", overrides)
    assert isinstance(found, SuiteExperiment)
    return found


def actions(env: SuiteEnv, steps: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1.0, 1.0, (steps, env.count, env.action_size))


@pytest.mark.parametrize("task", ["reacher-easy", "lqr-lqr_2_1"])
def test_a_recorded_episode_replays_alone_bit_for_bit(task: str) -> None:
    """Batched, and one by one in processes against one in this process."""
    config = experiment(task, f"randomization.mass={SPREAD}")
    env = SuiteEnv(config, 3, seed=5)
    first = env.reset()
    assert env.is_batched == (task == "reacher-easy")
    given = actions(env, 20)
    seen = [env.step(action) for action in given]
    seed, draw = env._random.seeds[1:2].copy(), env._draws[1:2].copy()
    assert len(set(env._draws[:, 0])) == 3
    env.close()
    alone = SuiteEnv(config, 1, seed=99, threads=1)
    assert np.array_equal(alone.begin(np.array([0]), seed, draw)[0], first[1])
    for action, step in zip(given, seen, strict=True):
        again = alone.step(action[1:2])
        assert np.array_equal(again.observation[0], step.observation[1])
        assert again.reward[0] == step.reward[1]


def test_the_same_seed_begins_the_same_episodes() -> None:
    env = SuiteEnv(experiment("cheetah-run", f"randomization.mass={SPREAD}"), 3)
    first, drawn = env.reset(seed=1).copy(), env._draws.copy()
    assert not np.array_equal(env.reset(), first)
    assert np.array_equal(env.reset(seed=1), first) and np.array_equal(env._draws, drawn)


@pytest.mark.parametrize("task", ["cartpole-swingup", "lqr-lqr_2_1"])
def test_a_drawn_mass_moves_the_simulation_otherwise(task: str) -> None:
    config = experiment(task, f"randomization.mass={SPREAD}")
    env = SuiteEnv(config, 2)
    columns = len(env.randomizer.columns)
    seeds = np.array([7, 7], dtype=np.uint64)
    env.begin(np.arange(2), seeds, np.array([[1.0] * columns, [2.0] * columns]))
    for _ in range(10):
        step = env.step(np.full((2, env.action_size), 0.5))
    assert not np.allclose(step.observation[0], step.observation[1])
    plain = Simulation(config.task)
    plain.begin(7, {})
    for _ in range(10):
        outcome = plain.step(np.full(env.action_size, 0.5))
    np.testing.assert_allclose(step.observation[0], outcome.observation, rtol=1e-5)
    env.close()


@pytest.mark.parametrize("task", ["pendulum-swingup", "lqr-lqr_2_1"])
def test_episodes_are_truncated_after_a_thousand_steps_and_followed_by_the_next(task: str) -> None:
    env = SuiteEnv(experiment(task), 1, threads=1)
    env.reset(seed=0)
    total, action = 0.0, np.zeros((1, 1))
    for number in range(1000):
        step = env.step(action)
        total += step.reward[0]
        assert bool(step.truncated[0]) == (number == 999) and not step.terminated[0]
    (episode,) = step.episodes
    assert (episode.length, episode.ended_by) == (1000, "time_limit")
    assert episode.episode_return == pytest.approx(total)
    assert env.episodes_begun == 2 and not np.array_equal(step.final_observation[0], step.observation[0])


def test_an_action_spans_the_bounds_of_the_task() -> None:
    env = SuiteEnv(experiment("quadruped-walk"), 1, threads=1)
    spec = Simulation("dm_control/quadruped-walk").environment.action_spec()
    scale, offset = np.array(env.contract.action.scale), np.array(env.contract.action.offset)
    np.testing.assert_allclose(offset - scale, spec.minimum)
    np.testing.assert_allclose(offset + scale, spec.maximum)
    env.reset()
    env.step(np.full((1, env.action_size), 5.0))
    np.testing.assert_allclose(env._stepped._batch.ctrl[0], spec.maximum)  # type: ignore[attr-defined]


def test_success_asks_for_reward_in_the_second_half() -> None:
    """A pole that is balanced from the start earns its reward all along."""
    env = SuiteEnv(experiment("pendulum-swingup"), 2, threads=1)
    env.begin(np.arange(2), np.array([1, 2], dtype=np.uint64))
    env._stepped._batch.bind("qpos")[:, 0] = 0.0, np.pi  # type: ignore[attr-defined]
    env._stepped._batch.bind("qvel")[:] = 0.0  # type: ignore[attr-defined]
    for _ in range(1000):
        step = env.step(np.zeros((2, 1)))
    assert [episode.success for episode in step.episodes] == [True, False]
    assert [episode.goal_share for episode in step.episodes] == [1.0, 0.0]


def test_a_composer_task_is_randomized_by_the_same_configuration() -> None:
    config = experiment("manipulation-reach_site_features", f"randomization.mass={SPREAD}")
    env = SuiteEnv(config, 1)
    assert not env.is_batched and env.not_batched is not None
    columns = len(env.randomizer.columns)
    seeds = np.array([3], dtype=np.uint64)
    seen = []
    for scale in (1.0, 2.0, 1.0):
        first = env.begin(np.array([0]), seeds, np.full((1, columns), scale)).copy()
        model = env._stepped._simulations[0].model  # type: ignore[attr-defined]
        for _ in range(3):
            step = env.step(np.full((1, env.action_size), 0.5))
        moves = model.body_weldid != 0  # the mass of what is fixed to the world is no matter
        seen.append((float(model.body_mass[moves].sum()), first, step.observation[0]))
    assert seen[1][0] == pytest.approx(2.0 * seen[0][0])
    assert not np.allclose(seen[0][2], seen[1][2])
    assert seen[0][0] == seen[2][0] and np.array_equal(seen[0][2], seen[2][2])


def test_an_experiment_of_dm_control_brings_no_robot() -> None:
    with pytest.raises(UserError, match="robot"):
        experiment("cheetah-run", "robot=qube")
    with pytest.raises(UserError, match="this is for robots"):
        load_experiment("dm_control/cheetah-run")
    with pytest.raises(UserError, match="cheetah-run"):
        make_environment(experiment("cheetah-rum"), 1)
    assert lint_experiment("dm_control/cheetah-run") == []
    assert lint_experiment("dm_control/cheetah-run", ["ppo.epoch=1"])[0].check == "unreadable"


def test_gymnasium_makes_a_task() -> None:
    env = gymnasium.make("simreal/dm_control", overrides=("task=dm_control/reacher-hard",))
    observation, _ = env.reset(seed=0)
    assert observation.shape == (6,) and env.action_space.shape == (2,)
    env.step(env.action_space.sample())
