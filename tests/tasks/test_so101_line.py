"""Following a line on the table: where it is, what the camera shows, which motions stay on it."""

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.tasks.so101_kinematics import GRASP, site_position
from simreal.tasks.so101_line import ANGLES, RADIUS, SWING, WAVES, off_line, over_line, points
from tests.tasks.motions import motion

COUNT = 16


@pytest.fixture(scope="module")
def env() -> BatchEnv:
    return BatchEnv(
        load_experiment("so101_line", ["randomization={}", "held_out_visuals={}"]), COUNT, threads=1
    )


def best_names(env: BatchEnv) -> list[str]:
    """What somebody would do who is told where the line is a step ahead."""
    grasp = site_position(motion(env).joint_position, GRASP)[:, :2] - env.command
    angle = np.arctan2(grasp[:, 1], grasp[:, 0]) + 0.05
    lacks = RADIUS + SWING * np.sin(WAVES * angle) - np.hypot(grasp[:, 0], grasp[:, 1])
    return np.where(
        np.abs(lacks) < 0.0035, "straight", np.where(lacks > 0, "outwards", "inwards")
    ).tolist()


def test_whoever_knows_the_line_follows_it_to_its_end(env: BatchEnv) -> None:
    table = {choice.name: choice.action for choice in env.contract.action.choices}
    env.reset(seed=0)
    held = []
    for _ in range(env.experiment.episode_steps - 1):
        env.step(np.array([table[name] for name in best_names(env)]))
        held.append(over_line(motion(env)))
    assert np.mean(held[len(held) // 2 :]) > 0.95
    tip = site_position(motion(env).joint_position, GRASP)
    assert (tip[:, 1] > 0.05).all()  # from its right end to its left
    assert (tip[:, 2] > 0.01).all()  # and over the table


def test_the_distance_is_that_to_the_nearest_point(env: BatchEnv) -> None:
    env.reset(seed=1)
    grasp = site_position(motion(env).joint_position, GRASP)[:, :2] - env.command
    brute = [np.linalg.norm(points(ANGLES) - place, axis=1).min() for place in grasp]
    np.testing.assert_allclose(off_line(motion(env)), brute)
    assert np.ptp(brute) > 0.005


def test_the_image_is_red_where_the_line_is(env: BatchEnv) -> None:
    env.reset(seed=2)
    env.step(np.zeros((COUNT, 6)))
    image = env.images["wrist"].astype(float)
    red = image[:, 0] - np.maximum(image[:, 1], image[:, 2])
    lines = (red > 50.0).any(axis=1)  # columns of the image that it passes
    assert lines.mean() > 0.8
