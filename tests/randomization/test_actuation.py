"""Actuators by what they do to the motion of a machine."""

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from simreal.deploy.emulators.simulated_robot import SimulatedRobot
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig

Trace = NDArray[np.float64]

TIMESTEP = 0.001
INERTIA, ROTOR = 0.008, 0.002
TOTAL = INERTIA + ROTOR
TORQUE_PER_VOLT, BACK_EMF = 0.05, 0.02
KP, KD, WEIGHT, LEVER = 20.0, 1.0, 9.81, 0.2

WHEEL = """
<mujoco>
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.001" integrator="implicitfast" gravity="0 0 {gravity}"/>
  <worldbody>
    <body>
      <joint name="joint" axis="0 1 0" {joint}/>
      <inertial pos="{lever} 0 0" mass="1" diaginertia="0.008 {inertia} 0.008"/>
    </body>
  </worldbody>
  <actuator>{actuator}</actuator>
</mujoco>"""

LAWS = {
    "effort": ('<motor name="motor" joint="joint" ctrlrange="-10 10" {limit}/>', "N·m", 10.0),
    "voltage": (
        '<general name="motor" joint="joint" ctrlrange="-10 10" gainprm="0.05" biastype="affine" '
        'biasprm="0 0 -0.02" {limit}/>',
        "V",
        10.0,
    ),
    "position": ('<position name="motor" joint="joint" kp="20" kv="1" {limit}/>', "rad", 3.0),
}


class Rig:
    """One joint with one motor, simulated with other values of some parameters in each simulation."""

    def __init__(self, robot: Robot, parameters: Mapping[str, ArrayLike], rate: float) -> None:
        values = {name: np.atleast_1d(np.asarray(each, float)) for name, each in parameters.items()}
        count = max((len(each) for each in values.values()), default=1)
        self.ids = np.arange(count)
        specification = {name: _entry(each.min(), each.max()) for name, each in values.items()}
        self.world = build_world(robot, count, specification, {}, rate, threads=1)
        self.period = 1.0 / rate
        self.random = EpisodeRandom(episode_seed(0, self.ids))
        randomizer = Randomizer(specification, self.world)
        drawn = np.zeros((count, len(randomizer.columns)))
        for place, column in enumerate(randomizer.columns):
            drawn[:, place] = values[column.partition("[")[0]]
        if values:
            randomizer.apply(self.ids, drawn)
        self.readings: list[Trace] = []
        self.begin()

    def begin(self, position: float = 0.0, velocity: float = 0.0, target: float = 0.0) -> None:
        """Begin an episode everywhere."""
        rows = np.zeros((len(self.ids), 1))
        self.world.reset(self.ids, Start(rows + position, rows + velocity), rows + target, self.random)
        self.steps = np.zeros(len(self.ids), dtype=np.int64)
        self.readings = []

    def run(self, commands: ArrayLike) -> tuple[Trace, Trace]:
        """Positions and velocities after each physics step, (count, physics steps)."""
        positions, velocities = [], []
        for command in np.atleast_1d(np.asarray(commands, float)):
            self.readings.append(self.world.read(self.steps * self.period).joint_position[:, 0])
            self.steps += 1
            self.world.advance(np.full((len(self.ids), 1), command), self.random, self.steps)
            positions.append(self.world.physics.position_trace[..., 0].copy())
            velocities.append(self.world.physics.velocity_trace[..., 0].copy())
        return np.concatenate(positions, axis=1), np.concatenate(velocities, axis=1)

    def hold(self, command: float, seconds: float) -> tuple[Trace, Trace]:
        """Give one command for some time."""
        return self.run(np.full(round(seconds / self.period), command))

    def kick(self, change: float) -> None:
        """Change all velocities."""
        self.world.physics.kick(self.ids, np.array([0]), np.full((len(self.ids), 1), change))


MakeRig = Callable[..., Rig]
MakeRobot = Callable[[str], Robot]


def _entry(low: float, high: float) -> ParameterConfig:
    distribution = {"type": "uniform", "low": low, "high": high}
    if low == high:
        distribution = {"type": "constant", "value": low}
    return ParameterConfig.model_validate({"distribution": distribution, "operation": "absolute"})


