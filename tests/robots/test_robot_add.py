"""Anybody's model becomes a robot: what is written is whole, and moves as the model did."""

import shutil
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.lint import lint_experiment
from simreal.physics.model import compile_model
from simreal.robot_add import add_robot, check_robot
from simreal.robots import load_robot, robot_folders


def shake(experiment: str, count: int = 8, steps: int = 60) -> BatchEnv:
    """Random commands for some steps."""
    env, random = BatchEnv(load_experiment(experiment), count, threads=1), np.random.default_rng(0)
    env.reset(0)
    for _ in range(steps):
        step = env.step(random.uniform(-1, 1, (count, env.action_size)))
        assert np.isfinite(step.observation).all()
        assert np.isfinite(step.reward).all()
    assert env.diverged_episodes == 0
    return env


class TestArm:
    """An MJCF in the way of MuJoCo Menagerie: meshes, classes, a keyframe, commands from 0 to 255."""

    def test_what_is_written_stands_by_itself(self, own_folder: Path, write_arm) -> None:
        path = write_arm()
        (path.parent / "LICENSE").write_text("theirs")
        added = add_robot(path, "their_arm")
        assert [each for each in added.findings if each.severity == "error"] == []
        shutil.rmtree(path.parent)
        assert added.folder == own_folder / "their_arm"
        assert sorted(each.name for each in (added.folder / "assets").iterdir()) == [
            "link.stl",
            "link_2.stl",
        ]
        assert (added.folder / "LICENSE").read_text() == "theirs"
        model = compile_model(load_robot("their_arm"))
        assert model.nmesh == 2
        assert mujoco.mjtGeom.mjGEOM_PLANE not in model.geom_type
        assert model.nkey == 0

    def test_the_description_says_what_the_model_says(self, own_folder: Path, write_arm) -> None:
        add_robot(write_arm(), "their_arm")
        robot = load_robot("their_arm").description
        assert robot.joint_names == ("shoulder", "elbow")
        assert robot.default_position == pytest.approx((0.3, 0.8))
        shoulder, elbow = robot.actuators
        assert (shoulder.command, shoulder.stiffness, shoulder.damping) == ("position", 40.0, 2.0)
        assert (elbow.command, elbow.stiffness, elbow.damping) == ("position", 10.0, 0.5)
        # c = (0.09 u + 2) / 10 for u from 0 to 255
        assert (elbow.lower, elbow.upper) == pytest.approx((0.2, 2.495))

    def test_it_moves_as_theirs_did(self, own_folder: Path, write_arm) -> None:
        """The same commands, in its own units, give the same motion bit for bit but for rounding."""
        path = write_arm()
        theirs = mujoco.MjModel.from_xml_path(str(path))
        add_robot(path, "their_arm")
        ours = compile_model(load_robot("their_arm"))
        their_data, our_data = mujoco.MjData(theirs), mujoco.MjData(ours)
        their_data.qpos[:] = our_data.qpos[:] = 0.3, 0.8
        random = np.random.default_rng(1)
        for _ in range(20):
            raw = np.array([random.uniform(-1.5, 1.5), random.uniform(0, 255)])
            their_data.ctrl[:] = raw
            our_data.ctrl[:] = raw[0], (0.09 * raw[1] + 2.0) / 10.0
            mujoco.mj_step(theirs, their_data, 50)
            mujoco.mj_step(ours, our_data, 50)
            np.testing.assert_allclose(our_data.qpos, their_data.qpos, atol=2e-4)

    def test_it_trains_as_it_is(self, own_folder: Path, write_arm) -> None:
        added = add_robot(write_arm(), "their_arm")
        assert [each for each in lint_experiment(added.experiment) if each.severity == "error"] == []
        assert shake(added.experiment).contract.robot.name == "their_arm"

    def test_what_is_fixed_to_the_world_is_not_randomized(self, own_folder: Path, write_arm) -> None:
        stand = '<body name="base"><geom type="sphere" size="0.02" pos="0 0 -0.1" mass="3"/>'
        added = add_robot(write_arm(('<body name="base">', stand)), "their_arm")
        ranges = shake(added.experiment, 2, 1).randomizer.trained_ranges()
        assert {each.name for each in ranges if each.name.startswith("mass")} == {
            "mass[upper]",
            "mass[fore]",
        }

    def test_nothing_is_overwritten(self, own_folder: Path, write_arm) -> None:
        add_robot(write_arm(), "their_arm")
        before = (own_folder / "their_arm" / "robot.yaml").read_bytes()
        with pytest.raises(UserError, match="there is a robot 'their_arm' already"):
            add_robot(write_arm(('kp="40"', 'kp="50"')), "their_arm")
        assert (own_folder / "their_arm" / "robot.yaml").read_bytes() == before
        (own_folder / "half").mkdir()  # somebody's folder, and no robot
        with pytest.raises(UserError, match="half"):
            add_robot(write_arm(), "half")
        assert list((own_folder / "half").iterdir()) == []
        assert sorted(each.name for each in own_folder.iterdir()) == ["half", "their_arm"]

    def test_what_was_added_before_is_replaced_on_demand(self, own_folder: Path, write_arm) -> None:
        add_robot(write_arm(), "their_arm")
        stiffer = write_arm(('kp="40"', 'kp="50"'))
        add_robot(stiffer, "their_arm", replace=True)
        assert load_robot("their_arm").description.actuators[0].stiffness == 50.0
        assert [each.name for each in own_folder.iterdir()] == ["their_arm"]

    @pytest.mark.parametrize("name", ["notes.txt", "robot.yaml"])
    def test_what_is_somebodys_own_is_not_replaced(self, own_folder: Path, write_arm, name: str) -> None:
        add_robot(write_arm(), "their_arm")
        with (own_folder / "their_arm" / name).open("a") as file:
            file.write("# mine")
        with pytest.raises(UserError, match=f"their_arm: {name}: not as `robot add` wrote it"):
            add_robot(write_arm(('kp="40"', 'kp="50"')), "their_arm", replace=True)
        assert load_robot("their_arm").description.actuators[0].stiffness == 40.0
        assert (own_folder / "their_arm" / name).read_text().endswith("# mine")

    def test_a_shipped_robot_is_not_replaced(self, own_folder: Path, write_arm) -> None:
        with pytest.raises(UserError, match="there is a robot 'qube' already"):
            add_robot(write_arm(), "qube", replace=True)

    def test_with_errors_nothing_is_written(self, own_folder: Path, write_arm) -> None:
        added = add_robot(write_arm(('file="sub/link.stl"', 'file="sub/lost.stl"')), "their_arm")
        assert added.folder is None
        assert not own_folder.exists() or list(own_folder.iterdir()) == []
        assert robot_folders().keys() & {"their_arm"} == set()

    def test_names_are_kept_whatever_they_are(self, own_folder: Path, write_arm) -> None:
        """YAML takes on for true, 8 for a number, and a colon for a mapping."""
        edits = [
            ('<joint name="shoulder" axis', '<joint name="8" axis'),
            ('<position name="shoulder" joint="shoulder"', '<position name="on" joint="8"'),
            ('<joint name="elbow"', '<joint name="left: elbow"'),
            ('<general name="elbow" joint="elbow"', '<general name="{" joint="left: elbow"'),
        ]
        add_robot(write_arm(*edits), "their_arm")
        robot = load_robot("their_arm").description
        assert robot.joint_names == ("8", "left: elbow")
        assert robot.actuator_names == ("on", "{")

    def test_an_audit_of_the_copy_finds_no_errors(self, own_folder: Path, write_arm) -> None:
        add_robot(write_arm(), "their_arm")
        assert [each for each in check_robot("their_arm") if each.severity == "error"] == []
        model = own_folder / "their_arm" / "model.xml"
        model.write_text(model.read_text().replace('range="0.2 2.5"', 'range="0.2 2.4"'))
        found = [each for each in check_robot("their_arm") if each.severity == "error"]
        assert ["elbow" in each.what and "robot.yaml" in each.what for each in found] == [True]


