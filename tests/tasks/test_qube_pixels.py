"""Balancing what a camera sees: what the policy is given, and what its teacher makes of it."""

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.teacher import find_teacher

COUNT = 16


@pytest.fixture(scope="module")
def env() -> BatchEnv:
    return BatchEnv(load_experiment("qube_pixels"), COUNT, threads=1)


def test_no_encoder_tells_of_the_pendulum(env: BatchEnv) -> None:
    joints = {joint for term in env.contract.observation for joint in term.joints or ()}
    assert joints == {"arm"}
    first = env.reset(seed=0)
    env.physics.joint_position[:, 1] += 0.3
    np.testing.assert_array_equal(
        first[:, 0], env.measured_state().joint_position[:, 0].astype(np.float32)
    )


def test_its_teacher_balances_where_nothing_does_not(env: BatchEnv) -> None:
    teacher = find_teacher("qube_swingup", env)
    last, begun = np.zeros((COUNT, 1), np.float32), np.ones(COUNT, bool)
    env.reset(seed=0)
    for _ in range(150):
        last = teacher(last, begun)
        step = env.step(last)
        begun = step.terminated | step.truncated
        assert not step.terminated.any()
    for _ in range(100):
        step = env.step(np.zeros((COUNT, 1)))
        if step.terminated.any():
            break
    assert {episode.ended_by for episode in step.episodes} == {"fallen"}


def test_the_teacher_tells_angle_and_rate(env: BatchEnv) -> None:
    env.reset(seed=3)
    told = find_teacher("qube_swingup", env).told()
    angle = env.physics.joint_position[:, 1] - np.pi
    np.testing.assert_allclose(
        told, np.stack([2 * angle, 0.2 * env.physics.joint_velocity[:, 1]], 1), atol=1e-5
    )
    assert np.abs(told).max() < 2.0


def test_a_teacher_of_numbers_teaches_no_choices() -> None:
    with pytest.raises(UserError, match="teacher: teaches actions that are numbers, not choices"):
        load_experiment("qube_pixels", ["action.bins=5"])


def test_only_what_the_critic_sees_can_be_told() -> None:
    with pytest.raises(UserError, match=r"teacher\.tells.*no 'pendlum' in `critic`.*'pendulum'"):
        load_experiment("qube_pixels", ["teacher.tells=[pendlum]"])
