"""Joints, contacts and surroundings by what they do to motion, and against compiled models."""

import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.parameters.dynamics import DYNAMICS
from simreal.robots import Robot
from simreal.state import FloatArray

MakeTrial = Callable[[str | Robot, int], Any]
Edit = Callable[[mujoco.MjSpec], None]
Entries = list[tuple[str, str | None, float]]

GRAVITY = 9.81
TIMESTEP = 0.001
INERTIA = 0.02


def machine(bodies: str, motor_joint: str, option: str = "", defaults: str = "") -> str:
    """A model of bodies with a motor, which is never driven, since each robot has one."""
    return f"""
        <mujoco>
          <compiler angle="radian" autolimits="true"/>
          <option timestep="{TIMESTEP}" integrator="implicitfast" {option}/>
          <default>{defaults}</default>
          <worldbody>{bodies}</worldbody>
          <actuator><motor name="motor" joint="{motor_joint}"/></actuator>
        </mujoco>"""


def wheel(joint: str = "") -> str:
    return machine(
        f"""<body name="wheel"><joint name="turn" axis="0 0 1" {joint}/>
        <inertial pos="0 0 0" mass="1" diaginertia="0.02 0.02 {INERTIA}"/></body>""",
        "turn",
        'gravity="0 0 0"',
    )


ROD = machine(
    """<body name="rod"><joint name="turn" axis="0 1 0"/>
    <inertial pos="0 0 -0.3" mass="0.5" diaginertia="0.004 0.004 0.0005"/></body>""",
    "turn",
)


def speeds(positions: FloatArray) -> FloatArray:
    return np.diff(positions, axis=1) / TIMESTEP