class TestWalker:
    """A robot on a free base, whose keyframe stands in the floor, without actuators."""

    def test_it_stands_on_the_ground(self, own_folder: Path, write_walker) -> None:
        added = add_robot(write_walker(height=0.2), "walker")
        assert any("sinks" in each.what and "keyframe stand" in each.what for each in added.findings)
        model = compile_model(load_robot("walker"))
        data = mujoco.MjData(model)
        for joint in load_robot("walker").description.joints:
            data.joint(joint.name).qpos[0] = joint.default_position
        mujoco.mj_kinematics(model, data)
        feet = [data.geom(f"{leg}_foot").xpos[2] - 0.03 for leg in ("fl", "fr", "hl", "hr")]
        assert feet == pytest.approx([0.0] * 4, abs=1e-5)

    def test_it_has_an_imu_of_three_sensors(self, own_folder: Path, write_walker) -> None:
        add_robot(write_walker(), "walker")
        imu = load_robot("walker").config.sensing.imu
        assert imu is not None
        assert imu.angular_velocity == "gyro"
        model = compile_model(load_robot("walker"))
        kinds = (
            (imu.orientation, mujoco.mjtSensor.mjSENS_FRAMEQUAT),
            (imu.linear_acceleration, mujoco.mjtSensor.mjSENS_ACCELEROMETER),
        )
        for name, kind in kinds:
            assert model.sensor(name).type[0] == kind
            assert model.site(int(model.sensor(name).objid[0])).name == "imu"

    def test_its_servos_hold_it_up(self, own_folder: Path, write_walker) -> None:
        """Estimated from inertias and weight alone; told to stay, it stays."""
        added = add_robot(write_walker(), "walker")
        assert sum("a position servo of" in note for note in added.notes) == 8
        overrides = ("randomization={}", "episode_length=2")
        env = BatchEnv(load_experiment(added.experiment, overrides), 2, threads=1)
        env.reset(0)
        episodes = [each for _ in range(105) for each in env.step(np.zeros((2, 8))).episodes]
        assert [each.ended_by for each in episodes] == ["time_limit"] * 2
        assert all(each.success for each in episodes)

    def test_it_trains_as_it_is(self, own_folder: Path, write_walker) -> None:
        added = add_robot(write_walker(), "walker")
        assert added.experiment == "walker_stand"
        assert [each for each in lint_experiment(added.experiment) if each.severity == "error"] == []
        shake(added.experiment)

    def test_objects_of_a_scene_are_left_out(self, own_folder: Path, write_walker) -> None:
        ball = '<body name="ball" pos="1 0 1"><freejoint/><geom size="0.1"/></body>'
        end = "</worldbody>"
        edits = [(end, ball + end), ('qpos="0 0 0.27 1 0 0 0', 'qpos="0 0 0.27 1 0 0 0')]
        path = write_walker(*edits)
        text = path.read_text()
        text = text[: text.index("<keyframe>")] + "</mujoco>"
        path.write_text(text)
        added = add_robot(path, "walker")
        assert any(note.startswith("body ball is left out") for note in added.notes)
        assert compile_model(load_robot("walker")).njnt == 9


