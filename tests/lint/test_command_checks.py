"""The verdicts on commands, against the torque that the engine makes of them."""

from pathlib import Path
from typing import Any

import mujoco
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simreal.contract import RobotDescription
from simreal.lint.command_checks import check_commands
from simreal.lint.finding import Finding
from simreal.lint.model_file import read_model

ONE_JOINT = """\
<mujoco>
  <worldbody>
    <body><joint name="joint" type="{kind}"/><geom size="0.1"/></body>
  </worldbody>
  <actuator>
    <general name="motor" joint="joint" {law}/>
  </actuator>
</mujoco>
"""
NUMBERS = st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0])


def lint_law(
    folder: Path, law: str, command: str, kind: str = "hinge"
) -> tuple[list[Finding], mujoco.MjModel]:
    (folder / "model.xml").write_text(ONE_JOINT.format(kind=kind, law=law), encoding="utf-8")
    units = {"hinge": ("rad", "N·m"), "slide": ("m", "N")}[kind]
    unit = {"position": units[0], "effort": units[1], "voltage": "V"}[command]
    actuator = {"name": "motor", "joint": "joint", "command": command, "unit": unit}
    description: dict[str, Any] = {
        "name": "one",
        "joints": [{"name": "joint", "unit": units[0]}],
        "actuators": [actuator | {"lower": -1, "upper": 1}],
    }
    file, _ = read_model(folder / "model.xml")
    assert file is not None
    assert file.compiled is not None
    return list(check_commands(file, RobotDescription.model_validate(description))), file.compiled


def torque(model: mujoco.MjModel, command: float, position: float) -> float:
    data = mujoco.MjData(model)
    data.ctrl[0], data.qpos[0] = command, position
    mujoco.mj_forward(model, data)
    return float(data.qfrc_actuator[0])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gear=NUMBERS, gain=NUMBERS, bias=st.sampled_from([0.0, 0.2]), damped=st.booleans())
def test_an_effort_is_in_its_unit_if_the_engine_gives_the_joint_as_much(
    tmp_path: Path, gear: float, gain: float, bias: float, damped: bool
) -> None:
    law = f'gear="{gear}" gainprm="{gain}" biastype="affine" biasprm="{bias} 0 {-0.3 * damped}"'
    for kind in ("hinge", "slide"):
        found, model = lint_law(tmp_path, law, "effort", kind)
        sizes = {abs(torque(model, command, 0.4)) for command in (1.0, -1.0)}
        assert (found == []) == (sizes == {1.0})
        assert all((each.check, each.severity) == ("drive", "error") for each in found)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gear=NUMBERS, gain=NUMBERS, stiffness=st.sampled_from([0.5, 1.0, 3.0]))
def test_a_position_is_in_its_unit_if_the_servo_rests_where_it_is_told_to(
    tmp_path: Path, gear: float, gain: float, stiffness: float
) -> None:
    law = f'gear="{gear}" gainprm="{gain}" biastype="affine" biasprm="0 {-stiffness} 0"'
    found, model = lint_law(tmp_path, law, "position")
    assert (found == []) == (abs(torque(model, 0.3, 0.3)) < 1e-12)
    assert all(each.where.endswith("model.xml:6") for each in found)


@pytest.mark.parametrize(
    ("law", "command", "severity"),
    [
        ("", "position", "error"),  # a motor
        ('biastype="affine" biasprm="0 -1 0"', "effort", "error"),  # a servo
        ('biastype="affine" biasprm="0 -1 0"', "voltage", "error"),
        ("", "voltage", "warning"),  # no back-EMF
        ('gainprm="0.05" biastype="affine" biasprm="0 0 -0.002"', "voltage", None),
        ('dyntype="integrator"', "effort", "warning"),
        ('biastype="affine" biasprm="0 0 -1"', "effort", "warning"),  # a velocity servo
    ],
)
def test_what_an_actuator_is_against_what_it_is_said_to_be(
    tmp_path: Path, law: str, command: str, severity: str | None
) -> None:
    found, _ = lint_law(tmp_path, law, command)
    assert [each.severity for each in found] == ([severity] if severity else [])