@pytest.fixture
def make_rig(tmp_path: Path) -> MakeRig:
    def make(
        command: str,
        rate: float = 1 / TIMESTEP,
        joint: str = f'armature="{ROTOR}"',
        limit: str = "",
        gravity: float = 0.0,
        speed_limit: float | None = None,
        **parameters: ArrayLike,
    ) -> Rig:
        law, unit, largest = LAWS[command]
        arm = {"gravity": gravity, "lever": LEVER, "inertia": 1e-6} if gravity else {}
        wheel = {"gravity": 0.0, "lever": 0.0, "inertia": INERTIA}
        text = WHEEL.format(joint=joint, actuator=law.format(limit=limit), **(wheel | arm))
        path = tmp_path / "model.xml"
        path.write_text(text)
        motor = {"name": "motor", "joint": "joint", "command": command, "unit": unit}
        description = {
            "name": "rig",
            "joints": [{"name": "joint", "velocity_limit": speed_limit}],
            "actuators": [motor | {"lower": -largest, "upper": largest}],
        }
        return Rig(
            Robot(RobotConfig.model_validate({"description": description}), path), parameters, rate
        )

    return make


def acceleration(velocities: Trace, start: float = 0.0) -> Trace:
    """(count, physics steps) from each step to the next."""
    return np.diff(velocities, axis=1, prepend=start) / TIMESTEP


# Law and limits


def test_a_limited_motor_accelerates_at_most_at_limit_over_inertia(make_rig: MakeRig) -> None:
    limits = [0.5, 2.0, 4.0]
    for command, sign in ((3.0, 1.0), (-3.0, -1.0)):
        rig = make_rig("effort", effort_limit=limits)
        _, velocities = rig.hold(command, 0.05)
        expected = sign * np.minimum(limits, 3.0) / TOTAL
        np.testing.assert_allclose(acceleration(velocities), expected[:, None].repeat(50, 1), rtol=1e-9)


def test_a_limit_of_the_model_scales_with_its_ends(make_rig: MakeRig) -> None:
    rig = make_rig("effort", limit='forcerange="-1 2"', effort_limit=[2.0, 1.0])
    _, up = rig.hold(5.0, 0.01)
    rig.begin()
    _, down = rig.hold(-5.0, 0.01)
    np.testing.assert_allclose(up[:, -1] * TOTAL / 0.01, [2.0, 1.0])
    np.testing.assert_allclose(down[:, -1] * TOTAL / 0.01, [-1.0, -0.5])


def test_a_servo_without_strength_enough_falls(make_rig: MakeRig) -> None:
    holding = WEIGHT * LEVER
    rig = make_rig("position", gravity=-9.81, effort_limit=[0.9 * holding, 1.5 * holding])
    positions, _ = rig.hold(-0.3, 1.0)
    assert positions[0, -1] > 0.44  # where its torque suffices
    assert abs(positions[1, -1]) < 0.3


def test_the_torque_speed_curve_of_a_motor(make_rig: MakeRig) -> None:
    """Full torque to the corner, then a straight line: the speed approaches no load exponentially."""
    corner, no_load, torque = 5.0, np.array([20.0, 12.0]), 2.0
    rig = make_rig("effort", effort_limit=torque, corner_speed=corner, no_load_speed=no_load)
    _, velocities = rig.hold(9.0, 0.5)
    time = TIMESTEP * np.arange(1, 501)
    to_corner = corner * TOTAL / torque
    constant = (no_load - corner) * TOTAL / torque
    for row in range(2):
        after = no_load[row] - (no_load[row] - corner) * np.exp(-(time - to_corner) / constant[row])
        expected = np.where(time < to_corner, torque / TOTAL * time, after)
        np.testing.assert_allclose(velocities[row], expected, atol=0.15)
        assert velocities[row, -1] == pytest.approx(no_load[row], rel=2e-3)


def test_beyond_its_no_load_speed_a_motor_only_brakes_and_that_fully(make_rig: MakeRig) -> None:
    rig = make_rig("effort", effort_limit=2.0, corner_speed=5.0, no_load_speed=20.0)
    for direction in (1.0, -1.0):
        rig.begin(velocity=30.0 * direction)
        _, pushed = rig.hold(5.0 * direction, 0.01)
        np.testing.assert_allclose(pushed, 30.0 * direction)
        rig.begin(velocity=30.0 * direction)
        _, braked = rig.hold(-5.0 * direction, 0.01)
        np.testing.assert_allclose(acceleration(braked, 30.0 * direction), -200.0 * direction, rtol=1e-9)


