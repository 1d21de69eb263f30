"""Turning the camera at the wrist to a ball: where that is, and which motions bring it nearer."""

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.tasks.so101_look import FIELD_OF_VIEW, SEEN, in_the_middle, off_centre
from tests.tasks.motions import motion

COUNT = 16


@pytest.fixture(scope="module")
def env() -> BatchEnv:
    return BatchEnv(
        load_experiment("so101_look", ["randomization={}", "held_out_visuals={}"]), COUNT, threads=1
    )


def choose(env: BatchEnv, names: list[str]) -> np.ndarray:
    table = {choice.name: choice.action for choice in env.contract.action.choices}
    return np.array([table[name] for name in names])


def best_names(env: BatchEnv) -> list[str]:
    """What somebody would do who is told where in the image the ball is."""
    seen = motion(env).sensor(SEEN)
    right, up = np.arctan2(seen[:, 0], -seen[:, 2]), np.arctan2(seen[:, 1], -seen[:, 2])
    aside = np.abs(right) > np.abs(up)
    named = np.where(aside, np.where(right > 0, "right", "left"), np.where(up > 0, "ahead", "back"))
    return np.where(np.maximum(np.abs(right), np.abs(up)) < 0.05, "rest", named).tolist()


def test_whoever_sees_the_ball_brings_it_to_the_middle(env: BatchEnv) -> None:
    env.reset(seed=0)
    env.step(np.zeros((COUNT, 6)))
    assert off_centre(motion(env)).mean() > 0.25
    for _ in range(env.experiment.episode_steps - 2):
        env.step(choose(env, best_names(env)))
    assert in_the_middle(motion(env)).all()


def test_the_image_is_red_where_the_ball_is(env: BatchEnv) -> None:
    env.reset(seed=1)
    env.step(np.zeros((COUNT, 6)))  # sensors know the ball's place after a step
    image = env.images["wrist"].astype(float)
    red = image[:, 0] - np.maximum(image[:, 1], image[:, 2])
    seen = motion(env).sensor(SEEN)
    scale = np.tan(0.5 * FIELD_OF_VIEW) * -seen[:, 2]
    column, row = 16.0 * (1.0 + seen[:, 0] / scale), 16.0 * (1.0 - seen[:, 1] / scale)
    shown = np.flatnonzero((np.abs(column - 16.0) < 14.0) & (np.abs(row - 16.0) < 14.0))
    there = red[shown, row[shown].astype(int), column[shown].astype(int)]
    assert len(shown) >= COUNT // 3
    assert (there > 60.0).mean() > 0.7  # some are behind the jaw