class TestAJoint:
    def test_damping_brakes_in_proportion_to_speed(self, make_trial: MakeTrial) -> None:
        dampings = [0.02, 0.05, 0.0]
        trial = make_trial(wheel('damping="0.02"'), 3)
        trial.give(("joint_damping[turn]", "absolute", dampings))
        end = speeds(trial.run(1.0, velocity=5.0))[:, -1, 0]
        expected = [5.0 * math.exp(-damping / INERTIA) for damping in dampings]
        assert end == pytest.approx(expected, rel=5e-3)

    @pytest.mark.parametrize("compiled", ["", 'frictionloss="0.002"'])
    def test_friction_brakes_the_same_at_every_speed_and_holds(
        self, make_trial: MakeTrial, compiled: str
    ) -> None:
        """Also where the compiled joint has none."""
        trial = make_trial(wheel(compiled), 3)
        losses = [0.01, 0.04, 0.1]
        trial.give(("joint_frictionloss", "absolute", losses))
        turned = trial.run(1.0, velocity=2.0)[..., 0]
        slow = 2.0 - np.array(losses) / INERTIA
        assert speeds(turned[..., None])[0, -1, 0] == pytest.approx(slow[0], rel=5e-3)
        # Where it stops: v^2 / 2a. MuJoCo's friction creeps a little, as its constraints are soft.
        stops = 2.0**2 / 2.0 / (np.array(losses[1:]) / INERTIA)
        assert turned[1:, -1] == pytest.approx(stops, rel=0.01)

    def test_armature_is_inertia_of_a_joint(self, make_trial: MakeTrial) -> None:
        armatures = [0.0, 0.02, 0.1]
        trial = make_trial(wheel('armature="0.01"'), 3)
        trial.give(("joint_armature", "absolute", armatures))
        physics, still = trial.world.physics, np.zeros((3, 1))
        physics.reset(trial.ids, Start(still, still), still)
        physics.dof_force[:] = 0.5
        for _ in range(10):
            physics.step(still)
        expected = [0.1 * 0.5 / (INERTIA + armature) for armature in armatures]
        assert physics.joint_velocity[:, 0] == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("compiled", ["", 'stiffness="1"'])
    def test_a_stiffer_spring_swings_faster(self, make_trial: MakeTrial, compiled: str) -> None:
        stiffnesses = [0.5, 2.0, 8.0]
        trial = make_trial(wheel(compiled), 3)
        trial.give(("joint_stiffness", "absolute", stiffnesses))
        swing = trial.run(4.0, position=0.3)[..., 0]
        for row, stiffness in zip(swing, stiffnesses, strict=True):
            falling = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
            crossings = falling + row[falling] / (row[falling] - row[falling + 1])
            period = np.diff(crossings).mean() * TIMESTEP
            assert period == pytest.approx(2.0 * math.pi * math.sqrt(INERTIA / stiffness), rel=1e-3)

    def test_a_spring_rests_where_its_reference_is(self, make_trial: MakeTrial) -> None:
        trial = make_trial(wheel('stiffness="1" damping="0.2" springref="0.2"'), 3)
        trial.give(("spring_reference", None, [0.0, 0.5, -0.4]))
        assert trial.run(4.0)[:, -1, 0] == pytest.approx([0.2, 0.7, -0.2], abs=1e-6)

    def test_a_joint_reports_its_reference_where_it_hangs_as_modelled(
        self, make_trial: MakeTrial
    ) -> None:
        trial = make_trial(ROD, 3)
        trial.give(("joint_reference", None, [0.0, 0.3, -0.7]), ("joint_damping", "add", 0.3))
        assert trial.run(6.0)[:, -1, 0] == pytest.approx([0.0, 0.3, -0.7], abs=1e-5)

    def test_a_joint_stops_at_its_end(self, make_trial: MakeTrial) -> None:
        trial = make_trial(wheel('range="-0.5 0.5" damping="0.05"'), 3)
        trial.give(
            ("joint_range[turn.upper]", None, [0.0, 0.4, -0.2]),
            ("joint_range[turn.lower]", "scale", [1.0, 0.5, 3.0]),
        )
        ends = []
        for torque in (0.05, -0.05):
            physics, still = trial.world.physics, np.zeros((3, 1))
            physics.reset(trial.ids, Start(still, still), still)
            physics.dof_force[:] = torque
            for _ in range(400):
                physics.step(still)
            ends.append(physics.joint_position[:, 0].copy())
        # Soft constraints give way by some thousandths under this torque.
        assert ends[0] == pytest.approx([0.5, 0.9, 0.3], abs=6e-3)
        assert ends[1] == pytest.approx([-0.5, -0.25, -1.5], abs=6e-3)


SOFT = 'solref="0.02 1" solimp="0.9 0.9 0.001"'
BLOCK = machine(
    """<geom name="floor" type="plane" size="5 5 0.1" friction="0.0001 0.0001 0.0001"/>
    <body name="block" pos="0 0 0.05">
      <joint name="along" type="slide" axis="1 0 0"/><joint name="side" type="slide" axis="0 1 0"/>
      <joint name="up" type="slide" axis="0 0 1"/>
      <geom name="block" type="box" size="0.1 0.1 0.05" mass="2" friction="0.5 0.001 0.001"/>
    </body>""",
    "along",
    'cone="elliptic" impratio="100"',
)

RADIUS, BALL_MASS = 0.1, 1.5
BALL_INERTIA = 0.4 * BALL_MASS * RADIUS**2


def ball(turning: str, contact: str = "", z: float = RADIUS) -> str:
    """A ball that moves along all axes: MuJoCo makes contacts stiffer where a body cannot."""
    return machine(
        f"""<geom name="floor" type="plane" size="50 50 0.1"/>
        <body name="ball" pos="0 0 {z}">
          <joint name="along" type="slide" axis="1 0 0"/><joint name="side" type="slide" axis="0 1 0"/>
          <joint name="up" type="slide" axis="0 0 1"/>{turning}
          <geom name="ball" type="sphere" size="{RADIUS}" mass="{BALL_MASS}"/>
        </body>""",
        "up",
        'cone="elliptic" impratio="10"',
        f"<geom {contact}/>",
    )


