"""Each parameter by what it does to the motion of the simulated machine."""

import math
from collections.abc import Callable, Sequence

import mujoco
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from simreal import latencies
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, Parameter, matching, operate
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot, load_robot
from simreal.state import RobotState

MakeWorld = Callable[..., World]
Trace = NDArray[np.float64]

ARM, PENDULUM = 0, 1
TIMESTEP = 0.002
TORQUE_PER_VOLT = 0.005
ARM_INERTIA = 1.004e-4
ROTOR_INERTIA = 4.6e-6
ARM_LENGTH, PENDULUM_LENGTH, PENDULUM_MASS = 0.085, 0.122, 0.024


def randomized(
    world: World, name: str, values: ArrayLike, target: str = "*", operation: str | None = None
) -> Randomizer:
    """Give each simulation its own value of one parameter, the same for each part of the target."""
    entry = {
        "parameter": name,
        "target": target,
        "operation": operation,
        "distribution": {"type": "constant", "value": 1.0},
    }
    randomizer = Randomizer({name: ParameterConfig.model_validate(entry)}, world)
    each = np.asarray(values, dtype=np.float64)[:, None]
    randomizer.apply(everyone(world), np.repeat(each, len(randomizer.columns), axis=1))
    return randomizer


def everyone(world: World) -> NDArray[np.int64]:
    return np.arange(world.physics.count)


def hold_the_arm(world: World) -> None:
    world.physics.field("dof_armature")[:, ARM] = 1e3
    world.physics.commit(everyone(world))


def without_losses(world: World) -> None:
    world.physics.field("dof_damping")[:] = 0.0
    world.physics.field("dof_frictionloss")[:] = 0.0


def start(world: World, position: Sequence[float], velocity: Sequence[float] = (0.0, 0.0)) -> None:
    count = world.physics.count
    rows = [np.tile(np.array(each, dtype=np.float64), (count, 1)) for each in (position, velocity)]
    world.physics.reset(everyone(world), Start(*rows), np.zeros((count, 1)))


def run(world: World, seconds: float, voltage: float | Trace = 0.0) -> tuple[Trace, Trace]:
    """Positions and velocities, (count, physics steps, joints); one voltage, or one each step."""
    physics = world.physics
    steps = round(seconds / TIMESTEP / physics.substeps)
    voltages = np.broadcast_to(np.asarray(voltage), steps)
    positions, velocities = [], []
    for each in voltages:
        physics.step(np.full((physics.count, 1), each))
        positions.append(physics.position_trace.copy())
        velocities.append(physics.velocity_trace.copy())
    return np.concatenate(positions, axis=1), np.concatenate(velocities, axis=1)


def periods(angle: Trace) -> list[float]:
    """The mean period of each simulation's swing, s."""
    found = []
    for row in angle:
        falling = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
        crossings = falling + row[falling] / (row[falling] - row[falling + 1])
        found.append(float(np.diff(crossings).mean()) * TIMESTEP)
    return found


def decay(angle: Trace) -> list[float]:
    """The rate at which each simulation's swing dies away, 1/s."""
    seconds = round(angle.shape[1] * TIMESTEP)
    amplitude = np.abs(angle.reshape(len(angle), seconds, -1)).max(axis=2)
    return [float(-np.polyfit(np.arange(seconds), np.log(row), 1)[0]) for row in amplitude]


def inertia_felt_by_the_motor(arm: float, pendulum: float) -> float:
    """Of the arm with the pendulum hanging free from it, for factors on both masses."""
    end = pendulum * PENDULUM_MASS
    about_end = end * PENDULUM_LENGTH**2 / 3.0
    coupling = end * ARM_LENGTH * PENDULUM_LENGTH / 2.0
    return arm * ARM_INERTIA + ROTOR_INERTIA + end * ARM_LENGTH**2 - coupling**2 / about_end


def test_a_heavier_pendulum_swings_with_the_same_period(make_world: MakeWorld) -> None:
    world = make_world(3)
    randomized(world, "mass", [1.0, 1.5, 0.6], target="pendulum")
    hold_the_arm(world)
    start(world, (0.0, 0.1))
    positions, _ = run(world, 5.0)
    swing = periods(positions[..., PENDULUM])
    assert swing == pytest.approx([swing[0]] * 3, rel=1e-4)
    assert 2.0 * math.pi / swing[0] == pytest.approx(10.98, rel=3e-3)


