"""Tasks by name, from a user's file, and from other packages."""

import json
import os
from pathlib import Path

import pytest

from simreal.deploy.emulators.simulated_robot import SimulatedRobot
from simreal.deploy.policy import load_policy
from simreal.errors import UserError
from simreal.evaluate import experiment_of
from simreal.experiment import load_experiment, parse_experiment
from simreal.robots.policies import find_policy
from simreal.run import Run
from simreal.tasks import TASKS, Task, find_task, refuse_sent_file, task_names

MINE = """\
from dataclasses import replace
from simreal.tasks import find_task

TASK = replace(find_task("qube_swingup"), name="mine", description="mine")

def for_any(robot):
    return replace(find_task("posture", robot.name), name="gentle")

NUMBER = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_a_shipped_task_is_found_for_its_robot_only() -> None:
    assert find_task("qube_swingup") is TASKS["qube_swingup"]
    assert find_task("qube_swingup", "qube") is TASKS["qube_swingup"]
    with pytest.raises(UserError, match="made for robot 'qube'; posture and stand fit any robot"):
        find_task("qube_swingup", "so101")


def test_a_task_for_any_robot_needs_one() -> None:
    assert find_task("posture", "so101").robot == "so101"
    assert find_task("posture", "so101") is find_task("posture", "so101")
    with pytest.raises(UserError, match="say which"):
        find_task("posture")


def test_an_unknown_task_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'posture'"):
        find_task("postur", "so101")
    assert {"posture", "stand", "qube_swingup"} <= task_names().keys()


def test_a_users_file_may_hold_a_task_or_make_one(folder: Path) -> None:
    assert find_task("mine.py:TASK", "qube").name == "mine"
    assert find_task("mine.py:for_any", "so101").name == "gentle"
    assert find_task(f"{folder / 'mine.py'}:TASK") is find_task("mine.py:TASK")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.py:TASK", "no such file"),
        ("mine.py:TASKS", "did you mean 'TASK'"),
        ("mine.py:NUMBER", "is a int, neither a Task"),
        ("broken.py:TASK", r"broken\.py:2: NameError: name 'undefined'"),
        ("syntax.py:TASK", r"syntax\.py:1: SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_users_file_is_one_message(folder: Path, name: str, says: str) -> None:
    (folder / "broken.py").write_text("x = 1\nundefined\n")
    (folder / "syntax.py").write_text("def (:\n")
    with pytest.raises(UserError, match=says):
        find_task(name, "qube")


def test_a_file_that_a_policy_names_is_not_run_unless_its_user_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = load_experiment("qube_swingup").model_dump(mode="json") | {"task": "sent.py:TASK"}
    (folder / "sent.py").write_text("open('ran', 'w').close()\nfrom mine import TASK\n")
    policy = load_policy(find_policy(Path("qube_swingup")))
    policy.experiment = json.dumps(experiment)
    with pytest.raises(
        UserError, match=r"got\.onnx: its task is in sent\.py.*SIMREAL_TASK_FILES=sent\.py"
    ):
        experiment_of(policy, Path("got.onnx"))
    with pytest.raises(UserError, match=r"the policy to run: its task is in sent\.py"):
        SimulatedRobot("qube", {}, 0, "sent.py:TASK")
    monkeypatch.setenv("SIMREAL_TASK_FILES", os.pathsep.join(["other.py", str(folder / "mine.py")]))
    with pytest.raises(UserError, match=r"sent\.py"):
        refuse_sent_file("sent.py:TASK", "got.onnx")
    assert not (folder / "ran").exists()
    refuse_sent_file("mine.py:TASK", "got.onnx")
    refuse_sent_file("qube_swingup", "got.onnx")


@pytest.mark.parametrize("place", ["run/sent.py", "run/base/../sent.py", "link/sent.py"])
@pytest.mark.parametrize("opened", ["run", "run/base"])
@pytest.mark.parametrize("is_absolute", [True, False])
def test_python_that_came_with_a_runs_folder_is_not_run_unless_its_user_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, opened: str, is_absolute: bool
) -> None:
    experiment = load_experiment("qube_swingup")
    Run.create(Path("run"), experiment, 0)
    Run.create(Path("run/base"), experiment, 0)
    Path("link").symlink_to("run")
    (folder / "run/sent.py").write_text(f"open('ran', 'w').close()\n{MINE}")
    file = f"{folder}/{place}" if is_absolute else place
    config = Path(opened) / "config.yaml"
    config.write_text(config.read_text().replace("task: qube_swingup", f"task: {file}:TASK"))
    with pytest.raises(UserError, match=rf"^{opened}: its task is in .*SIMREAL_TASK_FILES="):
        Run.open(Path(opened)).experiment()
    assert not (folder / "ran").exists()
    monkeypatch.setenv("SIMREAL_TASK_FILES", file)
    assert Run.open(Path(opened)).experiment().task == f"{file}:TASK"
    assert (folder / "ran").exists()


def test_a_run_of_a_users_own_task_is_read_as_ever(folder: Path) -> None:
    experiment = load_experiment("qube_swingup")
    Run.create(Path("run"), experiment, 0)
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("task: qube_swingup", "task: mine.py:TASK"))
    assert Run.open(Path("run")).experiment().task == "mine.py:TASK"


def test_an_experiment_may_name_a_users_task(folder: Path) -> None:
    experiment = {
        "robot": "qube",
        "task": "mine.py:TASK",
        "control_rate": 100,
        "episode_length": 1,
        "rewards": {"upright": 1},
        "observation": [{"source": "joint_position"}],
        "action": {"scale": 4},
    }
    assert parse_experiment(experiment).task == "mine.py:TASK"
    with pytest.raises(UserError, match="no reward 'uprigt'"):
        parse_experiment(experiment | {"rewards": {"uprigt": 1}})


def test_a_task_beside_its_experiment_is_found_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And named from the working folder, as in the file of a policy."""
    (folder / "mine.yaml").write_text("extends: qube_swingup\ntask: mine.py:TASK\n")
    (folder / "work").mkdir()
    (folder / "work" / "other.yaml").write_text("extends: ../mine.yaml\ncontrol_rate: 50\n")
    monkeypatch.chdir(folder / "work")
    for name in ("../mine.yaml", "other.yaml"):
        assert load_experiment(name).task == "../mine.py:TASK"
    monkeypatch.chdir(folder)
    assert load_experiment("mine.yaml").task == "mine.py:TASK"
    (folder / "work" / "mine.yaml").write_text("extends: qube_swingup\ntask: mine.py:TASK\n")
    assert (
        load_experiment("work/mine.yaml").task == "mine.py:TASK"
    )  # none beside it: the working folder's


def test_a_package_offers_tasks_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package as pip installs it: a module, and metadata beside it."""
    (tmp_path / "their_tasks.py").write_text(MINE)
    metadata = tmp_path / "their_tasks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-tasks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[simreal.tasks]\ntheirs = their_tasks:TASK\nlost = their_tasks:LOST\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(find_task("theirs", "qube"), Task)
    assert "theirs" in task_names()
    with pytest.raises(UserError, match="lost: their_tasks:LOST cannot be loaded"):
        find_task("lost", "qube")


def test_two_robots_of_one_name_have_a_task_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made for a robot is kept; another one that takes its name has its own."""
    found = []
    for number, joint in enumerate(("hip", "knee")):
        folder = tmp_path / str(number) / "same"
        folder.mkdir(parents=True)
        (folder / "robot.yaml").write_text(
            f"description:\n  name: same\n  joints: [{{name: {joint}}}]\n  actuators:\n"
            f"    - {{name: a, joint: {joint}, command: effort, unit: N·m, lower: -1, upper: 1}}\n"
        )
        monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path / str(number)))
        found.append([each.name for each in find_task("posture", "same").commands])
    assert found == [["hip"], ["knee"]]