TWO_WHEELS = """
<mujoco>
  <option timestep="0.001" gravity="0 0 0"/>
  <worldbody>
    <body><joint name="plain" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1" diaginertia="0.01 0.01 0.01"/></body>
    <body><joint name="curved" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1" diaginertia="0.01 0.01 0.01"/></body>
  </worldbody>
  <actuator><position name="plain" joint="plain" kp="0.01"/>
    <motor name="curved" joint="curved" forcerange="-1 1"/></actuator>
</mujoco>"""


def test_one_motor_may_have_a_curve_where_another_has_none(make_robot: MakeRobot) -> None:
    """A servo whose data sheet nobody has, and that nothing limits, stays what it is."""
    speeds = {}
    for name in ("nothing", "curve"):
        curve = _entry(20.0, 20.0).model_copy(update={"target": "curved"})
        specification = {"no_load_speed": curve} if name == "curve" else {}
        world = build_world(make_robot(TWO_WHEELS), 1, specification, {}, 1000.0, threads=1)
        randomizer = Randomizer(specification, world)
        if specification:
            randomizer.apply(np.array([0]), np.full((1, 1), 20.0))
        random = EpisodeRandom(episode_seed(0, np.arange(1)))
        rest = np.zeros((1, 2))
        world.reset(np.array([0]), Start(rest, rest), rest, random)
        for step in range(100):
            world.advance(np.array([[100.0, 1.0]]), random, np.array([step + 1]))
        speeds[name] = world.physics.joint_velocity[0].copy()
    plain, curved = speeds["curve"]
    assert plain == pytest.approx(speeds["nothing"][0], rel=1e-9)
    assert speeds["nothing"][1] == pytest.approx(10.0)
    time_constant = 0.01 * 20.0 / 1.0
    assert curved == pytest.approx(20.0 * (1.0 - np.exp(-0.1 / time_constant)), rel=0.01)


def test_a_straight_line_from_standstill_is_the_curve_of_a_plain_motor(make_rig: MakeRig) -> None:
    """Without a corner speed or a limit of its own: from the torque of the largest command."""
    rig = make_rig("effort", no_load_speed=20.0)
    rig.begin(velocity=10.0)
    _, velocities = rig.hold(10.0, TIMESTEP)
    assert acceleration(velocities, 10.0)[0, 0] == pytest.approx(10.0 / 2.0 / TOTAL)


def test_twice_the_stiffness_sags_half_as_far(make_rig: MakeRig) -> None:
    rig = make_rig("position", gravity=-9.81, kp=[KP, 2 * KP, 10 * KP])
    sag = rig.hold(0.0, 1.5)[0][:, -1]
    for kp, angle in zip([KP, 2 * KP, 10 * KP], sag, strict=True):
        assert angle * kp == pytest.approx(WEIGHT * LEVER * math.cos(angle), rel=1e-3)
    assert sag[0] / sag[1] == pytest.approx(2.0, rel=0.02)


def test_damping_brakes_a_servo_in_proportion(make_rig: MakeRig) -> None:
    kd = np.array([KD, 3 * KD, 0.0])
    rig = make_rig("position", kd=kd, kp=1e-6)
    rig.begin(velocity=1.0)
    _, velocities = rig.hold(0.0, 0.005)
    # Implicit in time: each step divides by 1 + kd dt / inertia.
    np.testing.assert_allclose(velocities[:, -1], (1 + kd * TIMESTEP / TOTAL) ** -5, rtol=1e-5)


def test_motor_strength_scales_stiffness_however_the_entries_are_ordered(make_rig: MakeRig) -> None:
    sag = []
    for order in (("kp", "motor_strength"), ("motor_strength", "kp")):
        values = {"kp": 2 * KP, "motor_strength": 0.5}
        rig = make_rig("position", gravity=-9.81, **{name: values[name] for name in order})
        sag.append(rig.hold(0.0, 2.0)[0][0, -1])
    nominal = make_rig("position", gravity=-9.81).hold(0.0, 2.0)[0][0, -1]
    assert sag == pytest.approx([nominal] * 2, rel=1e-4)


# Supply


def test_a_weak_supply_slows_a_voltage_driven_motor(make_rig: MakeRig) -> None:
    supply = np.array([1.0, 0.8, 0.5])
    _, velocities = make_rig("voltage", supply_voltage=supply).hold(8.0, 4.0)
    np.testing.assert_allclose(velocities[:, -1], supply * 8.0 * TORQUE_PER_VOLT / BACK_EMF, rtol=1e-3)


