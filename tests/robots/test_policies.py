"""Tests of the policies that come with robots: they are found by name, and do what is said of them."""

import shutil
from pathlib import Path

import pytest

from simreal.errors import UserError
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
