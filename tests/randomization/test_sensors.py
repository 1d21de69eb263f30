"""Sensor parameters as an experiment names them: units, parts, histories, and exact replay."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig, Specification
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import FloatArray

ARM, PENDULUM = 0, 1
STEPS = 300
"""Physics steps of 2 ms."""
EVERYTHING: dict[str, tuple[float, float]] = {
    "sensor_latency_ms": (0, 10),
    "joint_latency_ms": (0, 5),
    "sensor_latency_jitter_ms": (0, 8),
    "sensor_drop_probability": (0.05, 0.3),
    "sensor_rate_hz": (80, 400),
    "encoder_noise": (0, 0.002),
    "velocity_noise": (0, 0.2),
    "encoder_bias": (-0.02, 0.02),
    "encoder_drift": (0, 0.05),
    "encoder_scale_error": (0.97, 1.03),
    "encoder_saturation": (1.5, 4.0),
    "encoder_resolution": (0.5, 2.0),
}


def uniform(low: float, high: float, **entry: Any) -> dict[str, Any]:
    return entry | {"distribution": {"type": "uniform", "low": low, "high": high}}


def specify(**entries: Any) -> Specification:
    """Entries from numbers, for constants, or in full."""
    return {
        name: ParameterConfig.model_validate(
            entry if isinstance(entry, dict) else {"distribution": {"type": "constant", "value": entry}}
        )
        for name, entry in entries.items()
    }


def swing(count: int = 1, pins: dict[str, float] | None = None, **entries: Any) -> tuple[Any, ...]:
    """A free swing from (0.5, 1.5) rad: true positions, readings and reported velocities.

    Each (count, STEPS + 1, joints). The encoders read continuously, unless told otherwise.
    """
    entries = {"encoder_resolution": 0.0} | entries
    specification = specify(**entries)
    world = build_world(load_robot("qube"), count, specification, pins or {}, threads=1)
    randomizer = Randomizer(specification, world, pins)
    ids, random = np.arange(count), EpisodeRandom(episode_seed(0, np.arange(count)))
    randomizer.apply(ids, randomizer.draw(random).values)
    return follow(world, random)


def follow(world: World, random: EpisodeRandom) -> tuple[FloatArray, FloatArray, FloatArray]:
    physics, count = world.physics, world.physics.count
    start = np.tile([0.5, 1.5], (count, 1))
    world.reset(np.arange(count), Start(start, 0.0 * start), np.zeros((count, 1)), random)
    truth, states = [physics.joint_position.copy()], [world.read(np.zeros(count))]
    for step in range(1, STEPS + 1):
        steps = np.full(count, step)
        world.advance(np.zeros((count, 1)), random, steps)
        truth.append(physics.joint_position.copy())
        states.append(world.read(steps * physics.timestep))
    positions = [state.joint_position for state in states]
    velocities = [state.joint_velocity for state in states]
    return tuple(np.stack(each, axis=1) for each in (truth, positions, velocities))  # type: ignore[return-value]


def shifted(truth: FloatArray, steps: int) -> FloatArray:
    """What was true so many steps ago; the start before that."""
    return truth[:, np.maximum(np.arange(STEPS + 1) - steps, 0)]


def test_without_any_of_them_the_truth_is_read() -> None:
    truth, position, _ = swing()
    assert (truth == position).all()


def test_a_joint_latency_is_in_milliseconds_and_of_one_joint() -> None:
    truth, position, _ = swing(
        sensor_latency_ms=6.0,
        arm={"target": "arm", "parameter": "joint_latency_ms"} | uniform(20.0, 20.0001),
    )
    assert (position[..., ARM] == shifted(truth, 13)[..., ARM]).all()
    assert (position[..., PENDULUM] == shifted(truth, 3)[..., PENDULUM]).all()


def test_jitter_is_in_milliseconds() -> None:
    truth, position, _ = swing(sensor_latency_jitter_ms=6.0)
    ages = [position[0] == shifted(truth, age)[0] for age in range(4)]
    own = [(each[50:].all(axis=1)).mean() for each in ages]
    assert sum(own) == pytest.approx(1.0)
    np.testing.assert_allclose(own, [1 / 6, 1 / 3, 1 / 3, 1 / 6], atol=0.1)


def test_drop_outs_are_a_share() -> None:
    truth, position, _ = swing(sensor_drop_probability=0.25)
    assert (position != truth)[0, 1:].mean() == pytest.approx(0.25, abs=0.08)


def test_a_rate_is_in_hertz() -> None:
    _, position, velocity = swing(sensor_rate_hz=50.0)
    for reading in (position, velocity):
        # 2 ms steps; the last samples of 0.6 s may fall outside.
        assert (np.diff(reading[0, :, PENDULUM]) != 0.0).sum() in (29, 30)


def test_a_scale_is_about_one_and_a_saturation_in_radians() -> None:
    truth, position, _ = swing(encoder_scale_error=1.1)
    np.testing.assert_allclose(position, 1.1 * truth)
    truth, position, _ = swing(encoder_saturation=0.8)
    np.testing.assert_array_equal(position, np.clip(truth, -0.8, 0.8))
    assert (np.abs(truth[..., PENDULUM]) > 0.8).any()


def test_velocity_noise_is_in_radians_per_second() -> None:
    truth, position, velocity = swing(count=20, velocity_noise=0.5)
    _, _, silent = swing(count=20)
    assert (truth == position).all()
    assert (velocity - silent).std(axis=(0, 1)) == pytest.approx([0.5, 0.5], rel=0.05)


def test_a_drift_is_the_standard_deviation_after_a_second() -> None:
    truth, position, _ = swing(count=1000, encoder_drift=0.1)
    error = (position - truth)[:, -1]
    assert error.std(axis=0) == pytest.approx([0.1 * np.sqrt(0.6)] * 2, rel=0.1)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"joint_latency_ms": 1001.0}, "at most 1000 ms"),
        ({"sensor_latency_ms": uniform(0, 500), "joint_latency_ms": 501.0}, "at most 1000 ms"),
        ({"sensor_latency_ms": 600.0, "sensor_latency_jitter_ms": uniform(0, 401)}, "at most 1000 ms"),
        ({"sensor_latency_ms": 600.0, "sensor_rate_hz": uniform(2, 100)}, "at most 1000 ms"),
        ({"sensor_rate_hz": 0.5}, "below 1"),
        ({"sensor_rate_hz": 0.0}, "below 1"),
        ({"sensor_drop_probability": uniform(0.5, 1.5)}, "above 1"),
        ({"joint_latency_ms": uniform(-5, 5)}, "below 0"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_anything_runs(
    entries: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        swing(**entries)


def test_the_history_is_as_long_as_the_latest_joint_whatever_the_order() -> None:
    arm = {"parameter": "joint_latency_ms", "target": "arm"} | uniform(60.0, 60.0001)
    pendulum = {"parameter": "joint_latency_ms", "target": "pendulum"} | uniform(4.0, 4.0001)
    truth, position, _ = swing(arm=arm, pendulum=pendulum)
    assert (position[..., ARM] == shifted(truth, 30)[..., ARM]).all()
    assert (position[..., PENDULUM] == shifted(truth, 2)[..., PENDULUM]).all()


def test_the_history_reaches_to_pins_and_beyond_pins_of_other_joints() -> None:
    entries = {"joint_latency_ms": uniform(0.0, 40.0)}
    truth, position, _ = swing(pins={"joint_latency_ms[arm]": 100.0}, **entries)
    assert (position[..., ARM] == shifted(truth, 50)[..., ARM]).all()
    swing(count=20, pins={"joint_latency_ms[arm]": 0.0}, **entries)
    swing(count=20, pins={"joint_latency_ms": 80.0, "joint_latency_ms[arm]": 0.0}, **entries)


def test_a_latency_of_another_experiment_is_not_read_from_a_shorter_history() -> None:
    env = BatchEnv(experiment(sensor_latency_ms=(0, 10)), 2, threads=1)
    env.begin(np.arange(2), np.arange(2, dtype=np.uint64), np.full((2, 1), 10.0))
    with pytest.raises(UserError, match="beyond the range"):
        env.begin(np.arange(2), np.arange(2, dtype=np.uint64), np.full((2, 1), 14.0))


def experiment(**ranges: tuple[float, float]) -> Any:
    loaded = load_experiment("qube_swingup", ["episode_length=0.5"])
    section = specify(**{name: uniform(*ends) for name, ends in ranges.items()})
    return loaded.model_copy(update={"randomization": section})


def observations(
    env: BatchEnv, ids: NDArray[np.int64], first: FloatArray, actions: FloatArray
) -> FloatArray:
    """(steps + 1, len(ids), size) of rows of an environment; the other rows act anyhow."""
    seen = [first[ids].copy()]
    for number, action in enumerate(actions):
        everywhere = np.random.default_rng(number).uniform(-1, 1, (env.count, 1))
        everywhere[ids] = action
        seen.append(env.step(everywhere).observation[ids].copy())
    return np.array(seen)


def test_an_episode_with_every_sensor_parameter_replays_bit_for_bit_in_any_batch() -> None:
    setup = experiment(**EVERYTHING)
    actions = np.random.default_rng(9).uniform(-1, 1, (49, 3, 1))
    many = BatchEnv(setup, 9, seed=4, threads=2)
    many.reset(4)
    # Rows in mid-course, so that the delay lines of the two batches do not stand at the same place.
    for _ in range(7):
        many.step(np.zeros((9, 1)))
    seeds = episode_seed(4, np.arange(100, 103))
    rows = np.array([2, 5, 7])
    seen = observations(many, rows, many.begin(rows, seeds), actions)
    few = BatchEnv(setup, 3, threads=1)
    backwards = np.array([2, 1, 0])
    again = few.begin(np.arange(3), seeds[backwards])
    replayed = observations(few, np.arange(3), again, actions[:, backwards])
    assert (seen == replayed[:, backwards]).all()
    assert (seen[:, 0] != seen[:, 1]).any()


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_parameter_changes_what_is_observed_and_not_the_motion(name: str) -> None:
    seen, moved = [], []
    for ranges in ({}, {name: EVERYTHING[name]}):
        env = BatchEnv(experiment(**ranges), 4, seed=1, threads=1)
        env.reset(1)
        # From any start, one in four lets the pendulum turn beyond the saturation.
        seen.append([env.step(np.full((4, 1), 0.7)).observation.copy() for _ in range(40)])
        moved.append(env.physics.joint_position.copy())
    assert (moved[0] == moved[1]).all()
    assert (np.array(seen[0]) != np.array(seen[1])).any()


def test_a_slower_velocity_filter_lags_more() -> None:
    """On a ramp, w s / (s + w) is late by 1 / w; factors are on the robot's own corner of 50 rad/s."""
    corner = np.array([1.0, 0.5, 2.0]) * 50.0
    world = build_world(load_robot("qube"), 3, specify(velocity_filter=uniform(0.5, 2.0)), {}, threads=1)
    world.array("sensing.filter_corner")[:] = corner[:, None]
    steps = np.arange(1, 501)
    time = 0.002 * steps
    position = np.broadcast_to(0.5 * time[None, :, None] ** 2, (3, 500, 2))
    reported = np.zeros((3, 2, 2))
    random = EpisodeRandom(episode_seed(0, np.arange(3)))
    world.array("sensing.resolution")[:] = 0.0
    readings = world.sensing.trace(position, position, reported, random)
    lag = time[-1] - readings[1, :, -1, 0]
    np.testing.assert_allclose(lag, 1.0 / corner, atol=0.0025)
