import os
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml

from simreal.contract import Joint
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.robots import load_robot, loader, robot_experiments, robot_folders, robot_names

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
    """A folder of robots, in which a test writes one, and no others anywhere."""
    monkeypatch.setattr(loader, "ROBOTS", tmp_path)
    monkeypatch.delenv("SIMREAL_ROBOTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

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
    with pytest.raises(UserError, match=r"no robot 'qub': did you mean 'qube'.*\n  looked for in"):
        load_robot("qub")


def test_an_unknown_experiment_tells_where_robots_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path / "wrong"))
    with pytest.raises(UserError, match="no experiment or YAML file 'arm_posture'") as caught:
        load_experiment("arm_posture")
    assert f"looked for in {tmp_path / 'wrong'} (not there), robots" in str(caught.value)


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
        (
            "{swing: [-0.9, 0.9]}",
            "{swin: [-0.9, 0.9]}",
            10,
            "safety.joint_position.swin: no joint 'swin': did you mean 'swing'",
        ),
        (
            "{swing: [-0.9, 0.9]}",
            "{swing: [-0.9, 0.9]}\n  stall: {motr: 1.0}",
            11,
            "safety.stall.motr: no actuator 'motr': did you mean 'motor'",
        ),
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


class TestPlaces:
    """Robots stand in simreal, in packages, and in folders of whoever uses it."""

    @pytest.fixture
    def places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
        """A package, two folders of the environment, the working folder and the user's own."""
        package = tmp_path / "site" / "their_robots"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('needs not be imported')")
        metadata = tmp_path / "site" / "their_robots-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-robots\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[simreal.robots]\ntheirs = their_robots\n")
        monkeypatch.syspath_prepend(tmp_path / "site")
        first, second = tmp_path / "first", tmp_path / "second"
        monkeypatch.setenv("SIMREAL_ROBOTS", f"{first}{os.pathsep}{second}")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        work = tmp_path / "work"
        work.mkdir()
        monkeypatch.chdir(work)
        folders = {"package": package, "first": first, "second": second}
        own = tmp_path / "data" / "simreal" / "robots"
        return folders | {"working": work / "robots", "own": own}

    def put(self, folder: Path, name: str, resolution: float = 0.01) -> None:
        (folder / name).mkdir(parents=True)
        text = SAMPLE.replace("name: sample", f"name: {name}").replace("0.01", str(resolution))
        (folder / name / "robot.yaml").write_text(text, encoding="utf-8")

    def test_each_place_is_looked_into(self, places: dict[str, Path]) -> None:
        for name, folder in places.items():
            self.put(folder, f"robot_of_{name}")
        found = robot_folders()
        for name, folder in places.items():
            assert found[f"robot_of_{name}"].path == folder / f"robot_of_{name}"
            assert load_robot(f"robot_of_{name}").name == f"robot_of_{name}"
        assert "their_robots" in found["robot_of_package"].origin
        assert found["qube"].origin == "simreal"

    def test_the_first_of_a_name_is_meant_and_a_shipped_one_always(
        self, places: dict[str, Path]
    ) -> None:
        self.put(places["first"], "qube")
        assert load_robot("qube").model_path.parent.parent == loader.ROBOTS
        for number, name in enumerate(("own", "working", "second", "first", "package")):
            self.put(places[name], "same", resolution=number + 1.0)
            assert load_robot("same").config.sensing.encoder_resolution == number + 1.0

    def test_new_robots_go_to_the_first_folder_of_the_environment(
        self, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert loader.own_folder() == places["first"]
        monkeypatch.delenv("SIMREAL_ROBOTS")
        assert loader.own_folder() == places["own"]
        monkeypatch.setenv("XDG_DATA_HOME", "relative")
        assert loader.own_folder() == Path.home() / ".local/share/simreal/robots"

    def test_experiments_beside_a_robot_are_known_by_name(self, places: dict[str, Path]) -> None:
        self.put(places["own"], "mine")
        path = places["own"] / "mine" / "mine_posture.yaml"
        path.write_text("robot: mine\n")
        assert robot_experiments() == {"mine_posture": path}

    def test_a_package_that_is_broken_does_not_hide_shipped_robots(
        self, places: dict[str, Path], tmp_path: Path
    ) -> None:
        listed = tmp_path / "site" / "their_robots-1.0.dist-info" / "entry_points.txt"
        listed.write_text("[simreal.robots]\ntheirs = no_such_package\n")
        assert load_robot("qube").name == "qube"
        with pytest.raises(UserError, match=r"their-robots names robots in 'no_such_package'"):
            robot_names()


SHIPPED = [name for name, folder in robot_folders().items() if folder.origin == "simreal"]


@pytest.mark.parametrize("name", SHIPPED)
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
                # A stop gives way a little, and a servo pressed against it reads that.
                assert joint.lower - 0.06 <= low < high <= joint.upper + 0.06
            if joint.velocity_limit is not None:
                # And a reported velocity is noisy.
                assert safety.joint_velocity.get(joint.name, 0.0) <= 1.25 * joint.velocity_limit

    def test_its_file_has_no_key_twice_or_unread(self, name: str) -> None:
        path = load_robot(name).model_path.parent / "robot.yaml"
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        read = load_robot(name).config.model_dump(mode="json", exclude_unset=True)
        assert read == written

    def test_its_default_posture_is_within_its_range_and_its_keyframes(self, name: str) -> None:
        robot = load_robot(name)
        model = mujoco.MjModel.from_xml_path(str(robot.model_path))
        data = mujoco.MjData(model)
        if model.nkey:
            mujoco.mj_resetDataKeyframe(model, data, 0)
        for joint in robot.description.joints:
            if joint.lower is not None and joint.upper is not None:
                assert joint.lower <= joint.default_position <= joint.upper
            if model.nkey:
                assert data.joint(joint.name).qpos[0] == pytest.approx(joint.default_position)