class TestAContact:
    def test_a_block_slides_where_the_slope_is_steeper_than_its_friction(
        self, make_trial: MakeTrial
    ) -> None:
        slope = 0.4
        factors = [0.9, 1.1, 0.5]
        trial = make_trial(BLOCK, 3)
        friction = np.array(factors) * math.tan(slope)
        trial.give(("friction[block]", "scale", friction / 0.5), ("floor_slope[y]", None, slope))
        slid = trial.run(1.0)[:, -1, 0]
        gain = GRAVITY * (math.sin(slope) - friction * math.cos(slope))
        assert slid[[0, 2]] == pytest.approx(0.5 * gain[[0, 2]], rel=0.01)
        assert abs(slid[1]) < 1e-3

    def test_the_rougher_of_two_surfaces_counts(self, make_trial: MakeTrial) -> None:
        """As MuJoCo mixes them, and what a draw for each geom therefore amounts to."""
        trial = make_trial(BLOCK, 3)
        trial.give(
            ("friction[block]", "absolute", [0.2, 0.2, 0.3]),
            ("friction[floor]", "absolute", [0.1, 0.3, 0.2]),
        )
        slid = trial.run(0.5, velocity=(3.0, 0.0, 0.0))[:, -1, 0]
        assert slid[1] == pytest.approx(slid[2], rel=1e-9)
        expected = [3.0 * 0.5 - 0.5 * friction * GRAVITY * 0.25 for friction in (0.2, 0.3)]
        assert slid[:2] == pytest.approx(expected, rel=0.01)

    def test_torsional_friction_stops_what_spins_on_the_spot(self, make_trial: MakeTrial) -> None:
        model = ball('<joint name="spin" axis="0 0 1"/>', 'condim="4" friction="1 0.01 0.0001"')
        trial = make_trial(model, 3)
        frictions = np.array([0.01, 0.02, 0.005])
        trial.give(("torsional_friction", "scale", frictions / 0.01))
        spin = speeds(trial.run(0.4, velocity=(0.0, 0.0, 0.0, 20.0)))[:, -1, 3]
        brake = frictions * BALL_MASS * GRAVITY / BALL_INERTIA
        assert 20.0 - spin == pytest.approx(0.4 * brake, rel=0.01)

    def test_rolling_friction_stops_what_rolls(self, make_trial: MakeTrial) -> None:
        model = ball('<joint name="roll" axis="0 1 0"/>', 'condim="6" friction="1 0.005 0.002"')
        trial = make_trial(model, 3)
        frictions = np.array([0.002, 0.006, 0.0005])
        trial.give(("rolling_friction", "scale", frictions / 0.002))
        speed = speeds(trial.run(1.0, velocity=(2.0, 0.0, 0.0, 2.0 / RADIUS)))[:, -1, 0]
        assert 2.0 - speed == pytest.approx(frictions * GRAVITY / RADIUS / 1.4, rel=0.01)

    def test_a_slower_contact_is_softer(self, make_trial: MakeTrial) -> None:
        """It sinks in by g (1 - d) T^2 for an impedance d and a time constant T.

        MuJoCo's documented a1 = (1 - d) a0 - d (b v + k r) with k = 1 / (d T^2), solved for rest.
        """
        trial = make_trial(ball("", SOFT), 3)
        trial.give(("contact_time_constant", "scale", [1.0, 2.0, 0.5]))
        depth = -trial.run(2.0)[:, -1, 2]
        times = 0.02 * np.array([1.0, 2.0, 0.5])
        assert depth == pytest.approx(GRAVITY * 0.1 * times**2, rel=1e-3)

    def test_a_harder_contact_gives_way_less(self, make_trial: MakeTrial) -> None:
        hardness = np.array([0.9, 0.99, 0.5])
        trial = make_trial(ball("", 'solref="0.02 1" solimp="0.5 0.9 1e-7"'), 3)
        trial.give(("contact_impedance", None, hardness))
        depth = -trial.run(2.0)[:, -1, 2]
        assert depth == pytest.approx(GRAVITY * (1.0 - hardness) * 0.02**2, rel=1e-3)

    def test_a_contact_of_little_damping_bounces(self, make_trial: MakeTrial) -> None:
        trial = make_trial(ball("", 'solref="0.05 1" solimp="0.9999 0.9999 0.001"', z=0.6), 4)
        ratios = np.array([0.6, 0.3, 0.15])
        trial.give(("contact_damping_ratio", "scale", [1.0, *ratios]))
        height = trial.run(1.2)[..., 2] + 0.5
        landed = np.argmax(height < 0.0, axis=1)
        rebound = np.array([row[at + 20 :].max() for row, at in zip(height, landed, strict=True)])
        assert rebound[0] < 1e-3
        # Half a swing of the damped oscillator that a contact is; its own weight is left out.
        half_swing = np.exp(-math.pi * ratios / np.sqrt(1.0 - ratios**2))
        assert np.sqrt(rebound[1:] / 0.5) == pytest.approx(half_swing, abs=0.05)


