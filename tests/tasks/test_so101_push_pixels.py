"""Pushing a cube that a camera sees: what the policy is given, and what its teacher makes of it."""

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.tasks.so101_push import there
from simreal.tasks.so101_push_pixels import CENTRE, HALF_SIZE
from simreal.tasks.tabletop import cube_position
from simreal.teacher import find_teacher
from tests.tasks.motions import motion

COUNT = 16


@pytest.fixture(scope="module")
def env() -> BatchEnv:
    """Nothing is randomized but where things are."""
    overrides = ["randomization={}", "held_out_visuals={}"]
    experiment = load_experiment("so101_push_pixels", overrides)
    return BatchEnv(experiment.from_start(), COUNT, threads=1)


def test_no_tracker_tells_of_the_cube_and_the_teacher_does(env: BatchEnv) -> None:
    assert not {term.source for term in env.contract.observation} & {
        "object_position",
        "object_rotation",
    }
    env.reset(seed=3)
    told = find_teacher("so101_push", env).told()
    place = cube_position(motion(env))[:, :2]
    np.testing.assert_allclose(told, (place - CENTRE) / HALF_SIZE, atol=1e-5)
    assert np.abs(told).max() <= 1.0


@pytest.mark.long
def test_its_teacher_pushes_the_cube_where_it_is_wanted(env: BatchEnv) -> None:
    teacher = find_teacher("so101_push", env)
    last, begun = np.zeros((COUNT, 6), np.float32), np.ones(COUNT, bool)
    env.reset(seed=0)
    assert there(motion(env)).mean() < 0.3
    for _ in range(env.experiment.episode_steps - 1):
        last = teacher(last, begun)
        step = env.step(last)
        begun = step.terminated | step.truncated
    assert there(motion(env)).mean() > 0.8


def test_the_image_is_red_where_the_cube_is(env: BatchEnv) -> None:
    env.reset(seed=1)
    env.step(np.zeros((COUNT, 6)))
    image = env.images["front"].astype(float)[:, -3:]
    red = image[:, 0] - np.maximum(image[:, 1], image[:, 2])
    mount = env.experiment.cameras[0].mount
    eye = np.array(mount.position)
    forward = np.array(mount.look_at) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    off = cube_position(motion(env)) - eye
    scale = 24.0 / (np.tan(0.5 * mount.field_of_view) * (off @ forward))
    column, row = 24.0 + scale * (off @ right), 24.0 - scale * (off @ np.cross(right, forward))
    there_it_is = red[np.arange(COUNT), row.astype(int), column.astype(int)]
    assert (there_it_is > 60.0).mean() > 0.8  # some are behind the arm
