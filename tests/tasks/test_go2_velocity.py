"""Tests of the walking task: what it asks, what it rewards, and when it is over."""

from functools import cache

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.experiment import load_experiment
from simreal.physics.interface import Start
from simreal.robots import load_robot
from simreal.rotations import about_z, into_body, multiply, small_rotation
from simreal.tasks import go2_velocity as walk
from simreal.tasks.task import Motion


@cache
def plain(count: int) -> BatchEnv:
    experiment = load_experiment("go2_velocity", ["randomization={}", "critic=[velocity]"])
    env = BatchEnv(experiment.from_start(), count, threads=1)
    env.reset(seed=0)
    return env


def moved(start: Start, command: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Motion:
    """The motion at a start."""
    number = len(start.joint_position)
    env = plain(number)
    env.physics.reset(np.arange(number), start, np.tile(walk.POSTURE, (number, 1)))
    still = np.zeros((number, 12))
    joints = env.physics.joint_position, env.physics.joint_velocity
    return Motion(*joints, still, still, np.tile(command, (number, 1)), env.physics)


def standing(number: int) -> Start:
    return walk.standing(EpisodeRandom(episode_seed(1, np.arange(number))))


def test_it_stands_in_the_robots_own_posture_with_a_foot_on_the_ground() -> None:
    np.testing.assert_array_equal(walk.POSTURE, load_robot("go2").description.default_position)
    lowest = walk.feet(moved(standing(4)), "position")[..., 2].min(axis=1) - 0.022
    np.testing.assert_allclose(lowest, 0.0, atol=1e-3)


def test_without_a_policy_it_stands_still_and_is_not_over() -> None:
    env = plain(4)
    env.reset(seed=0)
    for _ in range(100):
        step = env.step(np.zeros((4, 12)))
        assert not step.terminated.any()
    assert np.linalg.norm(env.physics.free_position[:, 0, :2], axis=1).max() < 0.1
    assert env.physics.free_position[:, 0, 2].min() > 0.25


def test_velocities_are_along_the_trunks_own_axes_whatever_its_heading() -> None:
    start = standing(4)
    assert start.free_position is not None and start.free_velocity is not None
    start.free_position[:, 0, 3:] = about_z(np.array([0.0, 0.5 * np.pi, np.pi, 1.0]))
    heading = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [np.cos(1.0), np.sin(1.0), 0]])
    start.free_velocity[:, 0, :3] = 0.7 * heading
    motion = moved(start, (0.7, 0.0, 0.0))
    np.testing.assert_allclose(walk.velocity(motion), np.tile([0.7, 0, 0], (4, 1)), atol=1e-9)
    np.testing.assert_allclose(walk.velocity_tracking(motion), 1.0, atol=1e-9)
    assert (walk.velocity_tracking(moved(start, (-0.7, 0.0, 0.0))) < 0.01).all()


@pytest.mark.parametrize(("axis", "angle", "over"), [(0, 0.9, False), (0, 1.2, True), (1, 1.2, True)])
def test_a_tilted_robot_has_fallen(axis: int, angle: float, over: bool) -> None:
    start = standing(2)
    assert start.free_position is not None
    turn = small_rotation(np.eye(3)[axis] * 2.0 * np.tan(0.5 * angle))
    start.free_position[:, 0, 3:] = multiply(start.free_position[:, 0, 3:], turn)
    start.free_position[:, 0, 2] += 1.0
    assert (walk.fallen(moved(start)) == over).all()


def test_lying_on_the_trunk_is_a_fall() -> None:
    start = standing(2)
    assert start.free_position is not None
    start.free_position[:, 0, 2] = 0.05
    start.joint_position = np.tile([0.0, 1.21, -2.7], (2, 4))
    assert walk.fallen(moved(start)).all()


def test_commands_change_at_the_interval_and_a_tenth_of_them_is_to_stand() -> None:
    env = BatchEnv(load_experiment("go2_velocity", ["command_interval=0.1", "randomization={}"]), 64)
    env.reset(seed=3)
    asked = [env.command.copy()]
    for _ in range(40):
        env.step(np.zeros((64, 12)))
        asked.append(env.command.copy())
    changes = np.any(np.diff(np.array(asked), axis=0) != 0.0, axis=2)
    assert not changes[0:4].any()
    assert changes[4].mean() > 0.8
    commands = np.concatenate(asked[::5])
    standing_still = ~commands.any(axis=1)
    assert 0.03 < standing_still.mean() < 0.2
    moving = commands[~standing_still]
    assert (np.abs(moving) <= [1.0, 0.5, 1.0]).all()
    assert (np.abs(moving).max(axis=0) > [0.9, 0.45, 0.9]).all()


def test_the_observation_holds_what_the_robot_has_and_the_critic_more() -> None:
    experiment = load_experiment("go2_velocity")
    env = BatchEnv(experiment, 8)
    env.reset(seed=1)
    assert env.privileged.shape[1] == 3 + 3 + 3 + 4 + 4 + len(env.randomizer.columns)
    named = env.contract.observation
    assert {term.source for term in named} == {
        "angular_velocity",
        "projected_gravity",
        "command",
        "joint_offset",
        "joint_velocity",
        "previous_action",
    }
    step = env.step(np.zeros((8, 12)))
    np.testing.assert_allclose(
        step.privileged[:, :3], env.physics.sensor("base_linear_velocity"), atol=1e-6
    )
    assert (np.abs(step.privileged[:, -len(env.randomizer.columns) :]) <= 1.0 + 1e-6).all()


def test_a_push_shows_in_the_velocity_of_the_trunk() -> None:
    overrides = [
        "randomization={push_interval_s: {distribution: {type: constant, value: 0.3}}, "
        "push_velocity: {distribution: {type: constant, value: 0.5}}}",
        "initial_states={standing: 1}",
    ]
    env = BatchEnv(load_experiment("go2_velocity", overrides), 16)
    env.reset(seed=2)
    speeds = []
    for _ in range(30):
        env.step(np.zeros((16, 12)))
        speeds.append(np.linalg.norm(env.physics.free_velocity[:, 0, :2], axis=1))
    assert (np.max(speeds, axis=0) > 0.3).all()


def test_gravity_in_the_body_is_the_worlds_down() -> None:
    start = standing(3)
    assert start.free_position is not None
    start.free_position[:, 0, 3:] = multiply(
        start.free_position[:, 0, 3:], small_rotation(np.full(3, 0.2))
    )
    motion = moved(start)
    down = into_body(start.free_position[:, 0, 3:], np.tile([0.0, 0.0, -1.0], (3, 1)))
    np.testing.assert_allclose(walk.down(motion), down, atol=1e-9)