def test_a_weak_supply_softens_and_weakens_a_servo(make_rig: MakeRig) -> None:
    supply = np.array([1.0, 0.7])
    rig = make_rig("position", gravity=-9.81, supply_voltage=supply)
    sag = rig.hold(0.0, 2.0)[0][:, -1]
    np.testing.assert_allclose(supply * KP * sag, WEIGHT * LEVER * np.cos(sag), rtol=1e-3)
    rig = make_rig("position", supply_voltage=supply, limit='forcerange="-2 2"')
    _, velocities = rig.hold(2.0, TIMESTEP)
    np.testing.assert_allclose(acceleration(velocities)[:, 0], supply * 2.0 / TOTAL)


def test_a_weak_supply_costs_a_current_controlled_motor_speed_alone(make_rig: MakeRig) -> None:
    supply = np.array([1.0, 0.6])
    rig = make_rig(
        "effort", supply_voltage=supply, effort_limit=2.0, corner_speed=5.0, no_load_speed=20.0
    )
    _, velocities = rig.hold(2.0, 1.0)
    np.testing.assert_allclose(acceleration(velocities)[:, 0], 2.0 / TOTAL)
    np.testing.assert_allclose(velocities[:, -1], supply * 20.0, rtol=1e-3)


def test_under_load_the_supply_sags(make_rig: MakeRig) -> None:
    """At rest of the speed: damping v = gain ratio V - emf v, ratio = 1 - sag damping v^2."""
    damping, sag = 0.03, np.array([0.0, 0.02, 0.1])
    rig = make_rig("voltage", joint=f'armature="{ROTOR}" damping="{damping}"', supply_sag=sag)
    _, velocities = rig.hold(10.0, 1.5)
    driven, resisted = TORQUE_PER_VOLT * 10.0, BACK_EMF + damping
    a, b, c = driven * sag * damping, resisted, -driven
    expected = np.where(a > 0, (-b + np.sqrt(b * b - 4 * a * c)) / np.maximum(2 * a, 1e-9), driven / b)
    np.testing.assert_allclose(velocities[:, -1], expected, rtol=1e-3)
    assert expected[2] < 0.85 * expected[0]


def test_a_sagging_supply_lowers_the_curve_of_a_loaded_motor(make_rig: MakeRig) -> None:
    curve = {"effort_limit": 2.0, "corner_speed": 5.0, "no_load_speed": 20.0}
    loaded = dict(joint=f'armature="{ROTOR}" damping="0.1"', **curve)
    speed = make_rig("effort", supply_sag=[0.0, 0.01], **loaded).hold(9.0, 1.0)[1][:, -1]
    free = make_rig("effort", supply_sag=[0.0, 0.01], **curve).hold(9.0, 1.0)[1][:, -1]
    for row, sag in enumerate([0.0, 0.01]):
        ratio = 1.0 - sag * 0.1 * speed[row] ** 2
        torque = 2.0 * (20.0 - speed[row] / ratio) / 15.0
        assert torque == pytest.approx(0.1 * speed[row], rel=1e-3)
    assert speed[1] < 0.95 * speed[0]
    assert free == pytest.approx([20.0, 20.0], rel=0.01)  # what draws no power meets no sag


# Backlash


def test_a_free_joint_wiggles_by_the_play(make_rig: MakeRig) -> None:
    """Pushed to and fro against a rotor so heavy that it stays."""
    play = np.array([0.02, 0.1])
    rig = make_rig("effort", joint='armature="1e6"', backlash=play)
    ends = []
    for push in (1.0, -1.0, 1.0):
        rig.kick(push)
        ends.append(rig.hold(0.0, 0.3)[0][:, -1])
    for first, second in itertools.pairwise(ends):
        np.testing.assert_allclose(np.abs(second - first), play, atol=1.1 * TIMESTEP)


def test_a_reversal_reaches_the_joint_when_the_rotor_has_crossed_the_gap(make_rig: MakeRig) -> None:
    play, torque = np.array([0.02, 0.08]), 2.0
    rig = make_rig("effort", backlash=play)
    rig.hold(torque, 0.1)  # driving, engaged
    begun = rig.world.physics.joint_velocity[:, 0].copy()
    _, velocities = rig.hold(-torque, 0.1)
    first = np.argmax(velocities < begun[:, None] - 1e-6, axis=1) * TIMESTEP
    np.testing.assert_allclose(first, np.sqrt(2.0 * play * ROTOR / torque), atol=2.1 * TIMESTEP)


