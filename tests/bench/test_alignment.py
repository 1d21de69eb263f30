"""The benchmark of alignment, whole and tiny; and that it is not done twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simreal.bench.alignment import Plan, with_and_without
from simreal.errors import UserError

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


def test_arms_are_trained_and_judged(found: dict[str, Any]) -> None:
    [seed] = found["seeds"]
    assert set(seed["arms"]) == {"without", "adversarial"}
    for arm in seed["arms"].values():
        assert 0.0 <= arm["separability"][1] <= arm["separability"][2] <= 1.0
        assert set(arm["success"]) == {"own", "held_out"}
    assert "gain" not in seed["arms"]["without"]
    assert found["robot_minutes"] == pytest.approx(256 / IMAGES_OF_EPISODE * 0.32 / 60.0)


def test_training_sees_the_model_as_it_is_and_the_robot_another_world(
    plan: Plan, found: dict[str, Any]
) -> None:
    spread = {}
    for path in plan.home(3).glob("*.npy"):
        first = np.load(path)[
            ::IMAGES_OF_EPISODE
        ]  # no arm has moved yet: only the ball stands elsewhere
        spread[path.stem.partition("-")[0]] = float(np.median(first.std(axis=0)))
    assert spread["own"] < 2.0 < 10.0 < spread["held_out"]


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
