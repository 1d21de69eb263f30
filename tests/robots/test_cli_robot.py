"""`simreal robot` as it is typed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simreal.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_a_model_is_added_and_checked(own_folder: Path, write_urdf) -> None:
    done = run("robot", "add", write_urdf(), "--name", "their_arm")
    assert done.exit_code == 0, done.output
    assert "settled: fixed base" in done.output
    assert f"written: {own_folder / 'their_arm'}" in done.output
    assert "simreal train their_arm_posture" in done.output
    checked = run("robot", "check", "their_arm", "--json")
    assert checked.exit_code == 0
    assert all(each["severity"] == "warning" for each in json.loads(checked.output))
    listed = json.loads(run("list", "--json").output)
    assert "their_arm" in listed["robots"]
    assert "their_arm_posture" in listed["experiments"]


def test_errors_are_told_and_nothing_is_written(own_folder: Path, write_arm) -> None:
    path = write_arm(('file="sub/link.stl"', 'file="lost.stl"'))
    done = run("robot", "add", path, "--name", "their_arm", "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["folder"] is None
    assert [each["severity"] for each in found["findings"]] == ["error"]
    told = run("robot", "add", path, "--name", "their_arm")
    assert "nothing was written" in told.output
    assert "1 error, 0 warnings" in told.output


@pytest.mark.parametrize("name", ["so101", "qube", "go2"])
def test_shipped_robots_have_no_errors(name: str) -> None:
    done = run("robot", "check", name)
    assert done.exit_code == 0, done.output


def test_a_base_is_for_a_urdf(own_folder: Path, write_arm) -> None:
    done = run("robot", "add", write_arm(), "--name", "their_arm", "--base", "free")
    assert "--base is for URDF" in str(done.exception)


def test_one_broken_robot_does_not_hide_the_others(own_folder: Path) -> None:
    (own_folder / "broken").mkdir(parents=True)
    (own_folder / "broken" / "robot.yaml").write_text("description: {name: broken}\n")
    done = run("list", "--json")
    assert done.exit_code == 0
    assert {"broken", "qube"} <= set(json.loads(done.output)["robots"])