class TestUrdf:
    """A URDF in a ROS package: meshes by package, no actuators, a link without an inertia."""

    def test_it_becomes_a_robot_with_servos(self, own_folder: Path, write_urdf) -> None:
        added = add_robot(write_urdf(), "their_arm")
        assert [each for each in added.findings if each.severity == "error"] == []
        robot = load_robot("their_arm").description
        assert [each.velocity_limit for each in robot.joints] == [6.0, 8.0]
        model = compile_model(load_robot("their_arm"))
        np.testing.assert_allclose(model.actuator_forcerange, [[-12, 12], [-5, 5]])
        assert [each.stiffness for each in robot.actuators] == pytest.approx([24.0, 10.0])
        assert "fixed base" in added.notes

    def test_its_servos_reach_their_targets_without_ringing(self, own_folder: Path, write_urdf) -> None:
        add_robot(write_urdf(), "their_arm")
        model = compile_model(load_robot("their_arm"))
        model.opt.gravity[:] = 0.0
        data = mujoco.MjData(model)
        data.ctrl[:] = 0.3, -0.2
        mujoco.mj_step(model, data, round(3.0 / model.opt.timestep))
        assert data.qpos == pytest.approx([0.3, -0.2], abs=2e-3)
        assert np.abs(data.qvel).max() < 1e-2

    def test_a_link_without_inertia_weighs_nothing(self, own_folder: Path, write_urdf) -> None:
        """The mistake that made a public Go2's calf 25 % too heavy: shapes taken for water."""
        path = write_urdf()
        added = add_robot(path, "their_arm")
        found = [each.what for each in added.findings if each.check == "mass"]
        assert len(found) == 2  # the tool and the base
        assert any("link tool has shapes and no <inertial>" in each for each in found)
        model = compile_model(load_robot("their_arm"))
        assert model.body_mass.sum() == pytest.approx(0.8 + 0.3)

    def test_a_free_base_stands_on_its_own(self, own_folder: Path, write_urdf) -> None:
        inertial = (
            '<inertial><mass value="2"/><inertia ixx=".01" iyy=".01" izz=".01" ixy="0" ixz="0" '
            'iyz="0"/></inertial>'
        )
        base = '<link name="base_link">'
        path = write_urdf((base, base + inertial))
        added = add_robot(path, "their_arm", base="free")
        assert added.experiment == "their_arm_stand"
        assert compile_model(load_robot("their_arm")).jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE

    def test_a_joint_that_follows_another_has_no_servo(self, own_folder: Path, write_urdf) -> None:
        limit = '<limit lower="-2.0" upper="2.0" effort="5" velocity="8"/>'
        mimic = '<mimic joint="shoulder" multiplier="0.5" offset="0.1"/>'
        add_robot(write_urdf((limit, limit + mimic)), "their_arm")
        robot = load_robot("their_arm").description
        assert robot.actuator_names == ("shoulder",)
        assert robot.default_position == pytest.approx((0.0, 0.1))

    def test_it_trains_as_it_is(self, own_folder: Path, write_urdf) -> None:
        added = add_robot(write_urdf(), "their_arm")
        assert [each for each in lint_experiment(added.experiment) if each.severity == "error"] == []
        shake(added.experiment)


