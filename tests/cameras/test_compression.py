"""Compression of what a policy sees, against frames drawn, compressed and shrunk as a camera does."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simreal.cameras.posed import Posed
from simreal.cameras.ray_cast import RayCaster
from simreal.env import BatchEnv
from simreal.episode_random import episode_seed
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.images import shrunk
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.randomization.jpeg import compressed

FRAME = (480, 640)
COUNT = 8

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def frames() -> Images:
    """Of a robot on a table in held-out visual worlds, as large as a camera takes them."""
    return taken_in(load_experiment("so101_reach_pixels").in_held_out_world())


def taken_in(experiment: ExperimentConfig) -> Images:
    env, ids = BatchEnv(experiment, COUNT, threads=1), np.arange(COUNT)
    env.begin(ids, episode_seed(0, ids))
    assert isinstance(env.physics, MujocoPhysics)
    posed = Posed(env.physics, threads=1)
    posed.pose(ids, env.physics.configuration)
    rows, columns = FRAME
    return RayCaster(posed, "front", columns, rows, threads=1).colour(ids)


def by_camera(frames: Images, quality: int) -> Images:
    taken = []
    for frame in frames:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        taken.append(np.asarray(Image.open(file)))
    return np.stack(taken)


def small(frames: Images, pixels: int) -> Images:
    return np.rint(shrunk(frames, pixels, pixels)).astype(np.uint8)


def change(after: Images, before: Images) -> NDArray[np.float64]:
    """(n,) grey levels, of each image."""
    square = np.square(after.astype(float) - before).mean(axis=(1, 2, 3))
    levels: NDArray[np.float64] = np.sqrt(square)
    return levels


@pytest.mark.long
@pytest.mark.parametrize("quality", [30, 50, 70])
@pytest.mark.parametrize("pixels", [32, 48, 84])
def test_it_spoils_what_a_policy_sees_as_much_as_a_cameras_does(
    frames: Images, pixels: int, quality: int
) -> None:
    seen = small(frames, pixels)
    theirs = change(small(by_camera(frames, quality), pixels), seen)
    ours = change(compressed(seen, np.full(COUNT, float(quality)), FRAME), seen)
    assert 0.8 < ours.mean() / theirs.mean() < 1.45
    assert (ours / theirs).min() > 0.7
    assert (ours / theirs).max() < 1.7
    # Compressing the small image itself would be many times worse than any camera.
    own = change(by_camera(seen, quality), seen)
    assert own.mean() > 4.0 * theirs.mean()


@pytest.mark.long
def test_low_quality_spoils_most_where_a_cameras_does(frames: Images) -> None:
    # In held-out worlds alone, whose patterns are alike, a camera spoils all images nearly as much.
    frames = np.concatenate([frames, taken_in(load_experiment("so101_reach_pixels"))])
    seen = small(frames, 48)
    theirs = change(small(by_camera(frames, 30), 48), seen)
    ours = change(compressed(seen, np.full(len(frames), 30.0), FRAME), seen)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.7