def test_the_friction_of_its_bearing_stops_a_heavier_pendulum_later(make_world: MakeWorld) -> None:
    world = make_world(3)
    randomized(world, "mass", [1.0, 2.0, 0.5], target="pendulum")
    hold_the_arm(world)
    start(world, (0.0, 0.1))
    rates = decay(run(world, 10.0)[0][..., PENDULUM])
    assert rates[1] == pytest.approx(rates[0] / 2.0, rel=0.03)
    assert rates[2] == pytest.approx(rates[0] * 2.0, rel=0.03)


@pytest.mark.parametrize("target", ["arm", "pendulum"])
def test_a_heavier_robot_gains_speed_more_slowly(make_world: MakeWorld, target: str) -> None:
    factors = [1.0, 1.5, 0.6]
    world = make_world(3)
    randomized(world, "mass", factors, target=target)
    without_losses(world)
    start(world, (0.0, 0.0))
    _, velocities = run(world, TIMESTEP, voltage=2.0)
    for factor, speed in zip(factors, velocities[:, 0, ARM], strict=True):
        arm, pendulum = (factor, 1.0) if target == "arm" else (1.0, factor)
        inertia = inertia_felt_by_the_motor(arm, pendulum)
        assert speed / TIMESTEP == pytest.approx(2.0 * TORQUE_PER_VOLT / inertia, rel=0.02)


@pytest.mark.parametrize(("operation", "value"), [("scale", 1.5), ("add", 0.012), ("absolute", 0.036)])
def test_a_mass_is_the_same_however_it_is_said(
    make_world: MakeWorld, operation: str, value: float
) -> None:
    world = make_world(1)
    randomized(world, "mass", [value], target="pendulum", operation=operation)
    assert world.physics.field("body_mass")[0] == pytest.approx([0.0, 0.095, 0.036])
    model = world.physics.model
    grown = world.physics.field("body_inertia")[0, 2] / model.body_inertia[2]
    assert grown == pytest.approx([1.5] * 3)


def test_a_drawn_mass_moves_as_a_model_compiled_with_it(make_world: MakeWorld) -> None:
    """Everything that the engine derives from masses must follow, too."""
    world = make_world(2)
    randomized(world, "mass", [1.0, 1.7])
    start(world, (0.3, 1.0), (2.0, -5.0))
    positions, _ = run(world, 1.0, voltage=1.0)

    spec = mujoco.MjSpec.from_file(str(load_robot("qube").model_path))
    for body in spec.bodies[1:]:
        body.mass *= 1.7
        body.inertia = body.inertia * 1.7
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = (0.3, 1.0), (2.0, -5.0), 1.0
    for step in range(500):
        mujoco.mj_step(model, data)
        np.testing.assert_allclose(positions[1, step], data.qpos, atol=1e-9)


def test_more_damping_makes_a_swing_die_faster(make_world: MakeWorld) -> None:
    world = make_world(4)
    randomized(world, "joint_damping", [1.0, 3.0, 0.3, 0.0], target="pendulum")
    hold_the_arm(world)
    start(world, (0.0, 0.1))
    positions, _ = run(world, 10.0)
    rates = decay(positions[..., PENDULUM])
    inertia = PENDULUM_MASS * PENDULUM_LENGTH**2 / 3.0
    for factor, rate in zip([1.0, 3.0, 0.3], rates, strict=False):
        assert rate == pytest.approx(factor * 1e-5 / (2.0 * inertia), rel=0.05)
    assert abs(rates[3]) < 1e-3


def test_the_damping_of_one_joint_is_none_of_the_other(make_world: MakeWorld) -> None:
    world = make_world(2)
    randomized(world, "joint_damping", [1.0, 50.0], target="arm")
    hold_the_arm(world)
    start(world, (0.0, 0.1))
    positions, _ = run(world, 1.0)
    np.testing.assert_allclose(positions[0, :, PENDULUM], positions[1, :, PENDULUM], atol=1e-6)


