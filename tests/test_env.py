"""The batched environment: episodes end, follow each other, are recorded and replay exactly."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.env import BatchEnv
from simreal.episode_random import episode_seed
from simreal.episodes import Episode, Step
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.observation import Float32Array
from simreal.physics.interface import Start
from simreal.state import FloatArray
from simreal.tasks import Motion, find_task

LENGTH = 40


def make(count: int, *overrides: str, seed: int = 0, pins: dict[str, float] | None = None) -> BatchEnv:
    experiment = load_experiment("qube_swingup", ["episode_length=0.4", *overrides])
    return BatchEnv(experiment, count, seed, pins, threads=2)


def random_actions(steps: int, count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (steps, count, 1))


def ended_rows(step: Step) -> list[int]:
    return np.flatnonzero(step.terminated | step.truncated).tolist()


def test_a_time_limit_truncates_with_the_observation_that_a_longer_episode_goes_on_from() -> None:
    start = "initial_states={hanging: 1}"
    short, long = make(6, start), make(6, start, "episode_length=1.0")
    np.testing.assert_array_equal(short.reset(3), long.reset(3))
    actions = 0.3 * random_actions(LENGTH, 6)
    for number, action in enumerate(actions, start=1):
        step, goes_on = short.step(action), long.step(action)
        assert not step.terminated.any()
        assert not goes_on.truncated.any()
        assert step.truncated.all() == (number == LENGTH)
    np.testing.assert_array_equal(step.final_observation, goes_on.observation)
    np.testing.assert_array_equal(step.reward, goes_on.reward)
    assert {episode.ended_by for episode in step.episodes} == {"time_limit"}
    assert {episode.length for episode in step.episodes} == {LENGTH}
    # What is observed now is already the start of another episode.
    assert not np.array_equal(step.observation, step.final_observation)
    assert (step.observation[:, -2:] == 0).all()


def test_an_end_for_good_is_no_truncation_even_at_the_time_limit() -> None:
    env = make(64)
    env.reset(1)
    both = 0
    for _ in range(3 * LENGTH):
        step = env.step(np.ones((64, 1)))
        assert not (step.terminated & step.truncated).any()
        for row, episode in zip(ended_rows(step), step.episodes, strict=True):
            assert step.terminated[row] == (episode.ended_by == "arm_beyond_limit")
            assert step.truncated[row] == (episode.ended_by == "time_limit")
            both |= 1 if step.terminated[row] else 2
    assert both == 3


def test_an_end_for_good_on_the_last_step_is_an_end_for_good() -> None:
    env = make(1, "episode_length=0.01", "randomization={}", "initial_states={hanging: 1}")
    env.reset()
    env.physics.reset(np.array([0]), Start(np.array([[2.05, 0.0]]), np.zeros((1, 2))), np.zeros((1, 1)))
    step = env.step(np.zeros((1, 1)))
    assert step.terminated.tolist() == [True]
    assert step.truncated.tolist() == [False]
    assert step.episodes[0].ended_by == "arm_beyond_limit"


def test_an_episode_records_what_happened_in_it() -> None:
    env = make(1, "initial_states={anywhere: 1}", "rewards={upright: 2.0}")
    task = find_task("qube_swingup")
    env.reset(11)
    for _ in range(5):
        rewards, held = [], []
        for number in range(1, LENGTH + 1):
            before = env.physics.joint_position.copy()
            step = env.step(np.zeros((1, 1)))
            rewards.append(float(step.reward[0]))
            trace = env.physics.position_trace[0, -1]
            assert not np.array_equal(before[0], trace)
            still = Motion(trace[None], np.zeros((1, 2)), np.zeros((1, 1)), np.zeros((1, 1)))
            assert step.reward[0] == 2.0 * task.rewards["upright"](still)[0]
            if number > LENGTH // 2:
                held.append(bool(task.goal(still)[0]))
            if step.episodes:
                break
        (episode,) = step.episodes
        assert episode.length == number
        assert episode.episode_return == pytest.approx(sum(rewards))
        assert episode.goal_share == pytest.approx(sum(held) / (LENGTH // 2))
        assert episode.success == (episode.goal_share >= task.success_share)


def test_a_pole_that_stands_is_a_success() -> None:
    env = make(1, "randomization={}", "episode_length=0.1")
    env.reset()
    env.physics.reset(np.array([0]), Start(np.array([[0.0, np.pi]]), np.zeros((1, 2))), np.zeros((1, 1)))
    for _ in range(10):
        step = env.step(np.zeros((1, 1)))
    assert (step.episodes[0].goal_share, step.episodes[0].success) == (1.0, True)


def test_episodes_are_numbered_and_their_seeds_follow_from_the_number() -> None:
    env = make(5, seed=4)
    env.reset()
    found = []
    for action in random_actions(4 * LENGTH, 5):
        found += env.step(action).episodes
    begun = [int(seed) for seed in episode_seed(4, np.arange(env.episodes_begun))]
    assert {episode.seed for episode in found} < set(begun)
    assert len({episode.seed for episode in found}) == len(found)
    assert {episode.seed for episode in found if episode in found[:5]} == set(begun[:5])


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 + 1])
def test_the_same_seed_gives_the_same_run_and_another_another(seed: int) -> None:
    actions = random_actions(LENGTH + 5, 3)

    def observations(env: BatchEnv, seed: int) -> Float32Array:
        first = env.reset(seed)
        return np.stack([first, *(env.step(action).observation for action in actions)])

    env = make(3, seed=99)
    expected = observations(env, seed)
    np.testing.assert_array_equal(observations(env, seed), expected)
    np.testing.assert_array_equal(observations(make(3, seed=seed), seed), expected)
    assert not np.array_equal(observations(env, seed + 1), expected)


@cache
def recorded() -> dict[int, tuple[Episode, list[NDArray[np.floating]]]]:
    """Row to its first episode and to what was seen in it, step by step."""
    env, actions = make(24, seed=8), random_actions(LENGTH, 24)
    traces: list[list[NDArray[np.floating]]] = [[row] for row in env.reset(17)]
    found = {}
    for action in actions:
        step = env.step(action)
        ended = ended_rows(step)
        for row in set(range(env.count)) - set(found):
            last = step.final_observation[ended.index(row)] if row in ended else step.observation[row]
            traces[row] += [last, step.reward[[row]], env.physics.velocity_trace[row].copy()]
            if row in ended:
                found[row] = (step.episodes[ended.index(row)], traces[row])
    return found


@settings(max_examples=15)
@given(row=st.integers(0, 23), count=st.integers(1, 9), data=st.data(), from_seed=st.booleans())
def test_a_recorded_episode_replays_exactly_in_another_batch_size_and_place(
    row: int, count: int, data: st.DataObject, from_seed: bool
) -> None:
    place = data.draw(st.integers(0, count - 1))
    actions = random_actions(LENGTH, 24)
    episode, expected = recorded()[row]
    env = make(count, seed=1)
    env.reset()
    for action in random_actions(7, count, seed=2):  # some other past
        env.step(action)
    ids, seeds = np.array([place]), np.array([episode.seed], dtype=np.uint64)
    draws = None if from_seed else np.array([list(episode.draw.values())])
    found: list[NDArray[np.floating]] = [env.begin(ids, seeds, draws)[place]]
    others = random_actions(LENGTH, count, seed=3)
    for number in range(episode.length):
        others[number, place] = actions[number, row]
        step = env.step(others[number])
        ended = ended_rows(step)
        last = step.final_observation[ended.index(place)] if place in ended else step.observation[place]
        found += [last, step.reward[[place]], env.physics.velocity_trace[place].copy()]
    assert step.episodes[ended.index(place)] == episode
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_begin_touches_no_other_simulation() -> None:
    env, undisturbed = make(4), make(4)
    actions = random_actions(25, 4)
    for each in (env, undisturbed):
        each.reset(2)
        for action in actions[:10]:
            each.step(action)
    before = undisturbed._observation
    after = env.begin(np.array([1, 3]), np.array([5, 6], dtype=np.uint64))
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    for action in actions[10:]:
        found, expected = env.step(action), undisturbed.step(action)
        np.testing.assert_array_equal(found.observation[[0, 2]], expected.observation[[0, 2]])
        np.testing.assert_array_equal(found.reward[[0, 2]], expected.reward[[0, 2]])


def test_an_observation_that_was_handed_out_does_not_change() -> None:
    env = make(3)
    handed = [env.reset(0)]
    copies = [handed[0].copy()]
    for action in random_actions(LENGTH + 10, 3):
        step = env.step(action)
        handed += [step.observation, step.final_observation]
        copies += [step.observation.copy(), step.final_observation.copy()]
    for mine, copy in zip(handed, copies, strict=True):
        np.testing.assert_array_equal(mine, copy)


@pytest.mark.parametrize("strength", [1e9, 1e200])
def test_a_diverged_episode_ends_is_counted_and_poisons_nothing(strength: float) -> None:
    env, sound = make(8), make(8)
    column = env.randomizer.columns.index("motor_strength[motor]")
    for each in (env, sound):
        each.reset(6)
    wild = np.array([2, 5])
    seeds = np.array([1, 2], dtype=np.uint64)
    draws = np.ones((2, len(env.randomizer.columns)))
    sound.begin(wild, seeds, draws)
    draws[:, column] = strength
    env.begin(wild, seeds, draws)
    ended: list[Episode] = []
    others = np.setdiff1d(np.arange(8), wild)
    for action in np.maximum(0.1, random_actions(20, 8)):
        found, expected = env.step(action), sound.step(action)
        for values in (found.observation, found.reward, found.final_observation):
            assert np.isfinite(values).all()
        np.testing.assert_array_equal(found.reward[others], expected.reward[others])
        np.testing.assert_array_equal(found.observation[others], expected.observation[others])
        ended += [e for e in found.episodes if e.ended_by == "diverged"]
    assert {episode.seed for episode in ended} == {1, 2}
    assert all(np.isfinite(episode.episode_return) and not episode.success for episode in ended)
    assert env.diverged_episodes == 2
    assert sound.diverged_episodes == 0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_no_number_is_the_policys_fault(broken: float) -> None:
    env, other = make(3), make(3)
    env.reset(0), other.reset(0)
    with pytest.raises(UserError, match=f"the policy gives {broken} for actuator motor, in 1 of 3"):
        env.step(np.array([[0.1], [broken], [0.1]]))
    # It was not taken: the simulations go on as if nobody had tried.
    found, expected = env.step(np.zeros((3, 1))), other.step(np.zeros((3, 1)))
    np.testing.assert_array_equal(found.observation, expected.observation)


def test_an_action_beyond_its_range_is_clipped() -> None:
    env, clipped = make(2), make(2)
    for each in (env, clipped):
        each.reset(0)
    for action in 3.0 * random_actions(20, 2):
        found, expected = env.step(action), clipped.step(np.clip(action, -1, 1))
        np.testing.assert_array_equal(found.observation, expected.observation)
        np.testing.assert_array_equal(found.reward, expected.reward)


def test_pins_hold_their_columns_and_leave_the_other_draws() -> None:
    pinned = make(4, pins={"mass[arm]": 1.5, "encoder_bias": 0.01, "action_latency_ms": 40.0})
    free = make(4)
    draws = []
    for env in (free, pinned):
        env.reset(0)
        episodes: list[Episode] = []
        while len(episodes) < 4:
            episodes += env.step(np.zeros((4, 1))).episodes
        draws.append([episode.draw for episode in episodes[:4]])
    held = {"mass[arm]": 1.5, "encoder_bias[arm]": 0.01, "encoder_bias[pendulum]": 0.01}
    held["action_latency_ms"] = 40.0
    for before, after in zip(*draws, strict=True):
        assert after == before | held
        assert before != after
    ranges = {each.name: (each.low, each.high) for each in pinned.contract.trained_ranges}
    assert ranges["mass[arm]"] == (1.5, 1.5)
    assert ranges["mass[pendulum]"] == (0.8, 1.2)


def test_pins_of_the_experiment_count_and_those_of_the_call_count_more() -> None:
    env = make(1, "pins.mass=1.1", "pins.motor_strength=0.9", pins={"mass": 0.7})
    ranges = {each.name: each.low for each in env.contract.trained_ranges}
    assert ranges["mass[arm]"] == 0.7
    assert ranges["motor_strength[motor]"] == 0.9


def test_a_pinned_mass_changes_the_motion() -> None:
    light, heavy = make(1, pins={"mass": 0.5}), make(1, pins={"mass": 2.0})
    for env in (light, heavy):
        env.reset(0)
        for _ in range(10):
            env.step(np.ones((1, 1)))
    assert light.physics.joint_position[0, 0] > 1.3 * heavy.physics.joint_position[0, 0]


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"mas": 1.0}, "'mass'"),
        ({"mass[arn]": 1.0}, r"'mass\[arm\]'"),
        ({"mass": -1.0}, "below"),
        ({"mass": float("nan")}, "finite"),
        ({"action_latency_ms": 1e6}, "at most 1000 ms"),
        ({"sensor_latency_ms": 1e9}, "at most 1000 ms"),
        ({"sensor_latency_ms": -20.0}, "sensor_latency_ms -20 ms, below 0"),
    ],
)
def test_pins_that_cannot_be_are_refused(pins: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(1, pins=pins)


def test_initial_states_come_in_the_configured_shares_and_alone_from_the_start() -> None:
    def share_hanging(env: BatchEnv) -> float:
        env.reset(0)
        return float((np.abs(env.physics.joint_position[:, 1]) < np.radians(1.001)).mean())

    mixed = make(2000, "initial_states={hanging: 3, anywhere: 1}")
    assert share_hanging(mixed) == pytest.approx(0.75, abs=0.05)
    assert share_hanging(make(500, "initial_states={hanging: 0, anywhere: 1}")) < 0.05
    experiment = mixed.experiment.from_start()
    assert share_hanging(BatchEnv(experiment, 500)) == 1.0


def test_the_measured_state_is_late_by_the_latency() -> None:
    pins = {"sensor_latency_ms": 20.0, "encoder_noise": 0.0, "encoder_bias": 0.0}
    late = make(1, "episode_length=2", pins=pins)
    prompt = make(1, "episode_length=2", pins=pins | {"sensor_latency_ms": 0.0})
    seen = []
    for env in (late, prompt):
        env.reset(0)
        positions = []
        for _ in range(12):
            env.step(np.full((1, 1), 0.5))
            positions.append(env.measured_state().joint_position[0].copy())
        seen.append(np.array(positions))
    np.testing.assert_array_equal(seen[0][2:], seen[1][:-2])
    assert not np.array_equal(seen[0][2:], seen[1][2:])


def test_numbers_that_do_not_fit_the_actuators_are_refused() -> None:
    with pytest.raises(UserError, match=r"action\.scale: 2 numbers for 1 actuators"):
        make(1, "action.scale=[1.0, 2.0]")


def test_a_control_rate_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="nearest: 100 Hz"):
        make(1, "control_rate=99")


def test_a_misspelt_joint_of_an_observation_is_one_message() -> None:
    terms = "observation=[{source: joint_position, joints: [armm]}]"
    with pytest.raises(UserError, match="no joint 'armm': did you mean 'arm'"):
        BatchEnv(load_experiment("qube_swingup", [terms]), 1)


def test_parameters_change_within_an_episode_and_replay_with_it() -> None:
    randomization = {
        "motor_strength": {
            "within_episode": True,
            "distribution": {"type": "uniform", "low": 0.2, "high": 2.0},
        },
        "mass": {"distribution": {"type": "uniform", "low": 0.8, "high": 1.2}},
        "change_time_s": {"distribution": {"type": "constant", "value": 0.1}},
        "change_interval_s": {"distribution": {"type": "constant", "value": 0.1}},
    }
    config = load_experiment("qube_swingup", [f"randomization={json.dumps(randomization)}"])
    env = BatchEnv(config, 4, seed=1)
    env.reset()
    gains, masses, positions = [], [], []
    for _ in range(40):
        env.step(np.full((4, 1), 0.3))
        gains.append(env.physics.field("actuator_gainprm")[:, 0, 0].copy())
        masses.append(env.physics.field("body_mass")[:, 1].copy())
        positions.append(env.physics.position_trace.copy())
    assert all(len(set(row)) >= 3 for row in np.transpose(gains))
    assert all(len(set(row[:10])) == 1 for row in np.transpose(gains))
    assert all(len(set(row)) == 1 for row in np.transpose(masses))
    alone = BatchEnv(config, 1, threads=1)
    alone.begin(np.array([0]), episode_seed(1, np.array([2])))
    for step in range(40):
        alone.step(np.full((1, 1), 0.3))
        assert (alone.physics.position_trace[0] == positions[step][2]).all()
