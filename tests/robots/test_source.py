"""Files that are no models, or hostile ones, are refused with one message."""

from pathlib import Path

import pytest

from simreal.errors import UserError
from simreal.robot_add import add_robot, source
from simreal.robot_add.source import open_source

BOMB = """\
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<mujoco model="&b;"/>
"""


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_source(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("robot.xml", b"<sdf/>", "neither MJCF"),
        ("robot.xml", b"", "not valid XML"),
        ("robot.xml", b"<mujoco><worldbody></mujoco>", ":1: not valid XML: mismatched tag"),
        ("robot.urdf", b'\n<?xml version="1.0"?>\n<robot/>', "something stands before"),
        ("robot.urdf", b'<robot xmlns:xacro="x"><xacro:macro/></robot>', "xacro FILE > ROBOT.urdf"),
        ("robot.xacro", b"<robot/>", "expand it first"),
        ("robot.mjcf", b"<mujoco/>", "rename it to robot.xml"),
        ("robot.URDF", b"<robot/>", "rename it to robot.urdf"),
        ("robot.stl", b"solid", "expected a model"),
        ("robot.onnx", b"\0\1\2", "ONNX"),
        ("robot.xml", BOMB.encode(), "DOCTYPE"),
        ("robot.xml", b"<mujoco>" * 300, "deep"),
        ("robot.xml", b"\xff\xfe\xff\xff", "not valid XML"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert reason in refused(tmp_path / name)


def test_what_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.xml")
    assert "this is a folder" in refused(tmp_path)


def test_a_huge_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST_XML", 100)
    (tmp_path / "robot.xml").write_bytes(b"<mujoco/>" + b" " * 200)
    assert "larger than" in refused(tmp_path / "robot.xml")


def test_included_files_are_looked_into_and_once_only(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<mujoco><include file="b.xml"/></mujoco>')
    (tmp_path / "b.xml").write_text('<mujoco><include file="a.xml"/></mujoco>')
    assert [path.name for path in open_source(tmp_path / "a.xml").files] == ["a.xml", "b.xml"]
    (tmp_path / "b.xml").write_text(BOMB)
    assert "b.xml: has a <!DOCTYPE>" in refused(tmp_path / "a.xml")


@pytest.mark.parametrize("name", ["", "Arm", "my arm", "../arm", "9arm", "a" * 41, "qube"])
def test_bad_and_taken_names_are_refused(own_folder: Path, write_arm, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        add_robot(write_arm(), name)
    assert not own_folder.exists()


def test_a_bad_name_comes_with_a_good_one(own_folder: Path, write_arm) -> None:
    with pytest.raises(UserError, match="such as 'my_arm_2'"):
        add_robot(write_arm(), "My Arm-2")
