"""Each fault that somebody's model may have is found by its name, and a sound model has none of it."""

import re
import warnings
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.env import BatchEnv
from simreal.experiment import load_experiment
from simreal.lint import lint_experiment
from simreal.lint.finding import Finding
from simreal.physics.drives import command_range, effort_limit, read_drives
from simreal.robot_add import add_robot, check_robot
from simreal.robot_add.urdf import Base
from simreal.robots import load_robot

URDF_LIMIT = '<limit lower="-2.0" upper="2.0" effort="5" velocity="8"/>'


def audit(path: Path, base: Base | None = None) -> list[Finding]:
    return add_robot(path, "audited", base).findings


def of_check(found: list[Finding], check: str) -> list[Finding]:
    return [each for each in found if each.check == check]


def test_a_sound_model_has_no_findings(own_folder: Path, write_arm) -> None:
    assert audit(write_arm()) == []


WITHOUT_INERTIAL = '<inertial pos="0 0 0.05" mass="0.2" diaginertia="0.0005 0.0005 0.0001"/>'


@pytest.mark.parametrize(
    ("old", "new", "check", "says"),
    [
        ('angle="radian"', 'angle="degree"', "unit", "shoulder: range -1.5 1.5 is read as degrees"),
        (' range="-1.5 1.5" a', ' range="-90 90" a', "unit", "range -90 90 is read as radians"),
        (' range="-1.5 1.5" a', " a", "limits", "joint shoulder has no range"),
        (' ctrlrange="-1.5 1.5"', "", "actuators", "actuator shoulder has no ctrlrange"),
        ('ctrlrange="-1.5 1.5"', 'ctrlrange="-3 3"', "actuators", "would push against the stops"),
        (' forcerange="-8 8"', "", "limits", "no limit of effort: shoulder"),
        ('kp="40"', 'kp="2"', "servo", "actuator shoulder sags"),
        ('timestep="0.002"', 'timestep="0.04"', "timestep", "actuator shoulder: stiffness 40"),
        ('qpos="0.3 0.8"', 'qpos="0.3 3.0"', "posture", "elbow stands at 3, outside of 0.2 to 2.5"),
        ('qpos="0.3 0.8"', 'qpos="0.3"', "posture", "keyframe home has 1 numbers of qpos, the model 2"),
        ('diaginertia="0.002 0.002 0.0005"', 'diaginertia="20 20 5"', "inertia", "body upper reaches"),
        ('fromto="0 0 0.03', 'fromto="0 0 -0.2', "overlap", "base and upper overlap"),
        (WITHOUT_INERTIAL, "", "mass", "body fore weighs 0.0565 kg: its shapes are taken for water"),
        ('<general name="elbow"', "<general", "name", "without a name: actuator 1"),
        ('<body name="fore"', "<body", "name", "without a name: body 3"),
    ],
)
def test_a_fault_is_found_and_told_with_a_mend(
    own_folder: Path, write_arm, old: str, new: str, check: str, says: str
) -> None:
    stand = ('<body name="base">', '<body name="base"><geom type="box" size="0.05 0.05 0.02"/>')
    path = write_arm((old, new), *([stand] if check == "overlap" else []))
    found = of_check(audit(path), check)
    assert any(says in each.what for each in found), [each.what for each in found]
    assert all(each.mend for each in found)
    assert all(str(path) in each.where for each in found)


def test_what_has_a_mass_on_its_shapes_is_not_taken_for_water_and_marks_of_the_scene_are_left_out(
    own_folder: Path, write_arm
) -> None:
    edits = [
        ('<inertial pos="0 0 0.1" mass="0.5" diaginertia="0.002 0.002 0.0005"/>', ""),
        (WITHOUT_INERTIAL, ""),
        ('size="0.02"', 'size="0.02" mass="0.5"'),
        ('size="0.015"', 'size="0.015" mass="0.2"'),
        ("</worldbody>", '<body name="mark" mocap="true"><geom size="0.1"/></body></worldbody>'),
        ("<keyframe>", '<equality><weld body1="mark" body2="fore"/></equality><keyframe>'),
    ]
    assert of_check(audit(write_arm(*edits)), "mass") == []
    copy = (own_folder / "audited" / "model.xml").read_text()
    assert "mark" not in copy and "weld" not in copy
    assert "body mark is left out" in (own_folder / "audited" / "README.md").read_text()


