"""Tasks: what is wanted of a robot, as small functions on its motion."""

from simreal.tasks import (
    go2_velocity,
    qube_pixels,
    qube_swingup,
    so101_lift,
    so101_line,
    so101_look,
    so101_push,
    so101_push_pixels,
    so101_reach,
    so101_reach_pixels,
)
from simreal.tasks.find import elsewhere, find_elsewhere, for_robot, refuse_sent_file, task_file
from simreal.tasks.task import Motion, Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        go2_velocity.TASK,
        qube_pixels.TASK,
        qube_swingup.TASK,
        so101_lift.TASK,
        so101_line.TASK,
        so101_look.TASK,
        so101_push.TASK,
        so101_push_pixels.TASK,
        so101_reach.TASK,
        so101_reach_pixels.TASK,
    )
}

__all__ = ["TASKS", "Motion", "Task", "find_task", "refuse_sent_file", "task_file", "task_names"]


def find_task(name: str, robot: str | None = None) -> Task:
    """The task of that name, for a robot; one that is made for a single robot needs none.

    Raises:
        UserError: there is none, the message names the nearest; or it is made for another robot.
    """
    return for_robot(name, TASKS[name] if name in TASKS else find_elsewhere(name, TASKS), robot)


def task_names() -> dict[str, str]:
    """Every task that has a name, and what it is."""
    return {name: task.description for name, task in TASKS.items()} | elsewhere()