class TestTheSurroundings:
    def test_gravity_pulls_along_its_axes(self, make_trial: MakeTrial) -> None:
        trial = make_trial(BLOCK, 3)
        trial.give(
            ("gravity[x]", "add", [0.0, 1.5, 0.0]),
            ("gravity[y]", "add", [0.0, -0.8, 0.0]),
            ("gravity[z]", "scale", [1.0, -1.0, -0.5]),
            ("friction", "scale", 0.0),
        )
        moved = trial.run(0.5)[:, -1]
        assert moved[0] == pytest.approx([0.0, 0.0, 0.0], abs=1e-3)
        expected = [[0.125 * 1.5, -0.125 * 0.8, 0.125 * 9.81], [0.0, 0.0, 0.125 * 9.81 / 2.0]]
        assert moved[1:] == pytest.approx(np.array(expected), rel=5e-3, abs=1e-4)

    def test_a_pendulum_swings_slower_under_less_gravity(self, make_trial: MakeTrial) -> None:
        trial = make_trial(ROD, 3)
        trial.give(("gravity[z]", "absolute", [-9.81, -1.62, -24.8]))
        swing = trial.run(9.0, position=0.05)[..., 0]
        for row, gravity in zip(swing, (9.81, 1.62, 24.8), strict=True):
            falling = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
            crossings = falling + row[falling] / (row[falling] - row[falling + 1])
            period = 2.0 * math.pi * math.sqrt((0.004 + 0.5 * 0.09) / (0.5 * gravity * 0.3))
            assert np.diff(crossings).mean() * TIMESTEP == pytest.approx(period, rel=1e-3)

    @pytest.mark.parametrize(
        ("axis", "goes"), [("x", (0.0, -1.0)), ("y", (1.0, 0.0))], ids=["about x", "about y"]
    )
    def test_a_block_slides_down_a_slope(
        self, make_trial: MakeTrial, axis: str, goes: tuple[float, float]
    ) -> None:
        """+a about x raises the side of +y, +a about y lowers that of +x, by the right-hand rule."""
        trial = make_trial(BLOCK, 2)
        trial.give(("friction", "scale", 0.0), (f"floor_slope[{axis}]", None, [0.3, -0.3]))
        slid = trial.run(0.5)[:, -1, :2]
        distance = 0.125 * GRAVITY * math.sin(0.3)
        expected = distance * np.outer([1.0, -1.0], goes)
        assert slid == pytest.approx(expected, rel=0.01, abs=1e-4)

    @pytest.mark.parametrize("order", ["xy", "yx"])
    def test_a_slope_is_a_world_that_is_turned(self, make_trial: MakeTrial, order: str) -> None:
        """To the last digit, about x and then y of the floor, or as the configuration's order says."""
        angle = {"x": 0.35, "y": -0.5}
        base = '<joint name="tilt" axis="1 0 0"/><inertial pos="0 0 -0.1" mass="1" diaginertia="1 1 1"/>'
        rod = """<body name="rod" pos="0 0.1 -0.2"><joint name="turn" axis="0 1 0.4"/>
            <inertial pos="0.1 0 -0.3" mass="0.5" diaginertia="0.004 0.004 0.0005"/></body>"""
        level = machine(f'<body name="mount"><body name="base">{base}{rod}</body></body>', "turn")
        trial = make_trial(level, 1)
        trial.give(*((f"floor_slope[{axis}]", None, angle[axis]) for axis in order))

        def turn(spec: mujoco.MjSpec) -> None:
            turns = [Rotation.from_euler(axis, angle[axis]) for axis in order]
            spec.body("mount").quat = np.roll((turns[0] * turns[1]).as_quat(), 1)

        start = {"position": (0.5, -0.3), "velocity": (1.0, 2.0)}
        moved = trial.run(2.0, **start)[0]
        np.testing.assert_allclose(moved, trial.compiled(turn, 2.0, **start), atol=1e-9)

    def test_both_slopes_of_one_entry_turn_about_x_first(self, make_trial: MakeTrial) -> None:
        trial, apart = make_trial(BLOCK, 2), make_trial(BLOCK, 2)
        trial.give(("floor_slope", None, [0.3, -0.8]))
        apart.give(("floor_slope[x]", None, [0.3, -0.8]), ("floor_slope[y]", None, [0.3, -0.8]))
        assert (gravity(trial) == gravity(apart)).all()
        apart.give(("floor_slope[y]", None, [0.3, -0.8]), ("floor_slope[x]", None, [0.3, -0.8]))
        assert np.abs(gravity(trial) - gravity(apart)).max() > 0.1

    def test_gravity_after_a_slope_counts_along_the_floor(self, make_trial: MakeTrial) -> None:
        trial = make_trial(BLOCK, 1)
        down, more = np.array([0.0, 0.0, -GRAVITY]), np.array([0.0, 0.0, -2.0])
        floor = Rotation.from_euler("y", 0.5)
        trial.give(("floor_slope[y]", None, 0.5), ("gravity[z]", "add", -2.0))
        assert gravity(trial)[0] == pytest.approx(floor.inv().apply(down) + more)
        trial.give(("gravity[z]", "add", -2.0), ("floor_slope[y]", None, 0.5))
        assert gravity(trial)[0] == pytest.approx(floor.inv().apply(down + more))

    def test_a_wind_takes_along_what_it_meets(self, make_trial: MakeTrial) -> None:
        trial = make_trial(BLOCK, 3)
        trial.give(
            ("wind[x]", None, [3.0, -3.0, 3.0]),
            ("wind[y]", None, [0.0, 1.0, 0.0]),
            ("air_density", None, [1.2, 1.2, 0.0]),
            ("air_viscosity", None, [50.0, 50.0, 0.0]),
            ("gravity[z]", "scale", 0.0),
        )
        drift = speeds(trial.run(2.0))[:, -1, :2]
        assert drift == pytest.approx(np.array([[3.0, 0.0], [-3.0, 1.0], [0.0, 0.0]]), rel=1e-3)

    def test_a_body_falls_at_the_speed_at_which_the_air_carries_it(self, make_trial: MakeTrial) -> None:
        """Drag 2 rho b_x b_y v^2, b the half sides of a box: MuJoCo's manual, its model by inertia."""
        densities = np.array([1.2, 50.0, 1000.0])
        trial = make_trial(BLOCK, 3)
        trial.give(("air_density", None, densities), ("friction", "scale", 0.0))
        trial.world.physics.field("geom_contype")[:] = 0
        trial.world.physics.field("geom_conaffinity")[:] = 0
        fall = -speeds(trial.run(3.0))[:, -1, 2]
        terminal = np.sqrt(2.0 * GRAVITY / (2.0 * densities * 0.1 * 0.1))
        time = terminal / GRAVITY
        assert fall == pytest.approx(terminal * np.tanh(3.0 / time), rel=2e-3)

    def test_a_viscous_medium_brakes_in_proportion_to_speed(self, make_trial: MakeTrial) -> None:
        """6 pi eta r v, with the mean half side of the box for r."""
        viscosities = np.array([0.1, 1.0, 5.0])
        trial = make_trial(BLOCK, 3)
        trial.give(("air_viscosity", None, viscosities), ("gravity[z]", "scale", 0.0))
        speed = speeds(trial.run(1.0, velocity=(0.0, 0.0, 2.0)))[:, -1, 2]
        rate = 6.0 * math.pi * viscosities * (0.25 / 3.0) / 2.0
        assert speed == pytest.approx(2.0 * np.exp(-rate), rel=0.01)