def test_a_model_without_bodies_is_one_finding_and_no_warning_of_numpy(
    own_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "nothing.urdf"
    path.write_text('<robot name="nothing"><link name="base"/></robot>')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert any(each.check == "joint" for each in audit(path))


UNDAMPED = (
    ('range="-1.5 1.5" armature="0.02" damping="0.1"', 'range="-1.5 1.5" armature="0.02"'),
    ('kp="40" kv="2"', 'kp="40"'),
)


def test_a_servo_without_damping_is_told_and_the_mend_damps_it(own_folder: Path, write_arm) -> None:
    added = add_robot(write_arm(*UNDAMPED), "swinging")
    (found,) = of_check(added.findings, "servo")
    assert found.what == "actuator shoulder has no damping, and neither has its joint"
    assert "-0.0" not in (own_folder / "swinging" / "robot.yaml").read_text()
    kv = re.search(r'kv="[0-9.]+"', found.mend)
    assert kv is not None
    mended = (UNDAMPED[0], ('kp="40" kv="2"', f'kp="40" {kv.group()}'))
    assert audit(write_arm(*mended)) == []
    model = mujoco.MjModel.from_xml_path(str(write_arm(*mended)))
    assert (
        residual_swing(model)
        < 0.02
        < 0.5
        < residual_swing(mujoco.MjModel.from_xml_path(str(write_arm(*UNDAMPED))))
    )


def residual_swing(model: mujoco.MjModel) -> float:
    """Share of a first deflection of the shoulder that is there again after a second, gravity aside."""
    model.opt.gravity[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[:] = 0.2, 1.0
    data.ctrl[:] = 0.0, (10.0 - 2.0) / 0.09  # where the elbow stands
    mujoco.mj_step(model, data, 500)
    largest = 0.0
    for _ in range(250):
        mujoco.mj_step(model, data)
        largest = max(largest, abs(float(data.qpos[0])))
    return largest / 0.2


def test_one_that_only_its_joint_damps_is_not(own_folder: Path, write_arm) -> None:
    assert audit(write_arm(UNDAMPED[1])) == []


def test_a_name_in_place_of_none_is_the_parts_place(own_folder: Path, write_walker) -> None:
    added = add_robot(write_walker(('<joint name="fl_hip"', "<joint")), "walker")
    assert any("joint 1 of body fl" in each.what for each in of_check(added.findings, "name"))
    assert "fl_joint" in load_robot("walker").description.joint_names


def test_a_missing_mesh_is_told_with_its_path_and_where_else_it_is(own_folder: Path, write_arm) -> None:
    path = write_arm(('file="sub/link.stl"', 'file="lost/link.stl"'))
    (found,) = audit(path)
    assert found.severity == "error"
    assert "mesh tip: no file" in found.what
    assert str(path.parent / "meshes" / "lost" / "link.stl") in found.what
    assert "there is one at" in found.mend


def test_a_missing_mesh_of_a_urdf_is_told_with_what_was_looked_for(own_folder: Path, write_urdf) -> None:
    path = write_urdf(("meshes/base.stl", "meshes/lost.stl"))
    (found,) = of_check(audit(path), "asset")
    assert found.where == f"{path}:6"
    assert "package://their_arm_description/meshes/lost.stl" in found.what
    assert str(path.parent.parent / "meshes" / "lost.stl") in found.what


def test_a_mesh_that_mujoco_cannot_read_is_only_not_seen(own_folder: Path, write_urdf) -> None:
    path = write_urdf(("meshes/base.stl", "meshes/base.dae"))
    mesh = path.parent.parent / "meshes"
    (mesh / "base.stl").rename(mesh / "base.dae")
    (found,) = of_check(audit(path), "asset")
    assert found.severity == "warning"
    assert "not .dae" in found.what


def test_a_convertible_mesh_beside_it_is_taken(own_folder: Path, write_urdf) -> None:
    path = write_urdf(("meshes/base.stl", "meshes/base.dae"))
    (path.parent.parent / "meshes" / "base.dae").write_text("collada")
    assert of_check(audit(path), "asset") == []


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ('effort="0" velocity="8"', "elbow: effort limit 0 is no motor"),
        ('effort="1e6" velocity="8"', "elbow: effort limit 1e+06 is a placeholder"),
        ('effort="5" velocity="10000"', "elbow: velocity limit 10000 is a placeholder"),
        ('effort="5" velocity="0"', "elbow: velocity limit 0"),
    ],
)
def test_placeholders_are_found(own_folder: Path, write_urdf, limit: str, says: str) -> None:
    path = write_urdf(('effort="5" velocity="8"', limit))
    added = add_robot(path, "audited")
    (found,) = (each for each in of_check(added.findings, "limits") if says in each.what)
    elbow = load_robot("audited").description.joints[1]
    assert ("no limit of velocity" in found.mend) == (elbow.velocity_limit is None)
    assert ("an estimate" in found.mend) == ("effort" in says)


