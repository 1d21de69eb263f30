"""The benchmark of alignment, whole and tiny; and that it is not done twice."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simreal.bench.alignment import APART, Plan, film_episodes, with_and_without
from simreal.env import BatchEnv
from simreal.episode_random import episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment

torch.set_num_threads(1)

TINY = (
    "ppo.simulations=8",
    "ppo.rollout_steps=8",
    "ppo.batch_size=16",
    "teacher.updates=2",
    "episode_length=0.32",
    "cameras=[{name: front, width: 16, height: 16, "
    "mount: {position: [0.68, 0.0, 0.50], look_at: [0.18, 0.0, 0.02], field_of_view: 0.75}}]",
)
IMAGES_OF_EPISODE = 2


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("alignment")
    return Plan(folder, "so101_reach_pixels", TINY, ("adversarial",), 1.0, 128, 256, "policy", 16, print)


@pytest.fixture(scope="module")
def found(plan: Plan) -> dict[str, Any]:
    return with_and_without(plan, [3])


@pytest.mark.long
def test_arms_are_trained_and_judged(found: dict[str, Any]) -> None:
    [seed] = found["seeds"]
    assert set(seed["arms"]) == {"without", "adversarial"}
    for arm in seed["arms"].values():
        assert 0.0 <= arm["separability"][1] <= arm["separability"][2] <= 1.0
        assert set(arm["success"]) == {"own", "held_out"}
    assert "gain" not in seed["arms"]["without"]
    assert found["robot_minutes"] == pytest.approx(256 / IMAGES_OF_EPISODE * 0.32 / 60.0)


@pytest.mark.long
def test_the_robot_stands_in_a_room_that_training_does_not_show(
    plan: Plan, found: dict[str, Any]
) -> None:
    shown = {path.stem.partition("-")[0]: np.load(path) for path in plan.home(3).glob("*.npy")}
    own, held_out = (shown[where].astype(float).mean(axis=0) for where in ("own", "held_out"))
    assert np.abs(own - held_out).mean() > 20.0
    # It is one room: from episode to episode its walls differ by no more than the camera's noise.
    corner = shown["held_out"][::IMAGES_OF_EPISODE, :, 0, 0].astype(float)
    assert corner.std(axis=0).max() < 20.0 < np.abs(own - held_out)[:, 0, 0].max()


def test_each_seed_has_a_room_of_its_own_in_which_things_lie_about(plan: Plan) -> None:
    rooms = [plan.robots(seed).pins for seed in (3, 3, 4)]
    assert rooms[0] == rooms[1] != rooms[2]
    assert "camera_position[front.x]" in rooms[0] and "table_texture[table]" in rooms[0]
    moving = ("distractor_position", "camera_latency", "mass", "encoder_bias")
    assert not [name for name in rooms[0] if name.startswith(moving)]


def test_a_film_shows_how_many_episodes_begin_whatever_its_length() -> None:
    """Where the robot has arrived, nothing new is seen: goals are what an alignment needs many of."""
    experiment = load_experiment("so101_reach_pixels", [*TINY[:4], TINY[5]])  # episodes of 4 s
    film = film_episodes(experiment, "so101_reach", "front", 20, 7)
    env = BatchEnv(experiment.from_start(), 16)
    env.begin(np.arange(16), episode_seed(7, np.arange(16)))
    per_second = math.ceil(experiment.control_rate / APART)
    np.testing.assert_array_equal(film[::per_second], env.images["front"][:3])
    assert len(film) == 20 and np.abs(film[0].astype(int) - film[3]).mean() > 1.0  # it has moved
    np.testing.assert_array_equal(film_episodes(experiment, "so101_reach", "front", 10, 7), film[:10])


@pytest.mark.long
def test_what_is_done_is_not_done_again(plan: Plan, found: dict[str, Any]) -> None:
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*") if path.is_file()}

    before = stamps()
    assert with_and_without(plan, [3])["mean_gain"] == found["mean_gain"]
    assert stamps() == before


@pytest.mark.parametrize(
    ("name", "why"), [("so101_line", "has no teacher to lead"), ("qube_swingup", "has 0 cameras")]
)
def test_what_cannot_be_aligned_is_refused_before_anything_is_trained(
    name: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=why):
        with_and_without(Plan(tmp_path, name, (), ("mmd",), 1.0, 1, 256, "teacher", 2, print), [0])
    assert list(tmp_path.iterdir()) == []