def test_the_gap_takes_time_and_no_momentum(make_rig: MakeRig) -> None:
    """Once rotor and joint move as one again, they go as fast as if there were no play."""
    rig = make_rig("effort", backlash=[0.0, 0.01, 0.05])
    _, there = rig.hold(2.0, 0.1)
    _, back = rig.hold(-2.0, 0.1)
    step = 2.0 / TOTAL * TIMESTEP
    np.testing.assert_allclose(there[1:, -1], there[0, -1], atol=2 * step)
    np.testing.assert_allclose(back[1:, -1], back[0, -1], atol=4 * step)


def test_in_the_gap_a_joint_is_without_the_inertia_of_its_rotor(make_rig: MakeRig) -> None:
    rig = make_rig("effort", joint=f'armature="{ROTOR}" stiffness="8"', backlash=[0.0, 100.0])
    rig.begin(position=0.1)
    positions, _ = rig.hold(0.0, 2.0)
    for row, inertia in ((0, TOTAL), (1, INERTIA)):
        crossings = np.flatnonzero((positions[row, :-1] > 0) & (positions[row, 1:] <= 0))
        period = np.diff(crossings).mean() * TIMESTEP
        assert period == pytest.approx(2 * math.pi * math.sqrt(inertia / 8.0), rel=5e-3)


def test_no_play_is_no_play(make_rig: MakeRig) -> None:
    commands = np.random.default_rng(0).uniform(-10, 10, 300)
    tight, _ = make_rig("voltage", backlash=0.0).run(commands)
    plain, _ = make_rig("voltage").run(commands)
    np.testing.assert_allclose(tight, plain, rtol=1e-9, atol=1e-12)


def test_a_servo_with_play_holds_its_arm_at_one_end_of_it(make_rig: MakeRig) -> None:
    rig = make_rig("position", gravity=-9.81, backlash=[0.0, 0.05])
    positions, velocities = rig.hold(0.0, 1.5)
    assert positions[1, -1] == pytest.approx(positions[0, -1], abs=1e-3)
    assert np.abs(velocities[:, -100:]).max() < 1e-3


# Friction


def test_a_joint_breaks_away_at_static_friction_and_then_meets_coulomb_friction(
    make_rig: MakeRig,
) -> None:
    coulomb, ratio = 0.4, np.array([1.0, 1.5, 2.0])
    rig = make_rig(
        "effort",
        joint=f'armature="{ROTOR}" frictionloss="{coulomb}"',
        stribeck_friction=ratio,
        stribeck_speed=1.0,
    )
    ramp = np.linspace(0.0, 1.0, 2000)
    _, velocities = rig.run(ramp)
    away = ramp[np.argmax(velocities > 0.2, axis=1)]
    np.testing.assert_allclose(away, ratio * coulomb, atol=0.04)
    rig.begin(velocity=5.0)
    _, velocities = rig.hold(0.0, 0.01)
    np.testing.assert_allclose(acceleration(velocities, 5.0), -coulomb / TOTAL, rtol=0.01)


def test_the_stribeck_curve_between(make_rig: MakeRig) -> None:
    speed = np.array([0.5, 1.0, 2.0])
    rig = make_rig(
        "effort",
        joint=f'armature="{ROTOR}" frictionloss="0.4"',
        stribeck_friction=2.0,
        stribeck_speed=speed,
    )
    rig.begin(velocity=1.0)
    _, velocities = rig.hold(0.0, TIMESTEP)
    expected = -0.4 * (1.0 + np.exp(-((1.0 / speed) ** 2))) / TOTAL
    np.testing.assert_allclose(acceleration(velocities, 1.0)[:, 0], expected, rtol=0.01)


def test_friction_grows_with_the_load(make_rig: MakeRig) -> None:
    share = np.array([0.0, 0.1, 0.3])
    rig = make_rig("effort", load_friction=share)
    for torque in (1.0, -4.0):
        rig.begin()
        _, velocities = rig.hold(torque, 0.1)
        expected = torque * (1.0 - share) / TOTAL
        np.testing.assert_allclose(velocities[:, -1] / 0.1, expected, rtol=0.02)
    rig.begin(velocity=3.0)
    np.testing.assert_allclose(rig.hold(0.0, 0.1)[1][:, -1], 3.0, rtol=1e-6)


def test_load_friction_holds_what_drives_a_strong_gear_backwards(make_rig: MakeRig) -> None:
    """A self-locking gear: static deflection stays where it is with more friction than load."""
    rig = make_rig("position", gravity=-9.81, load_friction=[0.0, 0.5])
    rig.begin(position=0.15)  # a bit beyond the equilibrium of 0.098
    positions, _ = rig.hold(0.0, 0.5)
    assert positions[0, -1] == pytest.approx(0.098, abs=2e-3)
    assert positions[1, -1] > 0.13