class TestSafety:
    def test_a_model_s_own_drives_bound_speeds_rates_and_efforts(
        self, own_folder: Path, write_arm
    ) -> None:
        """Thrown from end to end, no joint passes the bound, and none stays far below it."""
        added = add_robot(write_arm(), "their_arm")
        robot = load_robot("their_arm")
        safety, model = robot.config.safety, compile_model(robot)
        for joint, actuator in (("shoulder", 0), ("elbow", 1)):
            fastest = 0.0
            for first, then in ((0, 1), (1, 0)):
                data = mujoco.MjData(model)
                data.ctrl[actuator] = model.actuator_ctrlrange[actuator, first]
                mujoco.mj_step(model, data, 1500)
                data.ctrl[actuator] = model.actuator_ctrlrange[actuator, then]
                for _ in range(1000):
                    mujoco.mj_step(model, data)
                    speed = data.qvel[model.joint(joint).dofadr[0]]
                    fastest = max(fastest, abs(float(speed)))
            assert fastest < safety.joint_velocity[joint] < 5.0 * fastest
            assert safety.command_rate[joint] == pytest.approx(
                2.0 / 1.2 * safety.joint_velocity[joint], rel=1e-3
            )
        assert safety.command_effort == {"shoulder": 8.0, "elbow": 4.0}
        settled = [note for note in added.notes if note.startswith("safety")]
        assert settled[0].startswith("safety.joint_velocity: 1.2 times what its drive, gravity and")
        lacking = (
            settled[-1].removeprefix("safety does without ").partition(": the model")[0].split(", ")
        )
        unset = safety.model_dump(exclude_defaults=True).keys().isdisjoint(lacking)
        assert unset and {"command_jump", "stall", "temperature", "supply_voltage"} <= set(lacking)
        assert not {"tilt", "angular_velocity", "reactions", "deadline_misses"} & set(lacking)

    def test_a_urdf_tells_by_its_limits(self, own_folder: Path, write_urdf) -> None:
        add_robot(write_urdf(), "their_arm")
        safety = load_robot("their_arm").config.safety
        assert safety.joint_velocity == pytest.approx({"shoulder": 7.2, "elbow": 9.6})
        assert safety.command_rate == {"shoulder": 12.0, "elbow": 16.0}
        assert safety.command_effort == {"shoulder": 12.0, "elbow": 5.0}

    def test_what_is_only_a_guess_bounds_nothing(self, own_folder: Path, write_walker) -> None:
        """Its servos were added, with gains and efforts that nobody states."""
        added = add_robot(write_walker(), "walker")
        safety = load_robot("walker").config.safety
        assert safety.joint_position
        assert not (safety.joint_velocity or safety.command_rate or safety.command_effort)
        (note,) = [each for each in added.notes if each.startswith("safety does without")]
        lacking = ("joint_velocity", "command_rate", "command_effort", "tilt", "angular_velocity")
        assert all(key in note for key in lacking)