def test_numbers_that_are_the_same_everywhere_are_placeholders(own_folder: Path, write_urdf) -> None:
    third = (
        '<joint name="wrist" type="revolute"><parent link="fore"/><child link="hand"/>'
        '<origin xyz="0 0 0.2"/><limit lower="-1" upper="1" effort="10" velocity="10"/></joint>'
        '<link name="hand"><inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" '
        'ixy="0" ixz="0" iyz="0"/></inertial></link></robot>'
    )
    alike = ('effort="5" velocity="8"', 'effort="10" velocity="10"')
    path = write_urdf(
        alike, ("</robot>", third), ('effort="12" velocity="6"', 'effort="10" velocity="10"')
    )
    assert any("every joint has" in each.what for each in of_check(audit(path), "limits"))


@pytest.mark.parametrize(
    ("edit", "line", "check", "says"),
    [
        ((URDF_LIMIT, '<limit lower="2" upper="-2" effort="5" velocity="8"/>'), 36, "limits", "above"),
        (('<joint name="elbow"', '<joint name="shoulder"'), 36, "name", "2 joints are called shoulder"),
        ((URDF_LIMIT, URDF_LIMIT + '<mimic joint="sholder"/>'), 36, "joint", "mimics 'sholder'"),
        ((URDF_LIMIT, URDF_LIMIT + '<mimic joint="elbow"/>'), 36, "joint", "mimics itself"),
        (
            ('<parent link="upper"/><child link="tool"/>', '<parent link="fore"/><child link="upper"/>'),
            33,
            "joint",
            "link upper is the child of joint shoulder and of joint mount",
        ),
    ],
)
def test_joints_of_a_urdf_that_mujoco_would_take_for_others_are_errors(
    own_folder: Path, write_urdf, edit: tuple[str, str], line: int, check: str, says: str
) -> None:
    path = write_urdf(edit)
    (error,) = (each for each in audit(path) if each.severity == "error")
    assert (error.where, error.check) == (f"{path}:{line}", check)
    assert says in error.what


def test_degrees_in_a_urdf_are_found(own_folder: Path, write_urdf) -> None:
    path = write_urdf((URDF_LIMIT, '<limit lower="-90" upper="90" effort="5" velocity="8"/>'))
    (found,) = of_check(audit(path), "unit")
    assert "joint elbow: range -90 90 is read as radians" in found.what
    assert found.mend == "write radians: a URDF has no other unit"
    assert found.severity == "error"
    assert not (own_folder / "audited").exists()
    assert found.where.startswith(f"{path}:")


def test_a_winch_of_several_turns_is_only_doubted(own_folder: Path, write_urdf) -> None:
    path = write_urdf((URDF_LIMIT, '<limit lower="0" upper="31.4159" effort="5" velocity="8"/>'))
    assert {each.severity for each in of_check(audit(path), "unit")} == {"warning"}


