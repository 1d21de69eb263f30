"""Robots of MuJoCo Menagerie by name: a clone stands in for the network."""

from pathlib import Path

import pytest

from simreal.errors import UserError
from simreal.robot_add.menagerie import menagerie_path

menagerie = pytest.importorskip("mujoco_menagerie")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out as their repository, with one robot in it."""
    (tmp_path / "unitree_go2").mkdir()
    for name in ("go2.xml", "go2_mjx.xml"):
        (tmp_path / "unitree_go2" / name).write_text("<mujoco/>")
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    return tmp_path


def test_a_name_means_the_robot_without_its_scene(clone: Path) -> None:
    assert menagerie_path("menagerie:unitree_go2") == clone / "unitree_go2" / "go2.xml"


def test_a_variant_may_be_named(clone: Path) -> None:
    assert menagerie_path("menagerie:unitree_go2/go2_mjx") == clone / "unitree_go2" / "go2_mjx.xml"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("menagerie:unitree_go9", "did you mean 'unitree_go"),
        ("menagerie:unitree_go2/go3", "go2_mjx"),
        ("menagerie:unitree_g1", "let MENAGERIE_ROOT name a clone"),
    ],
)
def test_what_is_not_there_is_one_message(clone: Path, address: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        menagerie_path(address)


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release server that is not there: the package's own download fails, for real."""
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MENAGERIE_BASE_URL", (tmp_path / "nowhere").as_uri())
    with pytest.raises(UserError, match="without a network"):
        menagerie_path("menagerie:unitree_go2")