def write_lift(write_urdf) -> Path:
    """The URDF with a lift of 0.4 m for a shoulder."""
    turns = '<axis xyz="0 1 0"/>\n    <limit lower="-1.2" upper="1.2" effort="12" velocity="6"/>'
    slides = (
        '<axis xyz="0 0 1"/><limit lower="0" upper="0.4" effort="80" velocity="0.25"/>'
        '<dynamics damping="120" friction="8"/>'
    )
    kind = ('name="shoulder" type="revolute"', 'name="shoulder" type="prismatic"')
    return write_urdf(kind, (turns, slides))


class TestLift:
    """A joint that slides, and one that turns."""

    def test_its_servo_holds_its_load(self, own_folder: Path, write_urdf) -> None:
        """Within 2 % of its travel: half of that was lost to a servo of half the travel's softness."""
        added = add_robot(write_lift(write_urdf), "their_lift")
        assert not [each for each in added.findings if "sags" in each.what]
        model = compile_model(load_robot("their_lift"))
        model.dof_frictionloss[:] = 0.0
        data = mujoco.MjData(model)
        data.ctrl[:] = data.qpos[:] = 0.2, 0.0
        mujoco.mj_step(model, data, round(2.0 / model.opt.timestep))
        assert 0.2 - 0.02 * 0.4 < data.qpos[0] < 0.2

    def test_its_damping_is_critical_with_the_joint_s_own(self, own_folder: Path, write_urdf) -> None:
        add_robot(write_lift(write_urdf), "their_lift")
        model, description = (
            compile_model(load_robot("their_lift")),
            load_robot("their_lift").description,
        )
        servo = description.actuators[0]
        moved = model.body_mass.sum() + model.dof_armature[0]
        assert model.dof_damping[0] == 120.0
        assert servo.damping + 120.0 == pytest.approx(2.0 * np.sqrt(servo.stiffness * moved), rel=1e-3)

    def test_a_servo_too_soft_for_its_travel_is_told(self, own_folder: Path, write_urdf) -> None:
        added = add_robot(write_lift(write_urdf), "their_lift")
        assert added.folder is not None
        path = added.folder / "model.xml"
        text = path.read_text()
        assert text.count("4000") == 2
        path.write_text(text.replace("4000", "400"))
        said = [each.what for each in check_robot("their_lift") if each.check == "servo"]
        assert any("sags 0.0" in each and " m under the robot's own weight" in each for each in said)

    def test_its_numbers_have_the_units_of_a_slide(self, own_folder: Path, write_urdf) -> None:
        add_robot(write_lift(write_urdf), "their_lift")
        env = BatchEnv(load_experiment("their_lift_posture"), 1, threads=1)
        drawn = {each.name: each for each in env.randomizer.trained_ranges()}
        lift = drawn["encoder_noise_shoulder[shoulder]"]
        assert (lift.unit, lift.high) == ("m", 0.0001)
        elbow = drawn["encoder_noise_elbow[elbow]"]
        assert (elbow.unit, elbow.high) == ("rad", 0.001)
        kp = next(each for each in env.randomizer.parts if each.parameter.name == "kp")
        assert kp.units == ("N/m", "N·m/rad")
        assert kp.drawn_units == ("1", "1")
        assert kp.unit == "N/m or N·m/rad"
        findings = lint_experiment("their_lift_posture")
        assert [each for each in findings if each.severity == "error"] == []


def test_the_first_experiment_has_no_key_that_nobody_reads(own_folder: Path, write_arm) -> None:
    added = add_robot(write_arm(), "their_arm")
    assert added.folder is not None
    written = yaml.safe_load((added.folder / f"{added.experiment}.yaml").read_text())
    read = load_experiment(added.experiment).model_dump(mode="json", exclude_unset=True)
    assert read.keys() == written.keys()


def test_the_first_task_can_be_solved(own_folder: Path, write_urdf) -> None:
    """By an integrator on each joint, under all that the experiment randomizes."""
    added = add_robot(write_urdf(), "their_arm")
    env, episodes = BatchEnv(load_experiment(added.experiment), 16, threads=1), []
    env.reset(0)
    action_of = env.contract.action
    more = np.zeros((16, 2))
    for _ in range(env.experiment.episode_steps):
        more += 0.1 * (env.command - env.physics.joint_position)
        action = (env.command + more - np.array(action_of.offset)) / np.array(action_of.scale)
        episodes += env.step(action).episodes
    assert len(episodes) == 16
    assert np.mean([each.success for each in episodes]) > 0.8
