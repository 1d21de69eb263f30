"""Starts with a cube, and scripts that lift and push it: both tasks can be done by their robot."""

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom
from simreal.episodes import Episode
from simreal.experiment import load_experiment
from simreal.physics.interface import Start
from simreal.tasks import so101_cube, so101_lift, so101_push, tabletop
from simreal.tasks.so101_kinematics import GRIPPER, pointing_down
from simreal.tasks.task import Motion

COUNT = 12
CLOSED = -0.15


def an_env(task: str, size: float | None = None, count: int = COUNT, *overrides: str) -> BatchEnv:
    """Nothing is randomized but where things are, and the size of the cube if it is given."""
    entries = "{}"
    if size is not None:
        entries = f"{{object_size: {{distribution: {{type: constant, value: {size}}}}}}}"
    seen = "observation=[{source: object_position}]"
    experiment = load_experiment(task, [f"randomization={entries}", seen, *overrides])
    return BatchEnv(experiment.from_start(), count, threads=1)


def yaw_of(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    w, x, y, z = pose[:, 3:].T
    return np.asarray(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


class Script:
    """Sends the arm through postures; an integrator makes up for the servos' sag."""

    def __init__(self, env: BatchEnv) -> None:
        self.env = env
        self._scale = np.array(env.contract.action.scale)
        self._added = np.zeros((env.count, 6))
        self._from = env.physics.joint_position.copy()
        self.episodes: list[Episode] = []

    def go(self, posture: NDArray[np.float64], seconds: float) -> None:
        steps = round(seconds * self.env.experiment.control_rate)
        for step in range(1, steps + 1):
            wanted = self._from + min(1.0, 1.25 * step / steps) * (posture - self._from)
            error = wanted - self.env.measured_state().joint_position
            error[:, GRIPPER] = 0.0
            self._added += 0.15 * np.where(np.abs(error) < 0.15, error, 0.0)
            step_taken = self.env.step((wanted + self._added - self.env.target) / self._scale)
            self.episodes += step_taken.episodes
        self._from = posture.copy()


def starts(name: str, count: int) -> Start:
    return getattr(so101_cube, name)(EpisodeRandom(np.arange(count, dtype=np.uint64)))


@pytest.mark.parametrize("name", ["cube_apart", "jaws_around_cube", "jaws_beside_cube"])
@pytest.mark.parametrize("size", [0.8, 1.4])
def test_nothing_overlaps_at_the_start(name: str, size: float) -> None:
    model = an_env("so101_lift", count=1).physics.model
    model.geom("cube").size[:] = size * tabletop.CUBE_HALF_SIZE
    data, start = mujoco.MjData(model), starts(name, 100)
    assert start.free_position is not None
    for row in range(100):
        data.qpos[:6], data.qpos[6:] = start.joint_position[row], start.free_position[row, 0]
        mujoco.mj_forward(model, data)
        assert all(contact.dist > -1e-4 for contact in data.contact)
    assert (start.joint_position > model.jnt_range[:6, 0]).all()
    assert (start.joint_position < model.jnt_range[:6, 1]).all()


def test_the_cube_starts_where_the_arm_can_grasp_it_from_above() -> None:
    start = starts("cube_apart", 500)
    assert start.free_position is not None
    place = start.free_position[:, 0, :3].copy()
    place[:, 2] = 0.015
    joints = pointing_down(place, yaw_of(start.free_position[:, 0]), np.full(500, 0.5))
    model = an_env("so101_lift", count=1).physics.model
    assert (joints > model.jnt_range[:6, 0]).all() and (joints < model.jnt_range[:6, 1]).all()


def test_jaws_around_a_cube_are_around_it() -> None:
    """Closing them and lifting takes the cube along."""
    env, start = an_env("so101_lift"), starts("jaws_around_cube", COUNT)
    env.reset(seed=0)
    env.physics.reset(np.arange(COUNT), start, start.joint_position)
    assert start.free_position is not None
    low = start.free_position[:, 0, :3].copy()
    low[:, 2] = 0.02
    script, yaw = Script(env), yaw_of(start.free_position[:, 0])
    back = 0.01 * np.stack([np.cos(yaw), np.sin(yaw), 0.0 * yaw], axis=1)
    script.go(pointing_down(low - back, yaw, np.full(COUNT, 0.7)), 0.8)
    script.go(pointing_down(low - back, yaw, np.full(COUNT, CLOSED)), 0.6)
    script.go(pointing_down(low - back + [0.0, 0.0, 0.05], yaw, np.full(COUNT, CLOSED)), 1.0)
    assert (env.physics.free_position[:, 0, 2] > 0.05).mean() > 0.9


@pytest.mark.parametrize("size", [0.8, 1.4])
def test_a_script_lifts_the_cube_to_where_it_is_wanted(size: float) -> None:
    # Where it can be held pointing down, which is all that the script knows.
    env = an_env("so101_lift", size, COUNT, "commands.x=[0.2, 0.25]", "commands.z=[0.07, 0.08]")
    env.reset(seed=1)
    pose = env.physics.free_position[:, 0].copy()
    script, yaw = Script(env), yaw_of(pose)
    back = 0.008 * np.stack([np.cos(yaw), np.sin(yaw), 0.0 * yaw], axis=1)
    at = pose[:, :3] * [1.0, 1.0, 0.0] - back
    wide, closed = np.full(COUNT, 0.7), np.full(COUNT, CLOSED)
    script.go(pointing_down(at + np.array([0.0, 0.0, 0.05]), yaw, wide), 0.7)
    script.go(pointing_down(at + np.array([0.0, 0.0, 0.018]), yaw, wide), 0.6)
    script.go(pointing_down(at + np.array([0.0, 0.0, 0.018]), yaw, closed), 0.4)
    script.go(pointing_down(env.command, yaw, closed), 0.9)
    jaws = env.command.copy()
    for _ in range(9):
        # Like a policy, it sees the cube, and moves the jaws by what is missing.
        jaws += 0.4 * (env.command - env.physics.free_position[:, 0, :3])
        script.go(pointing_down(jaws, yaw, closed), 0.4)
    assert len(script.episodes) >= COUNT
    assert np.mean([episode.success for episode in script.episodes[:COUNT]]) > 0.5


def test_a_script_pushes_the_cube_to_where_it_is_wanted() -> None:
    env = an_env("so101_push")
    env.reset(seed=2)
    place = env.physics.free_position[:, 0, :3].copy()
    way = env.command - place[:, :2]
    before = np.hypot(*way.T)
    direction = way / before[:, None]
    closed, none = np.full(COUNT, CLOSED), np.zeros(COUNT)

    def behind(centre: NDArray[np.float64], gap: float, height: float) -> NDArray[np.float64]:
        tip = np.concatenate([centre - gap * direction, np.full((COUNT, 1), height)], axis=1)
        return pointing_down(tip, none, closed)

    script = Script(env)
    script.go(behind(place[:, :2], 0.06, 0.07), 0.8)
    script.go(behind(place[:, :2], 0.06, 0.02), 0.6)
    script.go(behind(env.command, 0.03, 0.02), 1.5)
    after = np.hypot(*(env.command - env.physics.free_position[:, 0, :2]).T)
    far = before > 0.05
    assert np.median(after[far] / before[far]) < 0.5


def test_an_arm_that_does_nothing_neither_lifts_nor_pushes() -> None:
    for task in ("so101_lift", "so101_push"):
        env, episodes = an_env(task), []
        env.reset(seed=5)
        apart = env.command - env.physics.free_position[:, 0, : env.command.shape[1]]
        near = np.linalg.norm(apart, axis=1) < so101_push.WITHIN
        for _ in range(env.experiment.episode_steps):
            episodes += env.step(np.zeros((COUNT, 6))).episodes
        assert sum(episode.success for episode in episodes) <= np.sum(near)


def a_motion(env: BatchEnv, place: tuple[float, float, float], gripper: float = 0.5) -> Motion:
    """The arm at home, the cube at rest somewhere."""
    joints = np.tile(np.array([0.0, -0.35, 0.25, 1.5, 0.05, gripper]), (env.count, 1))
    pose = np.tile([*place, 1.0, 0.0, 0.0, 0.0], (env.count, 1, 1))
    env.physics.reset(np.arange(env.count), Start(joints, 0.0 * joints, pose), joints)
    return Motion(
        joints,
        0.0 * joints,
        0.0 * joints,
        0.0 * joints,
        np.tile([0.2, 0.0, 0.1], (env.count, 1)),
        env.physics,
    )


@pytest.mark.parametrize(
    ("place", "lost"),
    [
        ((0.25, 0.05, 0.015), False),
        ((0.2, 0.0, 0.3), False),
        ((0.45, 0.0, 0.015), True),
        ((0.05, 0.03, 0.015), True),
        ((0.2, 0.0, -0.2), True),
    ],
)
def test_a_cube_out_of_reach_ends_the_episode(place: tuple[float, float, float], lost: bool) -> None:
    motion = a_motion(an_env("so101_lift", count=1), place)
    assert tabletop.cube_lost(motion)[0] == lost


def test_lifting_is_rewarded_by_height_and_by_place() -> None:
    env = an_env("so101_lift", count=1)
    scores = []
    for place in (0.015, 0.05, 0.1):
        motion = a_motion(env, (0.2, 0.0, place))
        scores.append(
            [
                each(motion)[0]
                for each in (so101_lift.raised, so101_lift.towards_target, so101_lift.at_target)
            ]
        )
    assert scores[0][0] == 0.0 and scores[0][1] == 0.0
    assert scores[1][0] > 0.9 and 0.5 < scores[1][1] < scores[2][1] == pytest.approx(1.0)
    assert scores[1][2] < 0.01 and scores[2][2] == pytest.approx(1.0)
    assert so101_lift.held(a_motion(env, (0.2, 0.02, 0.1)))[0]
    assert not so101_lift.held(a_motion(env, (0.2, 0.03, 0.1)))[0]


def test_squeezing_is_rewarded_only_with_the_cube_between_the_jaws() -> None:
    env = an_env("so101_lift", count=1)
    motion = a_motion(env, (0.2, 0.0, 0.1))
    grasp = motion.sensor("grasp_position")[0]
    for place, pressed in ((grasp, True), (grasp + np.array([0.0, 0.08, 0.0]), False)):
        motion = a_motion(env, tuple(place))
        target = motion.joint_position.copy()
        target[:, GRIPPER] = CLOSED
        env.physics.step(target)
        motion.joint_position = env.physics.joint_position
        assert (so101_lift.squeeze(motion)[0] > 0.5) == pressed
