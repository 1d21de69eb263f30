"""The generic task for robots on a free base, on the Go2, which was not made for it."""

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.physics.model import compile_model
from simreal.robots import load_robot
from simreal.tasks import Motion, find_task
from simreal.tasks.stand import add_ground, find_stance

TASK = find_task("stand", "go2")
ROBOT = load_robot("go2")
STANCE = find_stance(compile_model(ROBOT), ROBOT)


def pose(lean: float = 0.0, height: float = 1.0, joints_off: float = 0.0) -> Motion:
    """One robot that leans forward, at a share of its standing height."""
    quaternion = [np.cos(lean / 2), 0.0, np.sin(lean / 2), 0.0]
    place = np.array([[[0.0, 0.0, height * STANCE.position[2], *quaternion]]])
    joints = np.array([ROBOT.description.default_position]) + joints_off
    still = np.zeros_like(joints)
    physics = SimpleNamespace(free_position=place, free_velocity=np.zeros((1, 1, 6)))
    return Motion(joints, still, still, still, physics=physics)  # type: ignore[arg-type]


def test_its_start_stands_on_the_ground() -> None:
    random = EpisodeRandom(np.arange(20, dtype=np.uint64))
    start = TASK.initial_states["default"](random)
    assert start.free_position is not None
    model = compile_model(ROBOT, scene=add_ground)
    data = mujoco.MjData(model)
    data.qpos[:7] = start.free_position[0, 0]
    for name, value in zip(
        ROBOT.description.joint_names, ROBOT.description.default_position, strict=True
    ):
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(model, data)
    assert all(contact.dist > -1e-3 for contact in data.contact[: data.ncon])
    data.qpos[2] -= 0.003
    mujoco.mj_forward(model, data)
    assert data.ncon > 0
    assert np.ptp(start.joint_position, axis=0).min() > 0.01
    limits = [(joint.lower, joint.upper) for joint in ROBOT.description.joints]
    for column, (low, high) in zip(start.joint_position.T, limits, strict=True):
        assert low <= column.min() <= column.max() <= high


@pytest.mark.parametrize(
    ("lean", "height", "stands", "down"),
    [
        (0.0, 1.0, True, False),
        (-0.2, 1.05, True, False),
        (0.4, 1.0, False, False),
        (0.0, 0.8, False, False),
        (1.2, 1.0, False, True),
        (0.0, 0.4, False, True),
    ],
)
def test_what_is_standing_and_what_is_down(lean: float, height: float, stands: bool, down: bool) -> None:
    now = pose(lean, height)
    assert TASK.goal(now).tolist() == [stands]
    assert TASK.terminations["down"](now).tolist() == [down]
    assert TASK.metrics["lean_rad"](now) == pytest.approx([abs(lean)], abs=1e-6)


def test_rewards_are_best_where_it_should_be() -> None:
    best = {name: function(pose())[0] for name, function in TASK.rewards.items()}
    worse = {name: function(pose(0.3, 0.9, 0.2))[0] for name, function in TASK.rewards.items()}
    assert best["upright"] == pytest.approx(1.0)
    assert worse["upright"] < 0.5
    assert best["posture"] == 0.0
    assert worse["posture"] == pytest.approx(0.04)


def test_ground_is_put_under_a_model_that_has_none() -> None:
    spec = mujoco.MjSpec.from_file(str(ROBOT.model_path))
    add_ground(spec)
    add_ground(spec)
    planes = [geom for geom in spec.geoms if geom.type == mujoco.mjtGeom.mjGEOM_PLANE]
    assert len(planes) == 1


def test_a_robot_on_a_fixed_base_is_sent_to_the_other_task() -> None:
    with pytest.raises(UserError, match="task posture"):
        add_ground(mujoco.MjSpec.from_file(str(load_robot("so101").model_path)))
