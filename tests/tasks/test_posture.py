"""The generic task for robots on a fixed base, on robots that were not made for it."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from simreal.commands import described_commands
from simreal.contract import Command
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.lint import lint_experiment
from simreal.physics.model import compile_model
from simreal.robots import load_robot
from simreal.tasks import Motion, find_task
from simreal.tasks.posture import possible_postures

TASK = find_task("posture", "so101")
JOINTS = load_robot("so101").description


def motion(position: np.ndarray, command: np.ndarray) -> Motion:
    still = np.zeros((len(position), 6))
    return Motion(position, still, still, still, command)


def draw(count: int, low: np.ndarray | None = None, high: np.ndarray | None = None) -> np.ndarray:
    ends = np.array([[each.low, each.high] for each in TASK.commands])
    random = EpisodeRandom(np.arange(count, dtype=np.uint64))
    bounds = ends[:, 0] if low is None else low, ends[:, 1] if high is None else high
    return TASK.draw_command(random, *bounds, np.zeros(count, dtype=np.int64))


def test_its_commands_are_the_driven_joints_within_their_stops() -> None:
    names = [each.joint for each in JOINTS.actuators]
    assert sorted(each.name for each in TASK.commands) == sorted(names)
    for command, joint in zip(TASK.commands, JOINTS.joints, strict=True):
        assert isinstance(command, Command)
        assert joint.lower < command.low < command.high < joint.upper


def test_a_commanded_posture_can_be_taken() -> None:
    """Without the robot touching itself, and within what its drives can hold."""
    robot = load_robot("so101")
    model, postures = compile_model(robot), draw(200)
    data = mujoco.MjData(model)
    for posture in postures:
        for command, value in zip(TASK.commands, posture, strict=True):
            data.joint(command.name).qpos[0] = value
        mujoco.mj_forward(model, data)
        assert all(contact.dist > -2e-3 for contact in data.contact[: data.ncon])
    assert len(np.unique(postures[:, 0])) > 100


def test_a_narrower_range_is_kept() -> None:
    low, high = np.full(6, -0.3), np.full(6, 0.3)
    drawn = draw(50, low, high)
    assert ((low <= drawn) & (drawn <= high)).all()


def test_a_wider_range_is_refused_since_nothing_of_it_would_be_trained() -> None:
    own = find_task("posture", "can_leg").commands[0]
    for low, high in ((own.low - 0.1, own.high), (own.low, own.high + 0.1)):
        experiment = load_experiment("can_leg_posture", [f"commands={{{own.name}: [{low}, {high}]}}"])
        with pytest.raises(UserError, match=rf"commands\.{own.name}: .* task posture asks for"):
            BatchEnv(experiment, 1, threads=1)


@pytest.mark.parametrize(("share", "refused"), [(1e-15, False), (5e-7, False), (5e-6, True)])
def test_a_range_that_is_off_in_its_last_digits_is_the_same_range(share: float, refused: bool) -> None:
    for own in find_task("posture", "so101").commands:
        off = share * (own.high - own.low)
        commands = {own.name: (own.low - off, own.high + off)}
        experiment = load_experiment("can_leg_posture").model_copy(update={"commands": commands})
        if not refused:
            described_commands(experiment, TASK)
            continue
        with pytest.raises(UserError, match=rf"commands\.{own.name}: ") as told:
            described_commands(experiment, TASK)
        given, _, most = str(told.value).partition(": task posture asks for ")
        assert most.removesuffix(" at most") not in given


def test_a_posture_is_a_pure_function_of_the_episode() -> None:
    np.testing.assert_array_equal(draw(8)[3], draw(5)[3])


def test_it_is_reached_where_every_joint_is() -> None:
    command = draw(3)
    position = command.copy()
    position[1, 4] += 0.3
    reached = TASK.goal(motion(position, command))
    assert reached.tolist() == [True, False, True]
    for reward in ("near", "precise"):
        values = TASK.rewards[reward](motion(position, command))
        assert values[0] == pytest.approx(1.0)
        assert values[1] < values[0]
    distance = TASK.rewards["distance"](motion(position, command))
    assert distance[1] > distance[0] == pytest.approx(0.0)


def test_its_postures_leave_room_for_weak_drives() -> None:
    """With gravity ten times as strong, the drives cannot bear what they bore."""
    robot = load_robot("so101")
    model = compile_model(robot)
    names = [each.name for each in TASK.commands]
    ranges = np.array([[each.low, each.high] for each in TASK.commands])
    many = len(possible_postures(model, robot, names, ranges))
    model.opt.gravity[:] *= 10.0
    assert len(possible_postures(model, robot, names, ranges)) < 0.5 * many


def test_a_robot_on_its_feet_is_sent_to_the_other_task() -> None:
    free = mujoco.MjSpec()
    free.worldbody.add_body(name="trunk").add_freejoint()
    assert TASK.scene is not None
    with pytest.raises(UserError, match="task stand"):
        TASK.scene(free)
    TASK.scene(mujoco.MjSpec.from_file(str(Path(load_robot("qube").model_path))))


def test_lint_tells_a_wider_range_where_it_is_asked_for() -> None:
    override = "commands={hip: [-9.0, 9.0]}"
    (found,) = (each for each in lint_experiment("can_leg_posture", [override]) if "hip" in each.what)
    assert (found.severity, found.check) == ("error", "name")
    assert override in found.where and "a range within that" in found.mend
