"""What is asked of the arm can be done, and is rewarded where it is done."""

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom
from simreal.experiment import load_experiment
from simreal.physics.interface import Start
from simreal.tasks import so101_reach as task
from simreal.tasks.so101_kinematics import HOME, WRIST_ROLL
from simreal.tasks.task import Motion

LOW = np.array([command.low for command in task.TASK.commands])
HIGH = np.array([command.high for command in task.TASK.commands])
COUNT = 64
UPRIGHT = np.array([0.0, -1.0, 0.0, 0.0, 0.0, 0.5])


def an_env(count: int = COUNT, **changes: object) -> BatchEnv:
    overrides = [f"{key}={value}" for key, value in changes.items()]
    return BatchEnv(load_experiment("so101_reach", ["randomization={}", *overrides]), count, threads=1)


def postures(count: int, number: int = 0) -> NDArray[np.float64]:
    random = EpisodeRandom(np.arange(count, dtype=np.uint64))
    return task.clear_postures(random, "command", np.full(count, number), LOW, HIGH)


def motion_at(env: BatchEnv, joints: NDArray[np.float64], command: NDArray[np.float64]) -> Motion:
    """The arms put there at rest."""
    nothing = np.zeros_like(joints)
    env.physics.reset(np.arange(env.count), Start(joints, nothing), joints)
    return Motion(env.physics.joint_position, nothing, nothing, nothing, command, env.physics)


def asked(count: int) -> NDArray[np.float64]:
    random = EpisodeRandom(np.arange(count, dtype=np.uint64))
    return task.draw_pose(random, LOW, HIGH, np.zeros(count, dtype=np.int64))


def test_each_pose_that_is_asked_is_that_of_a_posture_clear_of_the_table() -> None:
    env = an_env()
    motion = motion_at(env, postures(COUNT), asked(COUNT))
    assert task.distance_to_target(motion).max() < 1e-6
    assert task.pitch_error(motion).max() < 1e-9
    assert task.roll_error(motion).max() < 1e-9
    assert task.reached(motion).all()
    data = mujoco.MjData(env.physics.model)
    for posture in postures(COUNT):
        data.qpos[:] = posture
        mujoco.mj_forward(env.physics.model, data)
        assert data.ncon == 0


def test_poses_fill_their_ranges_and_do_not_leave_them() -> None:
    poses = asked(2000)
    assert (poses >= LOW - 1e-12).all() and (poses <= HIGH + 1e-12).all()
    assert (np.ptp(poses, axis=0) > 0.8 * (HIGH - LOW)).all()


def test_hardly_any_draw_finds_no_posture() -> None:
    at_home = (postures(4000) == HOME).all(axis=1)
    assert at_home.mean() < 1e-3


def test_narrower_ranges_are_kept() -> None:
    random = EpisodeRandom(np.arange(500, dtype=np.uint64))
    low, high = LOW.copy(), HIGH.copy()
    low[0], high[0] = 0.2, 0.35
    poses = task.draw_pose(random, low, high, np.zeros(500, dtype=np.int64))
    found = ((low <= poses) & (poses <= high)).all(axis=1)
    # Of few postures left, all may have been outside: then the arm is asked to go home.
    home = task.pose(HOME[None])[0]
    np.testing.assert_allclose(poses[~found], np.tile(home, ((~found).sum(), 1)))
    assert found.mean() > 0.98


def test_a_pose_is_a_function_of_the_episode_and_its_number() -> None:
    np.testing.assert_array_equal(postures(8), postures(16)[:8])
    assert (postures(8) != postures(8, number=1)).any(axis=1).all()


@pytest.mark.parametrize(
    ("joint", "off", "still"), [(WRIST_ROLL, 0.1, True), (WRIST_ROLL, 0.2, False), (0, 0.2, False)]
)
def test_a_little_off_is_still_reached(joint: int, off: float, still: bool) -> None:
    joints = postures(COUNT)
    far = np.hypot(*asked(COUNT)[:, :2].T) > 0.2  # there, 0.2 rad of pan are more than a centimetre
    joints[:, joint] += off
    reached = task.reached(motion_at(an_env(), joints, asked(COUNT)))
    assert (reached[far] == still).all()


def test_nearer_is_better() -> None:
    env, joints, command = an_env(), postures(COUNT), asked(COUNT)
    rewards = []
    for off in (0.3, 0.1, 0.02, 0.0):
        motion = motion_at(env, joints + off * np.eye(6)[0], command)
        rewards.append((task.near(motion).mean(), task.at_target(motion).mean()))
    assert (np.diff(np.array(rewards), axis=0) > 0.0).all()
    assert rewards[-1] == pytest.approx((1.0, 1.0))


def test_an_arm_that_goes_to_the_posture_succeeds() -> None:
    """An episode with the answer given, by way of the arm held high, over the table.

    What an action adds to the servos' targets makes up for their sag.
    """
    env = an_env(16)
    env.reset(seed=3)
    scale = np.array(env.contract.action.scale)
    random = EpisodeRandom(env._random.seeds)
    goal = task.clear_postures(random, "command", np.zeros(16, dtype=np.int64), LOW, HIGH)
    episodes = []
    for step in range(env.experiment.episode_steps):
        if step < 15:
            episodes += env.step((UPRIGHT - env.target) / scale).episodes
            continue
        away, missing = goal - env.target, goal - env.measured_state().joint_position
        change = np.where(np.abs(away) > 0.2, away, 0.1 * missing)
        episodes += env.step(change / scale).episodes
    assert [episode.success for episode in episodes] == [True] * 16
    assert max(episode.metrics["distance_m"] for episode in episodes) < 0.15


def test_an_arm_that_stays_at_home_fails() -> None:
    env = an_env(16)
    env.reset(seed=3)
    episodes = []
    for _ in range(env.experiment.episode_steps):
        episodes += env.step(np.zeros((16, 6))).episodes
    assert not any(episode.success for episode in episodes)
