from pathlib import Path

import mujoco
import pytest

from simreal.lint.finding import Finding
from simreal.lint.model_file import read_model
from simreal.lint.value_checks import check_values

MODEL = """\
<mujoco>
  <worldbody>
    <body name="body">
      <joint name="joint" {joint}/>
      <geom name="nan" size="0.1" {geom}/>
    </body>
  </worldbody>
  <actuator><motor name="inf" joint="joint" {motor}/></actuator>
</mujoco>
"""


def lint_values(folder: Path, **edits: str) -> list[Finding]:
    text = MODEL.format(**{"joint": "", "geom": "", "motor": ""} | edits)
    (folder / "model.xml").write_text(text, encoding="utf-8")
    file, _ = read_model(folder / "model.xml")
    assert file is not None
    return list(check_values(file))


@pytest.mark.parametrize(
    ("part", "attribute", "line"),
    [
        ("joint", 'damping="-0.1"', 4),
        ("joint", 'frictionloss="-0.1"', 4),
        ("joint", 'armature="-0.1"', 4),
        ("joint", 'stiffness="-1"', 4),
        ("joint", 'damping="nan"', 4),
        ("joint", 'pos="0 nan 0"', 4),
        ("joint", 'stiffness="inf"', 4),
        ("geom", 'friction="-1 0.1 0.1"', 5),
        ("geom", 'friction="1 0.1 -0.1"', 5),
        ("geom", 'mass="inf"', 5),
        ("motor", 'gear="nan"', 8),
    ],
)
def test_a_number_that_nothing_has_is_found_where_it_stands(
    tmp_path: Path, part: str, attribute: str, line: int
) -> None:
    (found,) = lint_values(tmp_path, **{part: attribute})
    assert (found.check, found.severity) == ("value", "error")
    assert found.where.endswith(f"model.xml:{line}")


@pytest.mark.parametrize(
    ("part", "attribute"),
    [
        ("joint", 'damping="0" frictionloss="0" armature="0" stiffness="0"'),
        ("joint", 'range="-inf inf"'),
        ("joint", 'pos="0 -1 0"'),
        ("motor", 'gear="-1" forcerange="-inf inf"'),
    ],
)
def test_what_is_negative_or_endless_with_reason_is_nobodys_concern(
    tmp_path: Path, part: str, attribute: str
) -> None:
    assert lint_values(tmp_path, **{part: attribute}) == []


def test_it_is_found_in_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "part.xml").write_text(
        '<mujoco>\n<body name="body"><joint damping="nan"/><geom size="0.1"/></body>\n</mujoco>'
    )
    text = '<mujoco><worldbody><include file="part.xml"/></worldbody></mujoco>'
    (tmp_path / "model.xml").write_text(text)
    file, _ = read_model(tmp_path / "model.xml")
    assert file is not None
    (found,) = check_values(file)
    assert found.where.endswith("part.xml:2")


def test_negative_damping_does_feed_energy_in() -> None:
    """The reason for which it is refused."""
    speed = {}
    for damping in (-0.5, 0.5):
        text = MODEL.format(joint=f'damping="{damping}"', geom="", motor="")
        model = mujoco.MjModel.from_xml_string(text)
        model.opt.gravity[:] = 0.0
        data = mujoco.MjData(model)
        data.qvel[0] = 1.0
        mujoco.mj_step(model, data, 20)
        speed[damping] = data.qvel[0]
    assert speed[-0.5] > 1.0 > speed[0.5]