# Commands on their way


def test_a_command_in_the_dead_zone_does_nothing(make_rig: MakeRig) -> None:
    rig = make_rig("voltage", dead_zone=[0.0, 1.0, 2.0])
    _, velocities = rig.hold(1.5, 0.1)
    assert (velocities[:, -1] > 0.1).tolist() == [True, True, False]
    assert velocities[0, -1] == velocities[1, -1]


def test_a_servo_ignores_an_error_in_its_dead_zone(make_rig: MakeRig) -> None:
    rig = make_rig("position", rate=100.0, dead_zone=[0.0, 0.05], action_latency_ms=7.0)
    rig.begin(position=0.04)
    positions, _ = rig.hold(0.0, 1.0)
    assert abs(positions[0, -1]) < 1e-3
    assert positions[1, -1] == 0.04
    positions, _ = rig.hold(0.3, 3.0)  # pushed until the error is as small as the zone
    assert positions[0, -1] == pytest.approx(0.3, abs=1e-3)
    assert 0.25 <= positions[1, -1] < 0.27


def test_a_lost_command_leaves_the_one_before_in_force(make_rig: MakeRig) -> None:
    lost = np.array([0.0, 0.1, 0.5])
    rig = make_rig("effort", rate=250.0, command_drop_probability=np.repeat(lost, 8))
    commands = np.random.default_rng(0).uniform(-5, 5, 1000)
    _, velocities = rig.run(commands)
    torque = acceleration(velocities)[:, ::4] * TOTAL
    in_force = np.abs(torque - commands) < 1e-6
    shares = 1.0 - in_force.mean(axis=1).reshape(3, 8).mean(axis=1)
    assert shares == pytest.approx(lost, abs=3 * math.sqrt(0.25 / 8000))
    before = np.concatenate((np.zeros((24, 1)), torque[:, :-1]), axis=1)
    np.testing.assert_allclose(torque[~in_force], before[~in_force], atol=1e-6)


def test_jitter_spreads_the_onset_of_a_response(make_rig: MakeRig) -> None:
    rig = make_rig(
        "effort", rate=50.0, action_latency_ms=np.full(400, 4.0), action_latency_jitter_ms=8.0
    )
    _, velocities = rig.run(np.ones(2))
    onset = np.argmax(velocities > 0, axis=1)
    # Uniform between 4 and 12 ms, rounded up to physics steps of 1 ms.
    assert set(onset) == set(range(5, 13))
    assert np.bincount(onset, minlength=13)[5:].min() > 25


def test_an_older_command_never_comes_back_into_force(make_rig: MakeRig) -> None:
    rig = make_rig(
        "effort", rate=100.0, action_latency_ms=np.full(50, 3.0), action_latency_jitter_ms=24.0
    )
    commands = np.linspace(0.1, 9.0, 60)
    _, velocities = rig.run(commands)
    torque = acceleration(velocities) * TOTAL
    assert (np.diff(torque, axis=1) > -1e-6).all()
    assert len({tuple(np.round(row, 6)) for row in torque}) == 50


def test_without_jitter_the_latency_is_what_it_is(make_rig: MakeRig) -> None:
    commands = np.random.default_rng(0).uniform(-5, 5, 40)
    for latency in (0.0, 3.0, 10.0, 25.0):
        fixed, _ = make_rig("effort", rate=100.0, action_latency_ms=latency).run(commands)
        options = {"action_latency_jitter_ms": 0.0, "control_jitter_ms": 0.0}
        varied, _ = make_rig("effort", rate=100.0, action_latency_ms=latency, **options).run(commands)
        assert (fixed == varied).all()


def test_an_early_tick_sees_an_older_state_and_acts_earlier(make_rig: MakeRig) -> None:
    rig = make_rig("effort", rate=50.0, action_latency_ms=np.full(300, 12.0), control_jitter_ms=8.0)
    rig.begin(velocity=1.0)
    positions, velocities = rig.run([0.0] * 9 + [5.0])
    age = positions[:, 179] - rig.readings[9]  # at 1 rad/s, in s
    onset = TIMESTEP * np.argmax(velocities[:, 180:] > 1.0 + 1e-9, axis=1)
    assert age.min() == pytest.approx(0.0, abs=6e-4)
    assert age.max() == pytest.approx(0.008, abs=6e-4)
    np.testing.assert_allclose(onset + age, 0.012, atol=1.1 * TIMESTEP)