def test_a_link_that_moves_and_weighs_nothing_is_an_error(own_folder: Path, write_urdf) -> None:
    path = write_urdf(('<mass value="0.3"/>', '<mass value="0"/>'))
    (error,) = (each for each in audit(path) if each.severity == "error")
    assert error.what == "link fore moves and its <inertial> is of no mass"
    assert "<inertial>" in error.mend


def test_a_link_that_moves_without_inertial_is_told_with_its_line(own_folder: Path, write_urdf) -> None:
    text = write_urdf().read_text()
    start = text.index("<inertial>", text.index('name="fore"'))
    inertial = text[start : text.index("</inertial>", start) + len("</inertial>")]
    path = write_urdf((inertial, ""))
    (error,) = (each for each in audit(path) if each.severity == "error")
    assert error.what == "link fore moves and has no <inertial>"
    assert error.where == f"{path}:21"


def test_an_inertia_that_no_masses_have_is_an_error(own_folder: Path, write_urdf) -> None:
    path = write_urdf(('izz="0.0002"', 'izz="0.02"'))
    found = [each for each in of_check(audit(path), "inertia") if each.severity == "error"]
    assert any("body fore: no masses have the inertia" in each.what for each in found)


def test_a_walker_that_nothing_can_touch_is_an_error(own_folder: Path, write_walker) -> None:
    off = "<worldbody>"
    path = write_walker((off, '<default><geom contype="0" conaffinity="0"/></default>' + off))
    assert [each.severity for each in of_check(audit(path), "contact")] == ["error"]


def test_any_bit_of_a_contact_mask_stands_on_the_ground(own_folder: Path, write_walker) -> None:
    off = "<worldbody>"
    path = write_walker((off, '<default><geom contype="0" conaffinity="4"/></default>' + off))
    added = add_robot(path, "walker")
    env = BatchEnv(load_experiment(added.experiment, ("randomization={}",)), 1, threads=1)
    env.reset(0)
    for _ in range(50):
        env.step(np.zeros((1, env.action_size)))
    assert env.physics.free_position[0, 0, 2] > 0.15


def test_millimetres_are_found(own_folder: Path, write_urdf) -> None:
    path = write_urdf(('<origin xyz="0 0 0.25"/>', '<origin xyz="0 0 250"/>'))
    assert any("m from end to end" in each.what for each in of_check(audit(path), "unit"))


def test_a_mesh_in_mm_is_told_before_the_inertia_that_it_makes_look_wrong(
    own_folder: Path, write_urdf
) -> None:
    mesh = "package://their_arm_description/meshes/base.stl"
    visual = f'<visual><geometry><mesh filename="{mesh}" scale="999 999 999"/></geometry></visual>'
    path = write_urdf(('<link name="fore">', f'<link name="fore">{visual}'))
    (found,) = of_check(audit(path), "inertia")
    assert "body fore reaches" in found.what
    assert found.mend.startswith('scale="0.001 0.001 0.001" on mesh')


def test_grams_of_one_link_are_found(own_folder: Path, write_urdf) -> None:
    path = write_urdf(('<mass value="0.8"/>', '<mass value="800"/>'))
    (found,) = of_check(audit(path), "unit")
    assert "body upper weighs 800 kg, 4.2e+06 kg/m³" in found.what  # 0.04 m, 0.04 m, 0.12 m
    assert found.where == f"{path}:10"