def test_coulomb_friction_holds_the_arm_up_to_its_torque(make_world: MakeWorld) -> None:
    nominal = 1e-4 / TORQUE_PER_VOLT  # V, at which the arm breaks away
    moved = []
    for voltage in (0.5 * nominal, 2.0 * nominal):
        world = make_world(3)
        randomized(world, "joint_frictionloss", [0.0, 1.0, 4.0], target="arm")
        start(world, (0.0, 0.0))
        positions, _ = run(world, 1.0, voltage)
        moved.append(positions[:, -1, ARM] > 0.01)
    assert moved[0].tolist() == [True, False, False]
    assert moved[1].tolist() == [True, True, False]


def test_motor_strength_scales_the_acceleration(make_world: MakeWorld) -> None:
    factors = np.array([1.0, 1.3, 0.5])
    world = make_world(3)
    randomized(world, "motor_strength", factors)
    without_losses(world)
    start(world, (0.0, 0.0))
    _, velocities = run(world, TIMESTEP, voltage=3.0)
    speed = velocities[:, 0, ARM]
    np.testing.assert_allclose(speed / speed[0], factors, rtol=2e-3)


def test_motor_strength_scales_the_back_emf_too(make_world: MakeWorld) -> None:
    factors = np.array([1.0, 2.0, 0.5])
    world = make_world(3)
    randomized(world, "motor_strength", factors)
    without_losses(world)
    start(world, (0.0, 0.0), (20.0, 0.0))
    _, braked = run(world, TIMESTEP)
    lost = 20.0 - braked[:, 0, ARM]
    np.testing.assert_allclose(lost / lost[0], factors, rtol=0.02)
    # At the speed where back-EMF meets the voltage, no motor of any strength pushes or brakes.
    start(world, (0.0, 0.0), (20.0, 0.0))
    _, free = run(world, TIMESTEP, voltage=20.0 * 0.042)
    np.testing.assert_allclose(free[:, 0, ARM], free[0, 0, ARM], rtol=1e-6)


