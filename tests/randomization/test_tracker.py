"""What a tracker reports of an object, against where the object is."""

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.action import ActionPipeline
from simreal.contract import Contract, ObservationTerm
from simreal.deploy.sim_wire import StatePacket, WireError
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.observation import ObservationPipeline
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import fixed
from simreal.randomization.tracker import tracked_objects
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import RobotState
from simreal.tasks.tabletop import add_table, add_table_with_cube

SLIDING = 0.3  # m/s
COUNT = 3


def sliding(parameters: dict[str, float], steps: int, count: int = COUNT) -> tuple[World, EpisodeRandom]:
    """A cube that slides along x over a table without friction, for some control steps of 40 ms."""

    def scene(spec: mujoco.MjSpec) -> None:
        add_table_with_cube(spec)
        for name in ("table", "cube"):
            spec.geom(name).friction = (0.0, 0.0, 0.0)

    specification, pins = fixed(parameters)
    world = build_world(load_robot("so101"), count, specification, pins, 25.0, scene=scene)
    randomizer = Randomizer(specification, world, pins)
    random, ids = EpisodeRandom(np.arange(count, dtype=np.uint64)), np.arange(count)
    randomizer.apply(ids, randomizer.draw(random).values)
    joints = np.tile([0.0, -1.0, 0.0, 0.0, 0.0, 0.0], (count, 1))
    pose = np.tile([0.1, 0.05, 0.015, 1.0, 0.0, 0.0, 0.0], (count, 1, 1))
    speed = np.tile([SLIDING, 0.0, 0.0, 0.0, 0.0, 0.0], (count, 1, 1))
    world.reset(ids, Start(joints, 0.0 * joints, pose, speed), joints, random)
    for step in range(1, steps + 1):
        world.advance(joints, random, np.full(count, step))
    return world, random


def seen(world: World) -> NDArray[np.float64]:
    pose = world.read(np.zeros(world.physics.count)).object_pose
    assert pose is not None
    return pose


def test_an_ideal_one_reports_the_pose_a_physics_step_ago() -> None:
    world, _ = sliding({}, 5)
    true = world.physics.free_position[:, 0]
    reported = seen(world)[:, 0]
    np.testing.assert_allclose(true[:, 0] - reported[:, 0], SLIDING * 0.005, atol=1e-5)
    np.testing.assert_allclose(reported[:, 1:], true[:, 1:], atol=1e-5)


@pytest.mark.parametrize("latency_ms", [20.0, 60.0])
def test_latency_makes_it_late_by_that(latency_ms: float) -> None:
    late = seen(sliding({"tracker_latency_ms": latency_ms}, 8)[0])[:, 0, 0]
    now = seen(sliding({}, 8)[0])[:, 0, 0]
    np.testing.assert_allclose(now - late, SLIDING * 1e-3 * latency_ms, atol=2e-5)


def test_at_first_it_has_always_been_where_it_starts() -> None:
    world, _ = sliding({"tracker_latency_ms": 60.0}, 0)
    np.testing.assert_allclose(seen(world)[:, 0, :2], np.tile([0.1, 0.05], (COUNT, 1)), atol=1e-9)


def test_a_bias_moves_every_reading() -> None:
    parameters = {
        f"tracker_bias[{axis}]": value for axis, value in zip("xyz", (0.01, -0.02, 0.005), strict=True)
    }
    shift = seen(sliding(parameters, 4)[0]) - seen(sliding({}, 4)[0])
    np.testing.assert_allclose(shift[:, 0, :3], np.tile([0.01, -0.02, 0.005], (COUNT, 1)), atol=1e-12)


def test_noise_has_its_deviation_and_is_new_at_each_step() -> None:
    count = 800
    errors = [
        (seen(sliding({"tracker_noise": 0.002}, steps, count)[0]) - seen(sliding({}, steps, count)[0]))[
            :, 0
        ]
        for steps in (2, 3)
    ]
    np.testing.assert_allclose(errors[0][:, :3].std(axis=0), 0.002, rtol=0.1)
    assert abs(np.corrcoef(errors[0][:, 0], errors[1][:, 0])[0, 1]) < 0.15
    assert abs(np.corrcoef(errors[0][:, 0], errors[0][:, 1])[0, 1]) < 0.15


