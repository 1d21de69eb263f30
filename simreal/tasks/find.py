"""Finds tasks beyond the shipped ones: those that fit any robot, an installed package's, a user's file.

A task in a file or a package is a `Task`, or a function that makes one for a robot:
``Callable[[Robot], Task]``.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from simreal.contract import RobotDescription
from simreal.errors import UserError, nearest
from simreal.robots import Robot, load_robot
from simreal.tasks import posture, stand
from simreal.tasks.task import Task

MakeTask = Callable[[Robot], Task]

FOR_ANY_ROBOT: dict[str, MakeTask] = {posture.NAME: posture.make_task, stand.NAME: stand.make_task}
ENTRY_POINTS = "simreal.tasks"
TRUSTED = "SIMREAL_TASK_FILES"
"""Environment variable: Python files that may be run for a policy file or a log which names them."""


def for_robot(name: str, found: Task | MakeTask, robot: str | None) -> Task:
    """A task itself, or the one that a function makes for a robot.

    Raises:
        UserError: it is made for another robot, or no robot is named.
    """
    if isinstance(found, Task):
        if robot is not None and found.robot != robot:
            fitting = " and ".join(FOR_ANY_ROBOT)
            raise UserError(f"task {name} is made for robot {found.robot!r}; {fitting} fit any robot")
        return found
    if robot is None:
        raise UserError(f"task {name} fits any robot: say which")
    known = load_robot(robot)
    return _made(name, found, robot, known.model_path, known.description)


def elsewhere() -> dict[str, str]:
    """Every such task that has a name, and what it is."""
    any_robot = {posture.NAME: posture.DESCRIPTION, stand.NAME: stand.DESCRIPTION}
    return {each.name: f"of {each.value}" for each in entry_points(group=ENTRY_POINTS)} | any_robot


@cache
def _made(
    name: str, make: MakeTask, robot: str, _model_path: Path, _description: RobotDescription
) -> Task:
    """Once for each robot, so that a task may keep what it computes from the robot's model."""
    task = make(load_robot(robot))
    if not isinstance(task, Task):
        raise UserError(f"task {name}: made a {type(task).__name__} for {robot!r}, not a Task")
    return task


def find_elsewhere(name: str, shipped: Iterable[str]) -> Task | MakeTask:
    """What a name means that is no shipped task's.

    Args:
        name: of a task; or ``PATH.py:NAME``, what is called so in a file; relative to the working
            folder.
        shipped: names of the shipped tasks, for the message.

    Raises:
        UserError: there is no such task.
    """
    if name in FOR_ANY_ROBOT:
        return FOR_ANY_ROBOT[name]
    if (file := task_file(name)) is not None:
        return _checked(name, _attribute(_module(file.absolute()), name.rpartition(":")[2], str(file)))
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return _checked(name, _of_package(entry))
    hint = nearest(name, [*shipped, *elsewhere()])
    raise UserError(f"no task {name!r}, which is no PATH.py:NAME either: {hint}")


def task_file(name: str) -> Path | None:
    """The Python file that a task's name means, if it means one."""
    return Path(name.rpartition(":")[0]) if ".py:" in name else None


def refuse_sent_file(task: str, where: str) -> None:
    """Refuse a task in a Python file that a policy or a log names, and not who uses it: it would be run.

    Args:
        task: as `find_task` takes it.
        where: it is named.

    Raises:
        UserError: it is in a file that `TRUSTED` does not name.
    """
    file = task_file(task)
    if file is None:
        return
    trusted = os.environ.get(TRUSTED, "").split(os.pathsep)
    if file.absolute() not in [Path(each).absolute() for each in trusted if each]:
        raise UserError(
            f"{where}: its task is in {file}, Python that would be run here; "
            f"if you trust that file, say so: {TRUSTED}={file}"
        )


def _of_package(entry: Any) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"task {entry.name}: {entry.value} cannot be loaded: {error}") from None


@cache
def _module(path: Path) -> Any:
    """A user's file as a module; it is run once."""
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; a task's path starts at the folder of its experiment, or at the "
            "working folder"
        )
    name = f"simreal_task_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = _line_in(path, error)
        raise UserError(f"{path}{line}: {type(error).__name__}: {error}") from error
    return module


def _line_in(path: Path, error: Exception) -> str:
    """``:line`` of a file at which an error arose, if it passed through it."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(error.lineno)
    return f":{lines[-1]}" if lines else ""


def _attribute(module: Any, name: str, path: str) -> Any:
    if not hasattr(module, name):
        public = [each for each in vars(module) if isinstance(getattr(module, each), Task)]
        raise UserError(f"{path}: no {name!r} in it: {nearest(name, public)}")
    return getattr(module, name)


def _checked(name: str, found: Any) -> Task | MakeTask:
    if isinstance(found, Task) or callable(found):
        checked: Task | MakeTask = found
        return checked
    raise UserError(
        f"task {name}: is a {type(found).__name__}, neither a Task nor a function that makes one"
    )
