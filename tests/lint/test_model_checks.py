from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from simreal.contract import RobotDescription
from simreal.lint.finding import Finding
from simreal.lint.model_checks import check_model
from simreal.lint.model_file import read_model
from simreal.robots import load_robot

ARM = {"name": "arm"}
MOTOR = {"name": "motor", "joint": "arm", "command": "effort", "unit": "N·m", "lower": -1, "upper": 1}
ROBOT = RobotDescription.model_validate({"name": "sample", "joints": [ARM], "actuators": [MOTOR]})
SLIDING = RobotDescription.model_validate(
    {"name": "sample", "joints": [ARM | {"unit": "m"}], "actuators": [MOTOR | {"unit": "N"}]}
)
MODEL = """\
<mujoco>
  <compiler {compiler}/>
  <worldbody>
    <body name="arm" {body}>
      {inertial}
      <joint name="arm" {joint}/>
      <geom size="0.1"/>
    </body>{after}
  </worldbody>
  <actuator><motor name="motor" joint="arm"/></actuator>
</mujoco>
"""

LintModel = Callable[..., list[Finding]]


@pytest.fixture
def lint_model(tmp_path: Path) -> LintModel:
    """Checks the model with some of its text in another way."""

    def run(**edits: str) -> list[Finding]:
        parts = dict.fromkeys(("body", "inertial", "joint", "after"), "")
        parts |= {"compiler": 'angle="radian"'} | edits
        text = MODEL.format(**parts)
        path = tmp_path / "model.xml"
        path.write_text(text, encoding="utf-8")
        file, _ = read_model(path)
        assert file is not None
        return list(check_model(file, SLIDING if "slide" in parts["joint"] else ROBOT))

    return run


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.tuples(*[st.floats(1e-4, 1e-2)] * 3),
    # Not so small a turn that the model's text would hold a subnormal number: MuJoCo reads none.
    turn=st.tuples(*[st.floats(-3, 3).map(lambda angle: round(angle, 6))] * 3),
    excess=st.floats(-0.9, 2.0).filter(lambda value: abs(value) > 1e-3),
)
def test_an_inertia_is_refused_if_no_masses_have_it(
    lint_model: LintModel,
    moments: tuple[float, float, float],
    turn: tuple[float, float, float],
    excess: float,
) -> None:
    """Second moments of masses give an inertia; with a third axis longer than both, nothing does."""
    x, y, z = moments
    principal = np.array([y + z, x + z, x + y])
    if excess > 0:
        principal[2] = principal[0] + principal[1] + excess * principal.max()
    axes = Rotation.from_rotvec(turn).as_matrix()
    full = axes @ np.diag(principal) @ axes.T
    numbers = " ".join(f"{full[i]:.17g}" for i in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)))
    inertial = f'<inertial pos="0 0 0" mass="1" fullinertia="{numbers}"/>'
    found = [
        each
        for each in lint_model(compiler='balanceinertia="true"', inertial=inertial)
        if each.severity == "error"
    ]
    assert bool(found) == (excess > 0)
    if found:
        assert found[0].check == "inertia"
        assert found[0].where.endswith("model.xml:4")


def test_the_inertia_of_what_never_moves_is_nobodys_concern(lint_model: LintModel) -> None:
    zero = '<inertial pos="0 0 0" mass="1" diaginertia="0 0 0"/>'
    assert [each.check for each in lint_model(inertial=zero)] == ["inertia"]
    still = f'<body name="still" pos="1 0 0">{zero}</body>'
    assert lint_model(after=still) == []


@pytest.mark.parametrize(
    ("bounds", "severity"),
    [("-1.57 1.57", "error"), ("-3.14 0", "error"), ("0 6.28", "warning"), ("-2 2", "warning")],
)
def test_a_range_in_radians_is_odd_where_degrees_are_read(
    bounds: str, severity: str, lint_model: LintModel
) -> None:
    """Surely so where it is a share of π."""
    joint = f'range="{bounds}"'
    assert lint_model(joint=joint) == []
    (found,) = lint_model(compiler="", joint=joint)
    assert (found.check, found.severity) == ("unit", severity)
    assert found.where.endswith("model.xml:6")


@pytest.mark.parametrize("bounds", ["-90 90", "0 120", "-45 10", "-15 15"])
def test_a_range_in_degrees_is_odd_where_radians_are_read(bounds: str, lint_model: LintModel) -> None:
    joint = f'range="{bounds}"'
    assert lint_model(compiler="", joint=joint) == []
    assert [each.check for each in lint_model(joint=joint)] == ["unit"]


def test_a_range_of_a_slide_has_no_unit_of_angle(lint_model: LintModel) -> None:
    for compiler in ("", 'angle="radian"'):
        assert lint_model(compiler=compiler, joint='type="slide" range="-2 2"') == []


@pytest.mark.parametrize(("euler", "odd"), [("0 0 1.5708", True), ("0 0 45", False), ("3 0 0", False)])
def test_an_orientation_is_odd_as_a_share_of_pi_in_degrees(
    euler: str, odd: bool, lint_model: LintModel
) -> None:
    found = lint_model(compiler="", body=f'euler="{euler}"')
    assert [each.check for each in found] == (["unit"] if odd else [])


def test_a_chain_that_leads_beside_its_site_is_told_on_the_line_of_the_site() -> None:
    so101 = load_robot("so101")
    tool = so101.description.tools[0]
    turned = tool.chain[1].model_copy(update={"axis": (0.0, 1.0, 0.0)})
    wrong = tool.model_copy(update={"chain": (tool.chain[0], turned, *tool.chain[2:])})
    file, _ = read_model(so101.model_path)
    assert file is not None
    (found,) = check_model(file, so101.description.model_copy(update={"tools": (wrong,)}))
    assert (found.severity, found.check) == ("error", "place")
    assert "tool gripper_frame: its chain" in found.what
    line = int(found.where.rpartition(":")[2])
    assert 'name="gripper_frame"' in so101.model_path.read_text().splitlines()[line - 1]