def test_an_early_tick_does_not_act_before_its_time(make_rig: MakeRig) -> None:
    rig = make_rig("effort", rate=50.0, action_latency_ms=np.full(100, 3.0), control_jitter_ms=10.0)
    _, velocities = rig.run(np.ones(2))
    onset = np.argmax(velocities > 0, axis=1)
    assert onset.min() == 0
    assert onset.max() == 3


# Together


EVERYTHING: dict[str, tuple[float, float]] = {
    "motor_strength": (0.9, 1.1),
    "effort_limit": (0.015, 0.02),
    "corner_speed": (10.0, 20.0),
    "no_load_speed": (50.0, 80.0),
    "supply_voltage": (0.85, 1.0),
    "supply_sag": (0.0, 0.5),
    "backlash": (0.0, 0.03),
    "stribeck_friction": (1.0, 2.0),
    "stribeck_speed": (0.05, 0.5),
    "load_friction": (0.0, 0.1),
    "dead_zone": (0.0, 0.2),
    "action_latency_ms": (0.0, 15.0),
    "action_latency_jitter_ms": (0.0, 5.0),
    "command_drop_probability": (0.0, 0.1),
    "control_jitter_ms": (0.0, 3.0),
}


def everything() -> Any:
    """The Qube's experiment with every parameter of its actuators, and of its friction."""
    experiment = load_experiment("qube_swingup", ["episode_length=0.5"])
    entries = {name: _entry(*ends) for name, ends in EVERYTHING.items()}
    friction = {"joint_frictionloss": experiment.randomization["joint_frictionloss"]}
    return experiment.model_copy(update={"randomization": entries | friction})


def test_an_episode_is_the_same_in_any_batch_and_place() -> None:
    experiment = everything()
    actions = np.random.default_rng(0).uniform(-1, 1, (120, 5))
    seeds = episode_seed(3, np.arange(5))

    def play(count: int, rows: NDArray[np.int64], before: int) -> Trace:
        """Observations of the five episodes, begun in some rows of a batch that has been busy before."""
        env = BatchEnv(experiment, count, seed=9, threads=1)
        env.reset()
        for _ in range(before):
            env.step(np.ones((count, 1)))
        observations = [env.begin(rows, seeds)[rows].copy()]
        goes_on = np.ones((5, 1), dtype=bool)
        for each in actions[:49]:
            action = np.zeros((count, 1))
            action[rows, 0] = each
            step = env.step(action)
            goes_on &= ~(step.terminated | step.truncated)[rows, None]
            observations.append(np.where(goes_on, step.observation[rows], 0.0))
        return np.array(observations)

    reference = play(5, np.arange(5), before=0)
    assert np.isfinite(reference).all()
    assert (play(5, np.arange(5), before=23) == reference).all()
    assert (play(41, np.array([2, 9, 10, 30, 40]), before=67) == reference).all()
    assert (reference[40, :, 0] != 0.0).sum() >= 3  # still going on, and the arm has moved


def test_an_emulated_robot_takes_them_all() -> None:
    parameters = {name: high for name, (_, high) in EVERYTHING.items()}

    def motion() -> Trace:
        robot, positions = SimulatedRobot("qube", parameters, seed=4), []
        for step in range(400):
            if step % 5 == 0:
                robot.command(True, np.array([3.0 * math.sin(0.02 * step)]))
            positions.append(robot.advance().joint_position.copy())
        return np.array(positions)

    once = motion()
    assert np.abs(once[:, 0]).max() > 0.3
    assert (once == motion()).all()


def test_a_weakened_motor_stays_weak_until_the_next_episode(make_rig: MakeRig) -> None:
    """Also where its law is written anew at each physics step."""
    rig = make_rig("voltage", supply_sag=[0.0, 0.0, 0.0])
    rig.world.actuation.weaken(np.array([0, 2]), np.array([0, 0]), np.array([0.0, 0.5]))
    _, velocities = rig.hold(5.0, 0.01)
    np.testing.assert_allclose(velocities[:, -1] / velocities[1, -1], [0.0, 1.0, 0.5], rtol=0.02)
    rig.world.commit(rig.ids)
    rig.begin()
    _, velocities = rig.hold(5.0, 0.01)
    np.testing.assert_allclose(velocities[:, -1], velocities[1, -1])