def gravity(trial: Any) -> FloatArray:
    return trial.world.physics.field("opt.gravity")


def edit_joint(name: str, **changes: Any) -> Edit:
    def edit(spec: mujoco.MjSpec) -> None:
        for field, value in changes.items():
            setattr(spec.joint(name), field, value)

    return edit


def edit_geoms(component: int, field: str, change: Callable[[float], float]) -> Edit:
    def edit(spec: mujoco.MjSpec) -> None:
        for geom in spec.geoms:
            values = np.array(getattr(geom, field))
            values[component] = change(values[component])
            setattr(geom, field, values)

    return edit


def edit_option(field: str, value: Any) -> Edit:
    return lambda spec: setattr(spec.option, field, value)


COMPILED: dict[str, tuple[Entries, Edit]] = {
    "joint_damping": (
        [("joint_damping[elbow]", "scale", 9.0)],
        edit_joint("elbow", damping=[0.09, 0, 0]),
    ),
    "joint_frictionloss": (
        [("joint_frictionloss[elbow]", "scale", 10.0)],
        edit_joint("elbow", frictionloss=0.04),
    ),
    "joint_armature": (
        [("joint_armature[shoulder]", "add", 0.01)],
        edit_joint("shoulder", armature=0.012),
    ),
    "joint_stiffness": (
        [("joint_stiffness[shoulder]", "scale", 8.0)],
        edit_joint("shoulder", stiffness=[4.0, 0, 0]),
    ),
    "spring_reference": (
        [("spring_reference[shoulder]", None, -0.5)],
        edit_joint("shoulder", springref=-0.2),
    ),
    "joint_reference": ([("joint_reference[elbow]", None, 0.5)], edit_joint("elbow", ref=0.3)),
    "joint_range": ([("joint_range[elbow.lower]", None, 1.9)], edit_joint("elbow", range=[-0.1, 2.0])),
    "friction": ([("friction", "scale", 0.1)], edit_geoms(0, "friction", lambda old: 0.1 * old)),
    "torsional_friction": (
        [("torsional_friction", "scale", 20.0)],
        edit_geoms(1, "friction", lambda old: 20.0 * old),
    ),
    "rolling_friction": (
        [("rolling_friction", "scale", 50.0)],
        edit_geoms(2, "friction", lambda old: 50.0 * old),
    ),
    "contact_time_constant": (
        [("contact_time_constant", "scale", 2.5)],
        edit_geoms(0, "solref", lambda old: 2.5 * old),
    ),
    "contact_damping_ratio": (
        [("contact_damping_ratio", "scale", 0.3)],
        edit_geoms(1, "solref", lambda old: 0.3 * old),
    ),
    "contact_impedance": ([("contact_impedance", None, 0.6)], edit_geoms(1, "solimp", lambda _: 0.6)),
    "gravity": ([("gravity[x]", None, 2.0)], edit_option("gravity", [2.0, 0.0, -9.81])),
    "wind": ([("wind[y]", None, 12.0)], edit_option("wind", [0.5, 12.0, 0.0])),
    "air_density": ([("air_density", None, 60.0)], edit_option("density", 60.0)),
    "air_viscosity": ([("air_viscosity", None, 2.0)], edit_option("viscosity", 2.0)),
}


