"""Tests of the policies that come with robots: they are found by name, and do what is said of them."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from simreal.errors import UserError
from simreal.evaluate import evaluate, load_candidate
from simreal.robots import policies


def test_a_file_is_itself_and_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "mine.onnx"
    assert policies.find_policy(there) == there
    with pytest.raises(UserError, match="no shipped policy of that name"):
        policies.find_policy(Path("go3_velocity"))


def test_a_policy_in_a_folder_of_the_users_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = tmp_path / "cart"
    (robot / "policies").mkdir(parents=True)
    shutil.copy(Path(__file__), robot / "robot.yaml")
    (robot / "policies" / "cart_balance.onnx").write_bytes(b"")
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path))
    assert policies.find_policy(Path("cart_balance")) == robot / "policies" / "cart_balance.onnx"
    with pytest.raises(UserError, match="did you mean 'cart_balance'"):
        policies.find_policy(Path("cart_balanse"))


def test_the_go2_walks_as_its_report_says() -> None:
    candidate = load_candidate(Path("go2_velocity"))
    short = candidate.experiment.model_copy(update={"episode_length": 6.0})
    found = evaluate(dataclasses.replace(candidate, experiment=short), episodes=32, seed=5).summary
    assert found.ended_by.get("fallen", 0) <= 2
    assert found.metrics["velocity_error_m_s"].value < 0.25
    assert found.metrics["yaw_rate_error_rad_s"].value < 0.25


@pytest.mark.long
@pytest.mark.parametrize("name", ["so101_reach", "so101_push", "so101_lift", "qube_swingup"])
def test_it_succeeds_as_its_report_says(name: str) -> None:
    found = evaluate(load_candidate(Path(name)), episodes=64, seed=5).summary
    assert found.success.value > 0.8