def test_a_scene_without_a_robot_is_an_error(own_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "scene.xml"
    path.write_text("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>")
    assert any(each.check == "joint" and each.severity == "error" for each in audit(path))


def test_the_shape_of_the_tree_tells_a_walker_from_an_arm(own_folder: Path, write_urdf) -> None:
    """Two chains of two joints from one root are legs."""
    path = write_urdf()
    one = path.read_text()
    body = one[one.index('<link name="upper">') : one.index("</robot>")]
    other = body
    for name in ("upper", "tool", "fore", "shoulder", "mount", "elbow"):
        other = other.replace(f'"{name}"', f'"{name}_2"')
    inertial = (
        '<link name="base_link"><inertial><mass value="2"/><inertia ixx=".01" iyy=".01" izz=".01" '
        'ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    path.write_text(
        one.replace("</robot>", other + "</robot>").replace('<link name="base_link">', inertial)
    )
    added = add_robot(path, "legs")
    assert added.experiment == "legs_stand"
    assert add_robot(path, "arms", base="fixed").experiment == "arms_posture"


@given(
    gear=st.floats(0.1, 200).flatmap(lambda value: st.sampled_from([value, -value])),
    gain=st.floats(0.01, 100),
    bias=st.tuples(st.floats(-5, 5), st.floats(-200, 0), st.floats(-20, 0)),
    u=st.floats(-1, 1),
    q=st.floats(-1, 1),
    v=st.floats(-2, 2),
)
def test_every_linear_actuator_is_understood(
    gear: float, gain: float, bias: tuple[float, float, float], u: float, q: float, v: float
) -> None:
    """A command in rad or N·m gives the torque that MuJoCo computes from its own."""
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name="b")
    body.add_joint(name="j")
    body.add_geom(size=[0.1, 0, 0])
    actuator = spec.add_actuator(name="a", target="j", trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gear[0], actuator.gainprm[0] = gear, gain
    actuator.biastype, actuator.biasprm[:3] = mujoco.mjtBias.mjBIAS_AFFINE, bias
    actuator.ctrllimited, actuator.ctrlrange = mujoco.mjtLimited.mjLIMITED_TRUE, (-1, 1)
    model = spec.compile()
    drives, foreign = read_drives(model)
    data = mujoco.MjData(model)
    data.qpos[0], data.qvel[0], data.ctrl[0] = q, v, u
    mujoco.mj_forward(model, data)
    if foreign:
        assert bias[1] == 0.0 and bias[2] != 0.0
        return
    (drive,) = drives
    command = drive.scale * u + drive.offset
    if drive.command == "position":
        torque = drive.stiffness * (command - q) - drive.damping * v
    else:
        torque = command - drive.damping * v
    size = abs(gear) * (gain + sum(map(abs, bias)) * max(1.0, abs(gear))) + 1e-9
    assert torque == pytest.approx(float(data.qfrc_actuator[0]), abs=1e-9 * size)
    reached = command_range(model, drive)
    assert reached is not None
    assert reached[0] - 1e-9 <= command <= reached[1] + 1e-9
    if drive.command == "effort":
        assert effort_limit(model, drive) == pytest.approx(max(map(abs, reached)))


@pytest.mark.parametrize(
    ("actuator", "reason"),
    [
        ('<velocity joint="shoulder" kv="2"/>', "velocity servo"),
        ('<intvelocity joint="shoulder" kp="2" actrange="-1 1"/>', "integrator"),
        ('<muscle joint="shoulder"/>', "muscle"),
        ('<adhesion body="fore" ctrlrange="0 1"/>', "body"),
    ],
)
def test_what_no_policy_commands_is_left_out_and_said(
    own_folder: Path, write_arm, actuator: str, reason: str
) -> None:
    path = write_arm(("</actuator>", actuator + "</actuator>"))
    found = of_check(audit(path), "actuators")
    assert any("left out" in each.what and reason in each.what for each in found), found


LIGHT_YAW = (
    ('kp="40" kv="2"', 'kp="40" kv="40"'),  # on 0.0385 kg·m²: 40 * 0.002 / 0.0385 is 2.08
)


def test_damping_that_swings_for_ever_is_an_error_and_can_be_mended(own_folder: Path, write_arm) -> None:
    (found,) = of_check(audit(write_arm(*LIGHT_YAW)), "timestep")
    assert found.severity == "error"
    assert "its damping of 40" in found.what
    assert "swings for ever" in found.what
    assert 'integrator="implicitfast"' in found.mend
    mended = ('timestep="0.002"', 'timestep="0.002" integrator="implicitfast"')
    assert audit(write_arm(*LIGHT_YAW, mended)) == []


def test_damping_that_turns_the_speed_around_is_told_with_the_most_there_may_be(
    own_folder: Path, write_arm
) -> None:
    added = add_robot(write_arm(('kp="40" kv="2"', 'kp="40" kv="25"')), "braked")
    (found,) = of_check(added.findings, "timestep")
    assert found.severity == "warning"
    assert "reversed in each" in found.what
    kv = re.search(r'kv="[0-9.]+"', found.mend)
    assert kv is not None
    assert of_check(audit(write_arm(('kp="40" kv="2"', f'kp="40" {kv.group()}'))), "timestep") == []
    again = [each.what for each in of_check(check_robot("braked"), "timestep")]
    assert again == [found.what]
    assert [each.what for each in of_check(lint_experiment(added.experiment), "timestep")] == again


def test_what_no_servo_by_itself_explains_is_seen_in_motion(own_folder: Path, write_arm) -> None:
    """A tendon's actuator is no servo that a policy commands, and shakes the joint like one."""
    tendon = '<tendon><fixed name="pull"><joint joint="shoulder" coef="1"/></fixed></tendon><actuator>'
    brake = '<general name="brake" tendon="pull" biastype="affine" biasprm="0 0 -40"/></actuator>'
    path = write_arm(("<actuator>", tendon), ("</actuator>", brake))
    (found,) = of_check(audit(path), "timestep")
    assert found.severity == "warning"
    assert "held in its default posture" in found.what
    assert "shoulder by" in found.what
    mended = ('timestep="0.002"', 'timestep="0.002" integrator="implicitfast"')
    assert 'integrator="implicitfast"' in found.mend
    path = write_arm(("<actuator>", tendon), ("</actuator>", brake), mended)
    assert of_check(add_robot(path, "mended").findings, "timestep") == []


def test_warnings_are_told_beside_a_missing_mesh(own_folder: Path, write_arm) -> None:
    path = write_arm(('file="sub/link.stl"', 'file="lost/nowhere.stl"'), (' forcerange="-8 8"', ""))
    added = add_robot(path, "audited")
    assert added.folder is None
    assert [(each.severity, each.check) for each in added.findings] == [
        ("error", "asset"),
        ("warning", "limits"),
    ]
    assert added.findings[0].mend == "put it there, or correct the path, or remove what uses it"


def test_a_mesh_of_a_urdf_may_be_left_out(own_folder: Path, write_urdf) -> None:
    (found,) = of_check(audit(write_urdf(("meshes/base.stl", "meshes/lost.stl"))), "asset")
    assert found.mend.endswith("or correct the path, or remove the visual")


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("continuous", '<limit effort="5" velocity="8"/>'), ("continuous", ""), ("revolute", "")],
)
def test_a_joint_of_a_urdf_without_ends_is_told_before_and_after(
    own_folder: Path, write_urdf, kind: str, limit: str
) -> None:
    text = write_urdf().read_text()
    joint = text[text.index('<joint name="elbow" type="revolute">') : text.index("</robot>")]
    endless = joint.replace("revolute", kind).replace(URDF_LIMIT, limit)
    added = add_robot(write_urdf((joint, endless)), "audited")
    assert added.folder is not None
    told = [each for each in of_check(added.findings, "limits") if "has no range" in each.what]
    assert [each.what for each in told] == ["joint elbow has no range"]
    assert "<limit lower" in told[0].mend
    again = [each.what for each in of_check(check_robot("audited"), "limits")]
    assert again == ["joint elbow has no range"]