@pytest.mark.parametrize("name", COMPILED)
def test_it_moves_as_a_model_compiled_with_that_value(
    make_trial: MakeTrial, box_with_arm: Robot, name: str
) -> None:
    """A free box with an arm that falls onto a floor: everything at once."""
    entries, edit = COMPILED[name]
    trial = make_trial(box_with_arm, 2)
    trial.give(*entries)
    velocity = np.array([0.5, 0.2, 0, 1, -1, 2, 3, -4])
    moved = trial.run(0.5, velocity)[1]
    np.testing.assert_allclose(moved, trial.compiled(edit, 0.5, velocity), atol=1e-9)
    assert np.abs(moved - trial.compiled(lambda spec: None, 0.5, velocity)).max() > 1e-4


NEUTRAL = [("scale", 1.0), ("add", 0.0)]


OF_ROBOTS = [parameter.name for parameter in DYNAMICS if parameter.name != "object_size"]


@pytest.mark.parametrize("name", OF_ROBOTS)
@pytest.mark.parametrize(("operation", "value"), [*NEUTRAL, ("absolute", None)])
def test_a_neutral_value_gives_the_compiled_model_back_bit_for_bit(
    make_trial: MakeTrial, box_with_arm: Robot, name: str, operation: str, value: float | None
) -> None:
    """With all that the engine derives, after an episode in which everything was different."""
    trial = make_trial(box_with_arm, 2)
    world, parameter = trial.world, PARAMETERS[name]
    default = parameter.default(world)
    ids = np.arange(2)
    if value is None:
        write = parameter.writer(world, np.arange(default.size), "absolute")
        write(ids, np.tile(default, (2, 1)))
        world.commit(ids)
    else:
        trial.give((name, operation, value))
    assert changed_fields(world) == []