def test_noise_of_the_orientation_is_a_rotation_of_its_deviation() -> None:
    count = 800
    reported = seen(sliding({"tracker_turn_noise": 0.03}, 2, count)[0])[:, 0, 3:]
    np.testing.assert_allclose(np.linalg.norm(reported, axis=1), 1.0, atol=1e-9)
    turned = Rotation.from_quat(np.roll(reported, -1, axis=1)).as_rotvec()
    np.testing.assert_allclose(turned.std(axis=0), 0.03, rtol=0.1)


def test_the_same_episode_is_seen_alike_in_any_batch() -> None:
    parameters = {"tracker_noise": 0.002, "tracker_turn_noise": 0.02, "tracker_latency_ms": 30.0}
    few, many = (seen(sliding(parameters, 4, count)[0]) for count in (2, 5))
    np.testing.assert_array_equal(few, many[:2])


def test_only_loose_objects_with_both_sensors_are_seen() -> None:
    with_cube = build_world(load_robot("so101"), 1, {}, {}, scene=add_table_with_cube)
    without = build_world(load_robot("so101"), 1, {}, {}, scene=add_table)
    assert tracked_objects(with_cube.physics.model) == with_cube.objects == ("cube",)
    assert without.objects == ()
    assert without.read(np.zeros(1)).object_pose is None


def lift_contract() -> Contract:
    return BatchEnv(load_experiment("so101_lift"), 1, threads=1).contract


def test_a_policy_observes_it_by_name() -> None:
    terms = (
        ObservationTerm(source="object_position", scale=10.0, history=2),
        ObservationTerm(source="object_orientation"),
    )
    contract = lift_contract().model_copy(update={"observation": terms})
    pipeline = ObservationPipeline(contract)
    assert pipeline.names[:3] == tuple(f"object_position[cube.{axis}]" for axis in "xyz")
    assert pipeline.names[6:] == tuple(f"object_orientation[cube.{axis}]" for axis in "wxyz")
    pose = np.array([[0.2, -0.1, 0.03, 0.6, 0.0, 0.0, 0.8]])
    state = RobotState(0.0, np.zeros(6), np.zeros(6), object_pose=pose)
    observed = pipeline.begin(state, np.zeros(6), command=np.zeros(3))
    np.testing.assert_allclose(observed, [2, -1, 0.3, 2, -1, 0.3, 0.6, 0, 0, 0.8], atol=1e-6)


def test_a_robot_without_a_tracker_is_told_so() -> None:
    pipeline, state = ObservationPipeline(lift_contract()), RobotState(0.0, np.zeros(6), np.zeros(6))
    with pytest.raises(UserError, match="tracker"):
        pipeline.begin(state, np.zeros(6), command=np.zeros(3))


def test_a_task_without_objects_has_none_to_observe() -> None:
    with pytest.raises(UserError, match="no object"):
        BatchEnv(
            load_experiment("so101_reach", ["observation=[{source: object_position}]"]), 1, threads=1
        )


def test_poses_come_through_the_wire() -> None:
    pose = np.arange(14.0).reshape(2, 7)
    state = RobotState(0.5, np.arange(6.0), np.ones(6), object_pose=pose)
    data = StatePacket(3, 500_000_000, state).encode()
    found = StatePacket.decode(data, 6).state.object_pose
    assert found is not None
    np.testing.assert_array_equal(found, pose)
    with pytest.raises(WireError):
        StatePacket.decode(data[:-8], 6)


def test_zero_actions_are_within_the_arms_limits() -> None:
    contract = lift_contract()
    target = ActionPipeline(contract)(np.zeros(6)).target
    np.testing.assert_allclose(target, contract.robot.default_position)
