"""Rewards, terminations and goal on motions made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.tasks import Motion, find_task
from simreal.tasks.qube_swingup import TASK

turns = st.integers(-5, 5).map(lambda number: 2.0 * np.pi * number)
angles = st.floats(-np.pi, np.pi)


def motion(
    position: ArrayLike,
    velocity: ArrayLike = (0.0, 0.0),
    action: ArrayLike = (0.0,),
    previous: ArrayLike = (0.0,),
) -> Motion:
    joints, rates = np.atleast_2d(position).astype(float), np.atleast_2d(velocity).astype(float)
    rates = np.broadcast_to(rates, joints.shape)
    actions = (
        np.broadcast_to(np.atleast_2d(a).astype(float), (len(joints), 1)) for a in (action, previous)
    )
    return Motion(joints, rates, *actions)


def test_it_is_found_by_its_name_and_made_for_the_qube() -> None:
    assert find_task("qube_swingup") is TASK
    assert TASK.robot == "qube"
    assert TASK.start in TASK.initial_states


def test_upright_is_one_standing_and_zero_hanging() -> None:
    upright = TASK.rewards["upright"](motion([[0, np.pi], [0, -np.pi], [0, 0], [1.5, 3 * np.pi]]))
    np.testing.assert_allclose(upright, [1, 1, 0, 1], atol=1e-9)


@given(
    near=st.floats(0, np.pi), further=st.floats(0, np.pi), turned=turns, side=st.sampled_from([-1, 1])
)
def test_upright_falls_with_the_distance_whatever_the_turns(
    near: float, further: float, turned: float, side: int
) -> None:
    near, further = sorted((near, further))
    first, second, mirrored = TASK.rewards["upright"](
        motion([[0, np.pi + side * near + turned], [0, np.pi + further], [0, np.pi - near]])
    )
    assert first >= second - 1e-9
    assert first == pytest.approx(mirrored, abs=1e-9)
    assert 0 <= second <= 1


@given(angle=angles, turned=turns)
def test_the_goal_holds_within_eleven_degrees_of_upright(angle: float, turned: float) -> None:
    if abs(abs(angle) - 0.2) > 1e-6:
        assert TASK.goal(motion([[0, np.pi + angle + turned]]))[0] == (abs(angle) < 0.2)


def test_the_goal_asks_for_nothing_of_the_arm_and_of_speed() -> None:
    assert TASK.goal(motion([[1.9, np.pi]], [[30, 30]])).tolist() == [True]
    assert TASK.goal(motion([[0, 0], [0, np.pi / 2]])).tolist() == [False, False]


def test_arm_off_centre_is_the_squared_angle() -> None:
    found = TASK.rewards["arm_off_centre"](motion([[0, 1], [0.5, 2], [-2, 3]]))
    np.testing.assert_allclose(found, [0, 0.25, 4])


def test_speed_counts_near_upright_only() -> None:
    found = TASK.rewards["speed"](motion([[0, np.pi], [0, 0], [0, np.pi]], [[3, 4], [3, 4], [0, 0]]))
    np.testing.assert_allclose(found, [25, 0, 0], atol=1e-9)


def test_action_change_is_squared() -> None:
    found = TASK.rewards["action_change"](
        motion([[0, 0]] * 3, action=[[1], [-1], [0.5]], previous=[[-1]])
    )
    np.testing.assert_allclose(found, [4, 0, 2.25])


def test_it_ends_where_the_arm_leaves_its_range() -> None:
    ended = TASK.terminations["arm_beyond_limit"](motion([[1.99, 0], [-1.99, 0], [2.01, 0], [-2.01, 0]]))
    assert ended.tolist() == [False, False, True, True]


@pytest.mark.parametrize("name", sorted(TASK.initial_states))
def test_initial_states_are_lawful_and_follow_from_the_seed(name: str) -> None:
    seeds = episode_seed(0, np.arange(2000))
    start = TASK.initial_states[name](EpisodeRandom(seeds))
    position, velocity = start.joint_position, start.joint_velocity
    assert position.shape == velocity.shape == (2000, 2)
    still = motion(position, velocity)
    assert not any(ended(still).any() for ended in TASK.terminations.values())
    again = TASK.initial_states[name](EpisodeRandom(seeds[[7]]))
    np.testing.assert_array_equal(again.joint_position[0], position[7])
    np.testing.assert_array_equal(again.joint_velocity[0], velocity[7])


def test_hanging_hangs_and_anywhere_is_anywhere() -> None:
    random = EpisodeRandom(episode_seed(1, np.arange(4000)))
    hanging = TASK.initial_states["hanging"](random)
    assert np.abs(hanging.joint_position).max() < np.radians(2.001)
    assert np.abs(hanging.joint_velocity).max() < np.radians(0.501)
    position = TASK.initial_states["anywhere"](random).joint_position
    counts, _ = np.histogram(position[:, 1], bins=8, range=(-np.pi, np.pi))
    assert counts.sum() == 4000
    assert (np.abs(counts - 500) < 100).all()  # 4.8 standard deviations