def changed_fields(world: Any) -> list[str]:
    physics = world.physics
    return [
        name
        for name in physics.expanded_fields
        if not (
            physics.field(name) == np.reshape(world.default(name), physics.field(name).shape[1:])
        ).all()
    ]


def test_the_next_episode_starts_from_the_compiled_model(
    make_trial: MakeTrial, box_with_arm: Robot
) -> None:
    trial = make_trial(box_with_arm, 3)
    entries = [entry for entries, _ in COMPILED.values() for entry in entries]
    entries += [("floor_slope", None, 0.2), ("link_length", None, 1.5), ("payload_mass", None, 3.0)]
    randomizer = trial.give(*entries)
    assert len(changed_fields(trial.world)) > 20
    neutral = {"scale": 1.0, "add": 0.0}
    values = np.array(
        [
            neutral.get(part.operation, default)
            for part in randomizer.parts
            for default in part.parameter.default(trial.world)[part.elements]
        ]
    )
    randomizer.apply(trial.ids, np.tile(values, (3, 1)))
    assert changed_fields(trial.world) == []


numbers = st.floats(0.5, 2.0)


@given(numbers, numbers, numbers, numbers)
@settings(max_examples=25)
def test_entries_on_one_parameter_compose(first: float, second: float, third: float, add: float) -> None:
    """Factors and sums among themselves in any order; the rest in the order of the configuration."""
    trial = _TRIAL[0]

    def mass(*entries: tuple[str, str | None, float]) -> float:
        trial.give(*entries)
        return float(trial.world.physics.field("body_mass")[0, 1])

    factors = [("mass[box]", "scale", value) for value in (first, second, third)]
    assert mass(*factors) == pytest.approx(mass(*factors[::-1]), rel=1e-12)
    assert mass(*factors) == pytest.approx(2.0 * first * second * third, rel=1e-12)
    sums = [("mass[box]", "add", value) for value in (first, second)]
    assert mass(*sums) == pytest.approx(mass(*sums[::-1]), rel=1e-12)
    assert mass(factors[0], ("mass[box]", "add", add)) == pytest.approx(2.0 * first + add)
    assert mass(("mass[box]", "add", add), factors[0]) == pytest.approx((2.0 + add) * first)
    assert mass(factors[0], ("mass[*]", "absolute", add)) == add
    assert mass(("mass[*]", "absolute", add), factors[0]) == pytest.approx(add * first)