class TestRadiansReadAsDegrees:
    """``angle="radian"`` was forgotten, which leaves every hinge a few degrees."""

    FORGOTTEN = ('<compiler angle="radian" ', "<compiler ")

    def test_a_servo_with_the_same_numbers_makes_it_sure(self, own_folder: Path, write_arm) -> None:
        found = audit(write_arm(self.FORGOTTEN))
        assert {(each.severity, each.check) for each in found} == {("error", "unit")}
        assert [each.what.split(":")[0] for each in found] == ["joint shoulder", "joint elbow"]
        assert {each.mend for each in found} == {'<compiler angle="radian"/>, if these are radians'}
        assert not (own_folder / "audited").exists()

    @pytest.mark.parametrize(
        ("edits", "severity"),
        [
            ([(' ctrlrange="-1.5 1.5"', "")], "error"),  # by the keyframe
            ([(' ctrlrange="-1.5 1.5"', ""), ('qpos="0.3 0.8"', 'qpos="0 0"')], "warning"),
            (
                [
                    (' ctrlrange="-1.5 1.5"', ""),
                    ('qpos="0.3 0.8"', 'qpos="0 0"'),
                    (' range="-1.5 1.5" a', ' range="-1.571 1.571" a'),
                ],
                "error",
            ),
        ],
    )
    def test_other_evidence(
        self, own_folder: Path, write_arm, edits: list[tuple[str, str]], severity: str
    ) -> None:
        found = of_check(audit(write_arm(self.FORGOTTEN, *edits)), "unit")
        assert {each.severity for each in found} == {severity}

    def test_a_copy_in_which_it_is_done_tells_by_its_servos(self, own_folder: Path, write_arm) -> None:
        add_robot(write_arm(), "their_arm")
        model = own_folder / "their_arm" / "model.xml"
        text = model.read_text()
        assert text.count('range="-1.5 1.5"') >= 2
        model.write_text(text.replace(' range="-1.5 1.5"', ' range="-0.0261799 0.0261799"', 1))
        found = check_robot("their_arm")
        errors = [each for each in found if each.severity == "error"]
        assert [each.check for each in errors] == ["unit"]
        assert errors[0].mend == 'range="-1.5 1.5", if these are radians'
        assert not [each for each in found if "push against the stops" in each.what]


