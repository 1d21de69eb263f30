"""Tests of walking on terrain: where episodes start, and what rewards take for the ground."""

import numpy as np
import pytest

from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.randomization.randomizer import Randomizer

ROUGH = (
    "terrain={kinds: {flat: 1, stairs_up: 1}, levels: 4}",
    "critic=[foot_height]",
    "schedule={type: fixed}",
    "initial_states={standing: 1}",
)


def make(level: str, *overrides: str) -> BatchEnv:
    entry = f"randomization={{terrain_level: {{distribution: {level}}}}}"
    env = BatchEnv(load_experiment("go2_rough", [*ROUGH, entry, *overrides]), 48)
    env.reset(seed=0)
    return env


def test_episodes_start_on_platforms_of_their_level_and_of_all_kinds_by_their_shares() -> None:
    env = make("{type: choice, values: [1.0, 3.0]}")
    place = env.physics.free_position[:, 0, :2]
    size = env.experiment.terrain.tile_size  # type: ignore[union-attr]
    levels, kinds = np.rint(place / size).T
    assert set(levels) == {1.0, 3.0}
    assert set(kinds) == {0.0, 1.0}
    np.testing.assert_allclose(place, size * np.stack((levels, kinds), axis=1), atol=1e-9)


def test_it_stands_on_that_ground_and_its_feet_are_above_it_by_their_radius() -> None:
    env = make("{type: constant, value: 3.0}")
    heights = env.physics.free_position[:, 0, 2]
    assert np.ptp(heights) > 0.2, "platforms of stairs lie below those of flat ground"
    for _ in range(25):
        step = env.step(np.zeros((48, 12)))
    assert not step.terminated.any()
    np.testing.assert_allclose(step.privileged, 0.022, atol=0.015)


def test_an_episode_on_terrain_replays_bit_for_bit() -> None:
    env = make("{type: uniform, low: 0.0, high: 4.0}", "episode_length=0.4")
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, 48, 12))
    first = [env.step(action).observation.copy() for action in actions[:19]]
    again = make("{type: uniform, low: 0.0, high: 4.0}", "episode_length=0.4")
    for action, seen in zip(actions[:19], first, strict=True):
        np.testing.assert_array_equal(again.step(action).observation, seen)


def test_a_level_beyond_the_map_and_one_without_a_map_are_refused() -> None:
    with pytest.raises(UserError, match="terrain level 5: the map has 0 to 3"):
        make("{type: constant, value: 5.0}")
    flat = load_experiment("go2_velocity", ["randomization={}"])
    entry = load_experiment("go2_rough").randomization["terrain_level"]
    env = BatchEnv(flat, 1, threads=1)
    with pytest.raises(UserError, match="terrain_level"):
        Randomizer({"terrain_level": entry}, env._world)