@given(st.permutations(range(6)))
@settings(max_examples=15)
def test_entries_on_several_parameters_come_in_any_order(order: list[int]) -> None:
    """But for slope and gravity, which turn and add to the same vector."""
    trial = _TRIAL[0]
    entries = [
        ("mass", "scale", 1.7),
        ("link_length", None, 1.3),
        ("inertia_stretch[*.x]", None, 0.6),
        ("payload_mass[upper]", None, 2.0),
        ("centre_of_mass[*.y]", None, 0.05),
        ("friction", "scale", 0.4),
    ]
    trial.give(*entries)
    physics = trial.world.physics
    expected = {name: physics.field(name).copy() for name in physics.expanded_fields}
    trial.give(*(entries[place] for place in order))
    for name, values in expected.items():
        assert (physics.field(name) == values).all(), name


_TRIAL: list[Any] = []


@pytest.fixture(autouse=True)
def _one_trial(make_trial: MakeTrial, box_with_arm: Robot) -> None:
    """For the property tests, which cannot make one for each example."""
    if not _TRIAL:
        _TRIAL.append(make_trial(box_with_arm, 2))


def test_another_batch_goes_on_with_all_that_was_drawn(
    make_trial: MakeTrial, box_with_arm: Robot
) -> None:
    """Episodes are made ready in one batch and run in another."""
    trial = make_trial(box_with_arm, 3)
    entries = [entry for entries, _ in COMPILED.values() for entry in entries]
    bodies = [("floor_slope", None, [0.1, 0.2, -0.2]), ("link_length", None, [0.5, 1.2, 2.0])]
    trial.give(*entries, *bodies, ("payload_mass", None, [0.0, 1.0, 3.0]))
    physics = trial.world.physics
    joints = np.full((3, 2), 0.3)
    physics.reset(trial.ids, Start(joints, joints), joints)
    other = make_trial(box_with_arm, 2).world
    other.take(np.array([0, 1]), trial.world, np.array([2, 0]))
    for _ in range(10):
        physics.step(joints)
        other.physics.step(joints[:2])
        assert (other.physics._qpos == physics._qpos[[2, 0]]).all()


@pytest.mark.parametrize(
    ("name", "operation", "value", "message"),
    [
        ("mass[box]", "add", -2.0, "below"),
        ("inertia_stretch", "scale", 0.05, "below 0.1"),
        ("payload_mass", "absolute", -0.1, "below 0"),
        ("link_length", "scale", 0.01, "below 0.1"),
        ("joint_damping[elbow]", "add", -0.02, "below 0"),
        ("contact_time_constant", "scale", 0.0, "below"),
        ("contact_impedance", "absolute", 1.0, "above 0.9999"),
        ("floor_slope", "absolute", 2.0, "above 1.57"),
        ("air_density", "absolute", -1.0, "below 0"),
    ],
)
def test_what_no_machine_has_is_refused(
    make_trial: MakeTrial, box_with_arm: Robot, name: str, operation: str, value: float, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_trial(box_with_arm, 1).give((name, operation, value))
