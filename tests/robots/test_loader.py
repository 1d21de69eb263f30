from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml

from simreal.contract import Joint
from simreal.errors import UserError
from simreal.robots import load_robot, loader, robot_names

SAMPLE = """\
description:
  name: sample
  joints:
    - {name: swing, lower: -1.0, upper: 1.0}
  actuators:
    - {name: motor, joint: swing, command: effort, unit: N·m, lower: -2.0, upper: 2.0}
sensing:
  encoder_resolution: 0.01
safety:
  joint_position: {swing: [-0.9, 0.9]}
"""


@pytest.fixture
def write_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of robots, in which a test writes one."""
    monkeypatch.setattr(loader, "ROBOTS", tmp_path)

    def write(text: str) -> None:
        (tmp_path / "sample").mkdir(exist_ok=True)
        (tmp_path / "sample" / "robot.yaml").write_text(text, encoding="utf-8")

    return write


def test_a_robot_is_what_its_file_says(write_robot: Any) -> None:
    write_robot(SAMPLE)
    assert robot_names() == ["sample"]
    robot = load_robot("sample")
    assert robot.name == "sample"
    assert robot.description.joints == (Joint(name="swing", lower=-1.0, upper=1.0),)
    assert robot.config.sensing.encoder_resolution == 0.01
    assert robot.config.sensing.velocity_filter is None
    assert robot.config.safety.joint_position == {"swing": (-0.9, 0.9)}
    assert robot.model_path.name == "model.xml"


def test_an_unknown_robot_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="no robot 'qub': did you mean 'qube'"):
        load_robot("qub")


@pytest.mark.parametrize("name", ["", ".", "..", "../robots/qube", "/etc"])
def test_a_path_is_no_robot(name: str) -> None:
    with pytest.raises(UserError, match="no robot"):
        load_robot(name)


@pytest.mark.parametrize(
    ("right", "wrong", "line", "reason"),
    [
        ("encoder_resolution: 0.01", "encoder_resolutin: 0.01", 8, "did you mean 'encoder_resolution'"),
        ("encoder_resolution: 0.01", "encoder_resolution: -0.01", 8, "greater than or equal to 0"),
        ("joint: swing", "joint: swig", 1, "did you mean 'swing'"),
        ("{swing: [-0.9, 0.9]}", "{swin: [-0.9, 0.9]}", 1, "did you mean 'swing'"),
        ("{swing: [-0.9, 0.9]}", "{swing: [-0.9]}", 10, "swing"),
        ("lower: -2.0, upper: 2.0", "lower: 2.0, upper: -2.0", 6, "not below"),
        ("unit: N·m", "unit: Nm", 6, "'N·m'"),
    ],
)
def test_a_fault_in_a_robot_file_is_told_by_its_place(
    write_robot: Any, right: str, wrong: str, line: int, reason: str
) -> None:
    assert SAMPLE.count(right) == 1
    write_robot(SAMPLE.replace(right, wrong))
    with pytest.raises(UserError) as caught:
        load_robot("sample")
    message = str(caught.value)
    assert reason in message
    assert "sample/robot.yaml" in message
    if line > 1:  # a rule that spans sections has no line
        assert f"robot.yaml:{line}: " in message


@pytest.mark.parametrize("name", robot_names())
class TestEveryRobot:
    """What robot.yaml promises to policies, the model must keep."""

    def test_it_carries_its_folders_name(self, name: str) -> None:
        assert load_robot(name).name == name

    def test_its_folder_says_where_its_numbers_come_from(self, name: str) -> None:
        assert "source" in (load_robot(name).model_path.parent / "README.md").read_text().lower()

    def test_its_joints_are_the_models(self, name: str) -> None:
        robot = load_robot(name)
        model = mujoco.MjModel.from_xml_path(str(robot.model_path))
        for joint in robot.description.joints:
            modelled = model.joint(joint.name)
            hinge = modelled.type[0] == mujoco.mjtJoint.mjJNT_HINGE
            assert joint.unit == ("rad" if hinge else "m")
            assert bool(model.jnt_limited[modelled.id]) == (joint.lower is not None)
            if joint.lower is not None:
                assert [joint.lower, joint.upper] == pytest.approx(model.jnt_range[modelled.id])
        floating = int((model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)).sum())
        assert len(robot.description.joints) == model.njnt - floating

    def test_its_actuators_are_the_models(self, name: str) -> None:
        robot = load_robot(name)
        model = mujoco.MjModel.from_xml_path(str(robot.model_path))
        assert len(robot.description.actuators) == model.nu
        for actuator in robot.description.actuators:
            modelled = model.actuator(actuator.name)
            assert model.joint(modelled.trnid[0]).name == actuator.joint
            assert model.actuator_ctrllimited[modelled.id]
            assert [actuator.lower, actuator.upper] == pytest.approx(modelled.ctrlrange)

    def test_its_safety_bounds_lie_within_its_limits(self, name: str) -> None:
        robot = load_robot(name)
        safety = robot.config.safety
        for joint in robot.description.joints:
            low, high = safety.joint_position.get(joint.name, (-np.inf, np.inf))
            assert low < joint.default_position < high
            if joint.lower is not None and joint.upper is not None:
                assert joint.lower <= low < high <= joint.upper
            if joint.velocity_limit is not None:
                assert safety.joint_velocity.get(joint.name, 0.0) <= joint.velocity_limit

    def test_its_file_has_no_key_twice_or_unread(self, name: str) -> None:
        path = load_robot(name).model_path.parent / "robot.yaml"
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        read = load_robot(name).config.model_dump(mode="json", exclude_unset=True)
        assert read == written

    def test_its_model_stands_at_the_default_position(self, name: str) -> None:
        robot = load_robot(name)
        model = mujoco.MjModel.from_xml_path(str(robot.model_path))
        data = mujoco.MjData(model)
        if model.nkey:
            mujoco.mj_resetDataKeyframe(model, data, 0)
        for joint in robot.description.joints:
            assert data.joint(joint.name).qpos[0] == pytest.approx(joint.default_position)
