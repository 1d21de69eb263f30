from pathlib import Path

import pytest

from simreal.lint.model_file import read_model

MAIN = """\
<mujoco>
  <include file="parts/hand.xml"/>
  <worldbody>
    <body name="arm"
          pos="0 0 1">
      <joint name="arm"/>
      <geom name="arm" size="0.1"/>
    </body>
  </worldbody>
</mujoco>
"""
HAND = """\
<mujoco>
  <worldbody>
    <body name="hand"><freejoint/><geom name="palm" size="0.1"/>
      <geom
        name="thumb" size="0.1"/></body>
  </worldbody>
  <include file="parts/motors.xml"/>
</mujoco>
"""
MOTORS = """\
<mujoco>
  <actuator>
    <motor name="arm" joint="arm"/>
  </actuator>
</mujoco>
"""


def test_an_element_stands_where_it_is_written_also_in_included_files(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for name, text in (("model.xml", MAIN), ("parts/hand.xml", HAND), ("parts/motors.xml", MOTORS)):
        (tmp_path / name).write_text(text)
    file, found = read_model(tmp_path / "model.xml")
    assert file is not None
    assert file.compiled is not None
    assert found == []
    spec = file.spec
    places = [
        (spec.joint("arm"), "model.xml:6"),
        (spec.geom("arm"), "model.xml:7"),
        (spec.body("hand"), "parts/hand.xml:3"),
        (spec.geom("palm"), "parts/hand.xml:3"),
        (spec.actuator("arm"), "parts/motors.xml:3"),
    ]
    for element, place in places:
        assert file.where(element) == str(tmp_path / place)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<mujoco>\n<worldbod/>\n</mujoco>", 2, "worldbod"),
        ("<mujoco>\n<worldbody>\n</mujoco>", 2, "MISMATCHED"),
        ('<mujoco>\n\n<actuator><motor joint="a"/></actuator></mujoco>', 3, "'a'"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_finding_with_its_line(
    text: str, line: int, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.xml"
    path.write_text(text)
    file, (found,) = read_model(path)
    assert file is None or file.compiled is None
    assert found.severity == "error"
    assert found.where == f"{path}:{line}"
    assert words in found.what


def test_a_model_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    file, (found,) = read_model(tmp_path / "no.xml")
    assert file is None
    assert found.where == str(tmp_path / "no.xml")


def test_a_model_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    model, (found,) = read_model(tmp_path / "model.xml")
    assert model is None
    assert (found.what, found.mend) == (f"no model.xml in {tmp_path}", "put the robot's MJCF there")


@pytest.mark.parametrize(
    "element",
    [
        '<actuator><motor joint="amr"/></actuator>',
        '<sensor><jointpos joint="amr"/></sensor>',
        '<actuator><motor site="amr"/></actuator>',
    ],
)
def test_a_name_that_is_not_there_is_told_the_nearest_of_its_kind(element: str, tmp_path: Path) -> None:
    text = MAIN.replace('  <include file="parts/hand.xml"/>\n', "")
    text = text.replace("</worldbody>", '<site name="arms"/></worldbody>' + element)
    (tmp_path / "model.xml").write_text(text)
    _, (found,) = read_model(tmp_path / "model.xml")
    assert found.mend == f"did you mean '{'arms' if 'site' in element else 'arm'}'?"