def _slip(folder: Path, old: str, new: str) -> list[Finding]:
    """What the audit of an arm finds after a slip in its robot.yaml, and nothing before."""
    file = folder / "their_arm" / "robot.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    before = check_robot("their_arm")
    file.write_text(text.replace(old, new))
    found = [each for each in check_robot("their_arm") if each not in before]
    assert all(
        new in file.read_text().splitlines()[int(each.where.split(":")[-1]) - 1] for each in found
    )
    return found


def test_counts_per_turn_are_no_resolution(own_folder: Path, write_arm) -> None:
    add_robot(write_arm(), "their_arm")
    file = own_folder / "their_arm" / "robot.yaml"
    file.write_text(file.read_text() + "sensing:\n  encoder_resolution: 0.00153\n")
    (found,) = _slip(own_folder, "encoder_resolution: 0.00153", "encoder_resolution: 4096")
    assert (found.severity, found.check) == ("error", "unit")
    assert found.mend == "0.00153 for 4096 counts a turn"


@pytest.mark.parametrize(
    ("old", "new", "severity", "says"),
    [
        ("shoulder: [-1.56, 1.56]", "shoulder: [-89.4, 89.4]", "error", "it protects nothing"),
        ("shoulder: [-1.56, 1.56]", "shoulder: [-1.56, 89.4]", "error", "it protects nothing"),
        ("shoulder: 6.0", "shoulder: 360.0", "warning", "velocity_limit of 5"),
        ("shoulder: 0.35", "shoulder: 20.0", "warning", "more than its 3 of travel"),
    ],
)
def test_safety_in_degrees_would_switch_protection_off(
    own_folder: Path, write_arm, old: str, new: str, severity: str, says: str
) -> None:
    add_robot(write_arm(), "their_arm")
    file = own_folder / "their_arm" / "robot.yaml"
    text = re.sub(r"(joint_velocity:[^\n]*\n +shoulder:) \S+", r"\1 6.0", file.read_text())
    limited = text.replace("name: shoulder, unit: rad,", "name: shoulder, unit: rad, velocity_limit: 5,")
    file.write_text(limited.replace("safety:\n", "safety:\n  stall: {shoulder: 0.35}\n"))
    (found,) = _slip(own_folder, old, new)
    assert (found.severity, found.check) == (severity, "unit")
    assert says in found.what
