"""Actuator networks of hidden robots: made of a law and a seed, bounded, late, and of a loss."""

import numpy as np
import pytest

from simreal.errors import UserError
from simreal.make_environment import make_environment
from simreal.randomization.residual import ResidualModel, read_residual
from simreal.state import FloatArray
from simreal.transfer_bench.drive_network import HISTORY, LAWS, make_network
from simreal.transfer_bench.robot_process import HeldBody
from simreal.transfer_bench.target import network_file
from simreal.transfer_bench.targets import TARGETS, find_target, target_experiment


def torques(model: ResidualModel, signals: FloatArray, speed: float = 0.0) -> FloatArray:
    """(actuators,) in shares of the largest, of (history,) signals likewise, newest first."""
    joints, actuators = len(model.joints), len(model.servos)
    velocities = np.zeros((1, HISTORY, joints))
    places = len(model.mean) - HISTORY * (joints + actuators)
    fastest = 4.0 * model.deviation[places : places + joints]
    velocities[0, :, model.driven] = speed * fastest[model.driven][:, None]
    full = 2.0 * model.deviation[-actuators:]
    features = model.features(np.zeros((1, joints)), velocities, signals[None, :, None] * full)
    torque: FloatArray = model.torque(features)[0][0] / model.scale
    return torque


@pytest.mark.parametrize("robot", LAWS)
def test_the_files_are_what_the_command_makes(robot: str) -> None:
    kept, made = read_residual(network_file(robot)), make_network(robot)
    assert kept.provenance == made.provenance
    for (weight, _), (other, _) in zip(kept.weights, made.weights, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6 * np.abs(other).max())


def test_a_robot_without_a_law_is_refused() -> None:
    with pytest.raises(UserError, match="no actuator network of robot 'can_leg'"):
        make_network("can_leg")


@pytest.mark.parametrize("robot", LAWS)
def test_a_drive_at_rest_has_no_torque_and_none_is_beyond_the_bound(robot: str) -> None:
    model = make_network(robot)
    assert np.abs(torques(model, np.zeros(HISTORY))).max() < 1e-12
    for seed in range(200):
        random = np.random.default_rng(seed)
        signals = random.normal(0.0, 3.0, HISTORY)
        found = torques(model, signals, random.normal())
        assert np.abs(found).max() <= 1.0
        np.testing.assert_allclose(found, -torques(model, -signals, 0.0), atol=0.5)


@pytest.mark.parametrize("robot", LAWS)
@pytest.mark.parametrize("asked", [0.4, 0.8, -0.8])
def test_torque_rises_late_and_stays_below_what_iron_lets_through(robot: str, asked: float) -> None:
    model, law = make_network(robot), LAWS[robot]
    after = []
    for steps in range(HISTORY + 1):
        signals = np.where(np.arange(HISTORY) < steps, asked, 0.0)
        acts = signals[1]  # what the model's own drive, a control step later, does
        after.append((acts + torques(model, signals)[0]) / asked)
    # Nothing before it has arrived, then less than the model says, then what saturation and gears leave.
    assert abs(after[0]) < 1e-9 and abs(after[1]) < 0.1
    assert after[1] < after[2] < after[3] + 0.05
    left = (1.0 - 0.5 * law.loss) * law.knee * np.tanh(abs(asked) / law.knee) / abs(asked)
    assert after[-1] == pytest.approx(left, abs=0.12)
    assert after[2] < 0.95 * left + 0.05


@pytest.mark.parametrize("robot", LAWS)
def test_gears_that_drive_lose_more_than_gears_that_are_driven(robot: str) -> None:
    model, signals = make_network(robot), np.full(HISTORY, 0.5)
    drives, driven = (0.5 + torques(model, signals, speed).mean() for speed in (0.4, -0.4))
    assert 0.3 * LAWS[robot].loss < (driven - drives) / 0.5 < 2.0 * LAWS[robot].loss


@pytest.mark.parametrize("robot", TARGETS)
def test_target_c_has_one_and_the_others_have_none(robot: str) -> None:
    having = [
        name
        for name, target in TARGETS[robot].items()
        if target_experiment(robot, target).residual is not None
    ]
    assert having == ["c"]


def settled(moved: FloatArray, noise: float) -> None:
    """That (steps, joints) positions move and then lie still, but for what encoders add."""
    assert np.ptp(moved, axis=0).max() > 0.1
    assert moved[-25:].std(axis=0).max() < noise


def test_with_one_servos_come_to_rest_where_they_are_told() -> None:
    env = make_environment(
        target_experiment("so101", find_target("so101", "c")).from_start(), 1, threads=1
    )
    env.reset(seed=0)
    moved = []
    for step in range(90):
        env.step(np.full((1, env.action_size), 0.5 if step < 8 else 0.0))
        moved.append(env.measured_state().joint_position[0].copy())
    settled(np.array(moved), 0.003)


def test_with_one_legs_that_hang_come_to_rest_where_they_are_told() -> None:
    body = HeldBody("go2", "c")
    home = {each.name: each.default_position for each in body.description.joints}
    target = np.array([home[each.joint] for each in body.description.actuators]) + 0.15
    settled(np.array([body.advance(target).state.joint_position for _ in range(100)]), 0.006)