@pytest.mark.parametrize("control_rate", [500.0, 100.0])
def test_an_action_latency_shifts_the_whole_motion_by_that_time(
    make_world: MakeWorld, control_rate: float
) -> None:
    """Over a whole episode: the simulated clock's rounding must not change a delay on the way."""
    latencies = [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    world = make_world(len(latencies), control_rate, action_latency=0.015)
    randomized(world, "action_latency_ms", latencies)
    start(world, (0.0, 0.0))
    steps = round(6.0 * control_rate)
    voltages = np.random.default_rng(0).uniform(-3.0, 3.0, steps)
    positions, _ = run(world, 6.0, voltages)
    for row, latency in enumerate(latencies):
        late = round(latency / 2.0)
        assert (positions[row, :late] == 0.0).all()
        assert (positions[row, late:] == positions[0, : 3000 - late]).all()


@pytest.mark.parametrize(("latency_ms", "steps_late"), [(0.5, 1), (3.0, 2), (9.9, 5), (10.1, 6)])
def test_an_action_latency_between_physics_steps_is_rounded_up(
    make_world: MakeWorld, latency_ms: float, steps_late: int
) -> None:
    world = make_world(1, action_latency=0.02)
    randomized(world, "action_latency_ms", [latency_ms])
    start(world, (0.0, 0.0))
    positions, _ = run(world, 0.05, voltage=2.0)
    assert np.argmax(positions[0, :, ARM] > 0.0) == steps_late


def test_a_late_actuator_still_obeys_what_it_was_told_before_the_episode(make_world: MakeWorld) -> None:
    world = make_world(2, action_latency=0.01)
    randomized(world, "action_latency_ms", [10.0, 0.0])
    start(world, (0.0, 0.0))
    run(world, 0.1, voltage=-4.0)
    zeros = np.zeros((2, 2))
    world.physics.reset(everyone(world), Start(zeros, zeros), np.full((2, 1), 2.0))
    positions, _ = run(world, 0.02, voltage=2.0)
    assert (positions[0] == positions[1]).all()


def sense(world: World, seconds: float) -> tuple[Trace, Trace, Trace]:
    """True positions, readings and reported velocities, (count, physics steps, joints)."""
    physics, sensing = world.physics, world.sensing
    random = EpisodeRandom(episode_seed(0, everyone(world)))
    sensing.reset(everyone(world), physics.joint_position, physics.joint_velocity, random)
    truth, states = [], []
    for step in range(1, round(seconds / TIMESTEP) + 1):
        physics.step(np.zeros((physics.count, 1)))
        steps = np.full(physics.count, step)
        sensing.advance(physics.position_trace, physics.velocity_trace, random, steps)
        truth.append(physics.joint_position.copy())
        states.append(sensing.read(steps * TIMESTEP))

    def stack(read: Callable[[RobotState], Trace]) -> Trace:
        return np.stack([read(state) for state in states], axis=1)

    positions, velocities = stack(lambda s: s.joint_position), stack(lambda s: s.joint_velocity)
    return np.stack(truth, axis=1), positions, velocities


def test_a_sensor_latency_shifts_the_readings_by_that_time(make_world: MakeWorld) -> None:
    latencies = [0.0, 6.0, 20.0]
    world = make_world(3, sensor_latency=0.02)
    randomized(world, "sensor_latency_ms", latencies)
    start(world, (0.0, 1.5))
    _, positions, velocities = sense(world, 1.0)
    for row, latency in enumerate(latencies):
        late = round(latency / 2.0)
        assert (positions[row, late:] == positions[0, : 500 - late]).all()
        assert (velocities[row, late:] == velocities[0, : 500 - late]).all()


def test_encoder_noise_has_the_standard_deviation_that_is_given(make_world: MakeWorld) -> None:
    world = make_world(3)
    randomized(world, "encoder_noise", [0.0, 0.01, 0.05], target="pendulum")
    world.sensing.quantities["resolution"][:] = 0.0
    start(world, (0.0, 0.0))
    truth, positions, velocities = sense(world, 8.0)
    error = positions - truth
    assert error[..., PENDULUM].std(axis=1) == pytest.approx([0.0, 0.01, 0.05], rel=0.05)
    assert (error[..., ARM] == 0.0).all()
    assert velocities[1, :, PENDULUM].std() > 0.1


def test_an_encoder_bias_moves_the_mean_and_not_the_motion(make_world: MakeWorld) -> None:
    world = make_world(2)
    randomized(world, "encoder_bias", [0.0, -0.15], target="arm")
    start(world, (0.1, 1.0))
    truth, positions, _ = sense(world, 2.0)
    assert (truth[0] == truth[1]).all()
    mean = (positions - truth).mean(axis=1)
    assert mean[:, ARM] == pytest.approx([0.0, -0.15], abs=5e-4)
    assert mean[:, PENDULUM] == pytest.approx([0.0, 0.0], abs=5e-4)


def test_a_coarser_encoder_reads_coarser_counts(make_world: MakeWorld) -> None:
    count = 2.0 * math.pi / 2048
    world = make_world(3)
    randomized(world, "encoder_resolution", [1.0, 4.0, 0.0])
    start(world, (0.3, 1.5))
    truth, positions, _ = sense(world, 3.0)
    for row, factor in enumerate([1.0, 4.0]):
        counts = positions[row] / (factor * count)
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
        error = positions[row, :, PENDULUM] - truth[row, :, PENDULUM]
        assert np.abs(error).max() <= factor * count / 2 * 1.001
        assert error.std() == pytest.approx(factor * count / math.sqrt(12), rel=0.15)
    assert (positions[2] == truth[2]).all()


def another_value(parameter: Parameter, world: World) -> float:
    """One that it may have, and that no part has."""
    default = parameter.default(world)
    low = -math.inf if parameter.lower is None else parameter.lower
    high = math.inf if parameter.upper is None else parameter.upper
    candidates = (1.0, 0.25, 2.0, 2.0 * low, 0.5 * high)
    return next(each for each in candidates if low <= each <= high and (default != each).all())


COMPANIONS = {"corner_speed": {"no_load_speed": 10.0}}
"""What a parameter means nothing without."""


ELSEWHERE = {"object_size", "terrain_level", "terrain_kind", "residual_strength"}
"""They need a scene or a model; test_objects, test_ground and test_residual have one."""


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in ELSEWHERE])
class TestEveryParameter:
    """On a machine that has all that a parameter may act on."""

    def drawn(
        self, robot: Robot, count: int, name: str, operation: str, value: float
    ) -> tuple[World, Randomizer]:
        specification = {
            each: ParameterConfig.model_validate(
                {
                    "operation": operation if each == name else "absolute",
                    "distribution": {"type": "constant", "value": constant},
                }
            )
            for each, constant in ({name: value} | COMPANIONS.get(name, {})).items()
        }
        world = build_world(robot, count, specification, {}, threads=1)
        return world, Randomizer(specification, world)

    def test_it_is_described(self, box_with_arm: Robot, name: str) -> None:
        parameter, world = PARAMETERS[name], build_world(box_with_arm, 1, {}, {}, threads=1)
        assert parameter.name == name
        assert parameter.unit
        assert parameter.description
        parts = parameter.elements(world)
        assert parts or parameter.of_whole
        assert len(set(parts)) == len(parts)
        assert parameter.default(world).shape == (max(len(parts), 1),)

    def test_it_changes_what_it_says_in_the_simulation_that_is_meant_alone(
        self, box_with_arm: Robot, name: str
    ) -> None:
        parameter = PARAMETERS[name]
        value = another_value(parameter, build_world(box_with_arm, 1, {}, {}, threads=1))
        world, randomizer = self.drawn(box_with_arm, 3, name, "absolute", value)
        before = [world.array(field).copy() for field in parameter.fields]
        one = np.array([1])
        randomizer.apply(one, randomizer.draw(EpisodeRandom(episode_seed(0, one))).values)
        after = [world.array(field) for field in parameter.fields]
        for array, old in zip(after, before, strict=True):
            assert (array[[0, 2]] == old[[0, 2]]).all()
        assert any((array[1] != old[1]).any() for array, old in zip(after, before, strict=True))

    @pytest.mark.parametrize(("operation", "nothing"), [("scale", 1.0), ("add", 0.0)])
    def test_a_neutral_value_changes_nothing(
        self, box_with_arm: Robot, name: str, operation: str, nothing: float
    ) -> None:
        parameter = PARAMETERS[name]
        if np.isinf(parameter.default(build_world(box_with_arm, 1, {}, {}, threads=1))).any():
            pytest.skip("without a limit, there is none to scale or to add to")
        world, randomizer = self.drawn(box_with_arm, 2, name, operation, nothing)
        before = [world.array(field).copy() for field in parameter.fields]
        both = everyone(world)
        randomizer.apply(both, randomizer.draw(EpisodeRandom(episode_seed(0, both))).values)
        for field, old in zip(parameter.fields, before, strict=True):
            assert (world.array(field) == old).all()


def test_every_delay_is_known_by_what_it_delays() -> None:
    """Of those that a world has, by what of it they set: actions, all sensors, or one kind."""
    in_ms = {name for name, each in PARAMETERS.items() if each.unit == "ms"}
    assert in_ms == set(latencies.ALL)
    of_actions = {name for name in in_ms if PARAMETERS[name].fields[0].startswith("actuation.latency")}
    assert of_actions == set(latencies.OF_ACTIONS)
    assert {name for name in in_ms if "jitter" in name} == set(latencies.JITTERS)


def test_the_three_operations() -> None:
    default, value = np.array([2.0, 3.0]), np.array([0.5, 10.0])
    assert operate("absolute", default, value).tolist() == [0.5, 10.0]
    assert operate("scale", default, value).tolist() == [1.0, 30.0]
    assert operate("add", default, value).tolist() == [2.5, 13.0]


def test_patterns_choose_by_name() -> None:
    names = ["front_hip", "front_knee", "rear_hip"]
    assert matching("*", names) == [0, 1, 2]
    assert matching("front_*", names) == [0, 1]
    assert matching("*_hip", names) == [0, 2]
    assert matching("rear_hip", names) == [2]
    assert matching("Front_hip", names) == []
