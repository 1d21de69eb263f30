"""Tasks: what is wanted of a robot, as small functions on its motion."""

from simreal.errors import UserError, nearest
from simreal.tasks import qube_swingup
from simreal.tasks.task import Motion, Task

TASKS: dict[str, Task] = {task.name: task for task in (qube_swingup.TASK,)}

__all__ = ["TASKS", "Motion", "Task", "find_task"]


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    if name not in TASKS:
        raise UserError(f"no task {name!r}: {nearest(name, TASKS)}")
    return TASKS[name]