def test_a_servo_that_takes_over_another_goes_on_as_it_would(make_rig: MakeRig) -> None:
    parameters = {
        "kp": [15.0, 25.0, 20.0],
        "kd": [0.5, 1.0, 1.5],
        "supply_sag": [0.0, 0.01, 0.02],
        "backlash": [0.0, 0.02, 0.05],
        "load_friction": [0.0, 0.1, 0.2],
        "dead_zone": [0.0, 0.01, 0.02],
        "action_latency_ms": [0.0, 10.0, 25.0],
        "action_latency_jitter_ms": [5.0, 10.0, 0.0],
        "command_drop_probability": [0.5, 0.1, 0.2],
        "control_jitter_ms": [1.0, 5.0, 2.0],
    }
    first = make_rig("position", rate=100.0, gravity=-9.81, **parameters)
    second = make_rig("position", rate=100.0, gravity=-9.81, **parameters)
    commands = np.random.default_rng(0).uniform(-0.5, 0.5, 60)
    first.run(commands[:30])
    second.run(commands[::-1][:7])
    second.world.take(np.array([0, 1]), first.world, np.array([2, 1]))
    second.random.seeds[:2], second.steps[:] = first.random.seeds[[2, 1]], first.steps
    expected, _ = first.run(commands[30:])
    positions, _ = second.run(commands[30:])
    assert (positions[:2] == expected[[2, 1]]).all()
    assert [reading[:2].tolist() for reading in second.readings[7:]] == [
        reading[[2, 1]].tolist() for reading in first.readings[30:]
    ]


# What cannot be


def test_a_robot_without_servos_has_no_stiffness_to_randomize(make_rig: MakeRig) -> None:
    with pytest.raises(UserError, match="kp"):
        make_rig("effort", kp=3.0)


def test_a_limit_that_is_none_cannot_be_scaled() -> None:
    robot = load_robot("qube")
    entry = _entry(0.5, 0.5).model_copy(update={"operation": "scale"})
    world = build_world(robot, 1, {}, {}, threads=1)
    with pytest.raises(UserError, match=r"effort_limit: motor has none to scale"):
        Randomizer({"effort_limit": entry}, world)


@pytest.mark.parametrize(
    ("command", "parameters", "reason"),
    [
        ("effort", {"corner_speed": 3.0}, "add no_load_speed"),
        ("position", {"no_load_speed": 3.0}, "add effort_limit"),
        ("effort", {"supply_voltage": 0.9}, "add no_load_speed"),
    ],
)
def test_what_is_missing_is_named(
    make_rig: MakeRig, command: str, parameters: dict[str, float], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        make_rig(command, **parameters)


def test_a_motor_that_filters_its_command_has_no_play(make_rig: MakeRig) -> None:
    filtered = {"limit": 'dyntype="filter" dynprm="0.1"'}
    with pytest.raises(UserError, match="not an affine function"):
        make_rig("voltage", backlash=0.1, **filtered)


def test_latency_and_jitter_together_have_a_history_or_are_refused(make_rig: MakeRig) -> None:
    with pytest.raises(UserError, match="1200 ms"):
        make_rig("effort", action_latency_ms=700.0, action_latency_jitter_ms=500.0)


# Motor constants


def test_a_motor_under_voltage_has_the_torque_and_the_back_emf_of_its_constants(
    make_rig: MakeRig,
) -> None:
    """From rest: (k/R V - k²/R v) / J, with the compiled law times the ratios of both constants."""
    constant, resistance = np.array([1.0, 1.3, 1.0]), np.array([1.0, 1.0, 0.8])
    rig = make_rig("voltage", torque_constant=constant, motor_resistance=resistance)
    _, velocities = rig.hold(5.0, 1.5)
    gain = TORQUE_PER_VOLT * constant / resistance
    damping = BACK_EMF * constant**2 / resistance
    np.testing.assert_allclose(velocities[:, 0] / TIMESTEP, gain * 5.0 / TOTAL, rtol=5e-3)
    settled = gain * 5.0 / damping * (1.0 - np.exp(-damping / TOTAL * 1.5))
    np.testing.assert_allclose(velocities[:, -1], settled, rtol=1e-3)


def test_an_offset_of_the_torque_acts_without_a_command(make_rig: MakeRig) -> None:
    rig = make_rig("effort", torque_offset=[0.0, 0.02, -0.01])
    _, velocities = rig.hold(0.0, 0.1)
    np.testing.assert_allclose(velocities[:, -1], np.array([0.0, 0.02, -0.01]) / TOTAL * 0.1, atol=1e-12)
