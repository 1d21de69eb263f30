import numpy as np

from simreal.cameras.posed import Posed
from simreal.cameras.ray_cast import RayCaster
from simreal.cameras.texels import halved
from simreal.physics import MujocoPhysics

FLOOR = 0
BOTH = np.arange(2)


def test_smaller_sizes_keep_the_mean_to_the_last_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 8, 3)).astype(np.uint8)
    sizes = halved(image)
    assert [each.shape[:2] for each in sizes] == [(32, 8), (16, 4), (8, 2), (4, 1), (2, 1), (1, 1)]
    for each in sizes:
        np.testing.assert_allclose(each.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=2.0)


def test_a_pattern_finer_than_pixels_is_seen_as_its_mean(physics: MujocoPhysics, posed: Posed) -> None:
    """Points of it would be black or white at random, and flicker as a camera moves."""
    physics.field("cam_pos")[1] = physics.field("cam_pos")[0]
    physics.field("cam_fovy")[1] = physics.field("cam_fovy")[0]
    physics.field("mat_texrepeat")[:] = [[[3.0, 3.0]], [[200.0, 200.0]]]
    posed.pose(BOTH, physics.configuration)
    rays = RayCaster(posed, "view", 96, 96, threads=1)
    floor = (rays.segmentation(BOTH) == FLOOR).all(axis=0)
    coarse, fine = rays.colour(BOTH).astype(float)[:, floor, 0]
    assert coarse.std() > 5 * fine.std()
    assert abs(coarse.mean() - fine.mean()) < 0.1 * coarse.mean()
