"""When frames come: rate, latency, stack; on a world that shows its time."""

import numpy as np
import pytest

from simreal.cameras.sight import Sight
from simreal.contract import CameraTerm
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.world import World
from simreal.robots import load_robot

RATE = 50.0
COUNT = 2


@pytest.fixture
def world() -> World:
    return build_world(load_robot("qube"), COUNT, {}, {}, RATE, threads=1)


class Watched:
    """A sight whose frames say which configuration they show."""

    def __init__(self, world: World, latency: float = 0.0, **term: object) -> None:
        camera = CameraTerm.model_validate({"name": "overview", "width": 8, "height": 8} | term)
        self.world, self.steps = world, np.zeros(COUNT, np.int64)
        self.sight = Sight([camera], world, RATE, latency, threads=1)
        self.random = EpisodeRandom(episode_seed(0, np.arange(COUNT)))
        self.shown: list[np.ndarray] = []
        pose = self.sight._posed.pose

        def noted(ids: np.ndarray, qpos: np.ndarray) -> None:
            self.shown.append(qpos[:, 0].copy())
            pose(ids, qpos)

        self.sight._posed.pose = noted  # type: ignore[method-assign]
        start = Start(np.array([[0.0, 0.0]] * COUNT), np.array([[2.0, 0.0]] * COUNT))
        world.reset(np.arange(COUNT), start, np.zeros((COUNT, 1)), self.random)
        self.sight.begin(np.arange(COUNT), self.random)

    def step(self) -> np.ndarray:
        """The first joint as the physics steps of this step left it."""
        self.steps += 1
        self.world.advance(np.zeros((COUNT, 1)), self.random, self.steps)
        self.shown.clear()
        self.sight.see(self.random, self.steps)
        return self.world.physics.position_trace[:, :, 0].copy()


def test_without_latency_a_frame_shows_the_end_of_its_step(world: World) -> None:
    watched = Watched(world)
    for _ in range(3):
        trace = watched.step()
        np.testing.assert_allclose(watched.shown[0], trace[:, -1])


def test_latency_acts_to_the_physics_step(world: World) -> None:
    watched = Watched(world, latency_ms=6.0)  # of a timestep of 2 ms, 10 in each control step
    traces = [watched.step() for _ in range(3)]
    np.testing.assert_allclose(watched.shown[0], traces[-1][:, -4])
    watched = Watched(world, latency_ms=26.0)
    traces = [watched.step() for _ in range(4)]
    np.testing.assert_allclose(watched.shown[0], traces[-2][:, -4])


def test_latency_is_each_simulations_own(world: World) -> None:
    watched = Watched(world, latency=0.04)
    world.camera.quantities["latency"][:, 0] = 0.0, 0.04
    traces = [watched.step() for _ in range(4)]
    np.testing.assert_allclose(watched.shown[0], [traces[-1][0, -1], traces[-3][1, -1]])


def test_before_the_first_frame_has_come_the_start_is_seen(world: World) -> None:
    watched = Watched(world, latency_ms=100.0)
    watched.step()
    np.testing.assert_allclose(watched.shown[0], 0.0)


def test_a_slower_camera_brings_a_frame_now_and_then(world: World) -> None:
    watched = Watched(world, rate=20.0)  # every 50 ms: at 0, 60 (of 50), 100, 160 (of 150) ms
    came = []
    for _ in range(10):
        watched.step()
        came.append(len(watched.shown))
    assert came == [0, 0, 1, 0, 1, 0, 0, 1, 0, 1]


def test_the_stack_holds_the_last_frames_newest_first(world: World) -> None:
    watched = Watched(world, stack=3)
    first = watched.sight.pipeline.images["overview"].copy()
    assert first.shape == (COUNT, 9, 8, 8)
    np.testing.assert_array_equal(first[:, :3], first[:, 6:])
    world.physics.field("light_active")[:] = 0
    watched.step()
    second = watched.sight.pipeline.images["overview"]
    np.testing.assert_array_equal(second[:, 3:], first[:, :6])
    assert (second[:, :3] != first[:, :3]).any()


def test_depth_is_what_near_and_far_make_of_it(world: World) -> None:
    watched = Watched(world, kind="depth", near=0.1, far=0.9)
    seen = watched.sight.pipeline.images["overview"]
    assert seen.shape == (COUNT, 1, 8, 8)
    assert seen.max() == 255  # of the sky
    assert 0 < seen.min() < 255


def test_a_camera_faster_than_the_control_is_refused(world: World) -> None:
    with pytest.raises(UserError, match="rate of 60 Hz above the control rate of 50 Hz"):
        Watched(world, rate=60.0)


def qube(**changes: object) -> ExperimentConfig:
    overrides = [f"{key}={value}" for key, value in changes.items()]
    return load_experiment("qube_swingup", overrides)


def test_visual_randomization_without_a_camera_is_refused_where_it_stands() -> None:
    entry = "{light_diffuse: {distribution: {type: uniform, low: 0, high: 1}}}"
    with pytest.raises(UserError, match=r"light_diffuse.*this experiment has no cameras"):
        qube(randomization=entry)


def test_what_is_not_seen_has_no_place_in_a_held_out_visual_world() -> None:
    entry = "{mass: {distribution: {type: uniform, low: 0.9, high: 1.1}}}"
    with pytest.raises(UserError, match=r"held_out_visuals.*nothing that a camera sees"):
        qube(cameras="[{name: overview, width: 8, height: 8}]", held_out_visuals=entry)


def test_an_agent_without_a_network_for_images_is_refused() -> None:
    with pytest.raises(UserError, match="recurrent_ppo has no network for images"):
        qube(cameras="[{name: overview, width: 8, height: 8}]", agent="recurrent_ppo")


def test_images_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(UserError, match="nature needs 36 x 36 pixels or more: small"):
        qube(cameras="[{name: overview, width: 64, height: 35}]", ppo="{image_network: nature}")


def test_the_held_out_world_keeps_what_is_not_seen() -> None:
    experiment = load_experiment("so101_reach_pixels")
    there = experiment.in_held_out_world()
    assert there.randomization["mass"] == experiment.randomization["mass"]
    assert there.randomization["table_texture"] != experiment.randomization["table_texture"]
    assert "image_blur" not in there.randomization
    with pytest.raises(UserError, match="no held_out_visuals"):
        qube().in_held_out_world()
