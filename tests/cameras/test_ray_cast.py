import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch

from simreal.cameras.open_gl import OpenGLCamera
from simreal.cameras.posed import Posed
from simreal.cameras.ray_cast import RayCaster
from simreal.errors import UserError
from simreal.physics import MujocoPhysics

SIZE = 96
BOTH = np.arange(2)


@pytest.fixture
def rays(posed: Posed) -> RayCaster:
    return RayCaster(posed, "view", SIZE, SIZE, threads=2)


@pytest.fixture
def by_gl(posed: Posed) -> OpenGLCamera:
    try:
        return OpenGLCamera(posed, "view", SIZE, SIZE)
    except UserError as error:
        pytest.skip(f"no OpenGL here: {error}")


def test_depth_and_shapes_are_those_of_mujocos_own_rays(physics: MujocoPhysics, rays: RayCaster) -> None:
    depth, segment = rays.depth(BOTH), rays.segmentation(BOTH)
    batch = Batch(physics.model, 1, 1)
    batch.reset()
    batch.qpos[:] = physics.configuration[:1]
    camera = physics.model.camera("view").id
    data = physics._batch.get_data(0)
    mujoco.mj_forward(physics.model, data)
    up = np.tan(np.radians(physics.model.cam_fovy[camera]) / 2)
    place = ((np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0) * up
    x, y = np.meshgrid(place, -place)
    rays_before_camera = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    along = rays_before_camera @ data.cam_xmat[camera].reshape(3, 3).T
    distance, geom = batch.ray(data.cam_xpos[camera], along)
    # MuJoCo's rays see what is transparent, too, and the backs of shapes; the hidden ball is before all.
    hidden = physics.model.geom("hidden").id
    plain = (geom[0] != hidden).reshape(SIZE, SIZE)
    same = (segment[0] == geom[0].reshape(SIZE, SIZE)) | ~plain
    assert same.mean() > 0.997  # the walls of height fields are left out
    exact = plain & same & (segment[0] >= 0)
    np.testing.assert_allclose(depth[0][exact], distance[0].reshape(SIZE, SIZE)[exact], rtol=1e-4)
    shown = set(np.unique(segment[0])) - {-1}
    assert shown == set(range(physics.model.ngeom)) - {hidden}


def test_both_renderers_agree(rays: RayCaster, by_gl: OpenGLCamera) -> None:
    mine, other = rays.segmentation(BOTH), by_gl.segmentation(BOTH)
    for geom in np.unique(mine):
        both = ((mine == geom) & (other == geom)).sum()
        assert both / ((mine == geom) | (other == geom)).sum() > 0.9, geom
    near, far = rays.depth(BOTH), by_gl.depth(BOTH)
    inside = (mine == other) & (mine >= 0)
    assert np.median(np.abs(near - far)[inside]) < 1e-3
    difference = np.abs(rays.colour(BOTH).astype(float) - by_gl.colour(BOTH))
    assert difference.mean() < 4.0  # of 255; edges and the borders of tiles are most of it
    assert np.median(difference[inside]) <= 3.0
    by_gl.close()


def test_each_simulation_looks_as_its_own_fields_say(rays: RayCaster) -> None:
    colour, segment = rays.colour(BOTH), rays.segmentation(BOTH)
    green, blue = (colour[k][segment[k] == 2].mean(axis=0) for k in (0, 1))
    assert green[1] > 2 * green[2]
    assert blue[2] > 2 * blue[0]
    assert (segment[0] != segment[1]).mean() > 0.1


def test_what_is_asked_of_some_simulations_is_what_all_would_give(rays: RayCaster) -> None:
    np.testing.assert_array_equal(rays.colour(np.array([1]))[0], rays.colour(BOTH)[1])


def test_a_shape_between_a_lamp_and_the_floor_casts_a_shadow(
    physics: MujocoPhysics, posed: Posed
) -> None:
    rays = RayCaster(posed, "view", SIZE, SIZE, threads=1)
    lit, floor = rays.colour(BOTH[:1])[0].astype(int), rays.segmentation(BOTH[:1])[0] == 0
    physics.field("light_castshadow")[0] = 1
    posed.pose(BOTH, physics.configuration)
    darker = (lit - rays.colour(BOTH[:1])[0].astype(int)).sum(axis=2) > 30
    assert 0.02 < darker[floor].mean() < 0.5


def test_a_lamp_that_is_off_gives_no_light(physics: MujocoPhysics, posed: Posed) -> None:
    rays = RayCaster(posed, "view", SIZE, SIZE, threads=1)
    physics.field("light_active")[0] = 0
    physics.field("light_active")[1] = 1
    physics.field("cam_pos")[1] = physics.field("cam_pos")[0]
    posed.pose(BOTH, physics.configuration)
    off, on = rays.colour(BOTH)
    assert off.mean() < 0.8 * on.mean()


def test_a_camera_that_is_not_there_is_refused_by_name(posed: Posed) -> None:
    with pytest.raises(UserError, match=r"no camera 'veiw' in the model.*view"):
        RayCaster(posed, "veiw", 8, 8)
