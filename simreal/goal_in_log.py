"""Whether a task's goal held, read off a log of the loop."""

import math
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from simreal.logs.messages import LogMessages
from simreal.tasks import Motion, find_task, refuse_sent_file
from simreal.tasks.task import NotInLogError


def goal_share_of_log(log: LogMessages, task: str, planned_steps: int) -> float:
    """Share of the second half of a planned run in which a task's goal held, by the measured joints.

    As in evaluation, steps that a fault or an interrupt cut off count as failed. nan where the goal is
    not to be seen in the joints.
    """
    acted = _whole_cycles(log)
    number = len(acted)
    if number == 0:
        return 0.0

    def rows(topic: str, *keys: str) -> NDArray[np.float64]:
        return log.array(topic, *keys)[np.isin(log.times[topic], acted)]

    action = rows("/action")
    position, velocity = rows("/state", "joint_position"), rows("/state", "joint_velocity")
    planned_steps -= _skipped(acted)  # which were not lost
    number = min(number, max(planned_steps, 1))  # behind them it was asked to come to a stand
    first = planned_steps // 2
    if number <= first:
        return 0.0
    half = slice(first, number)
    asked = rows("/asked") if "/asked" in log.messages else np.zeros((number, 0))
    motion = Motion(position[half], velocity[half], action[half], action[half], asked[half])
    refuse_sent_file(task, "the policy")
    robot = None if log.contract is None else log.contract.robot.name
    try:
        held = find_task(task, robot).goal(motion)
    except NotInLogError:
        return math.nan
    return float(np.sum(held) / max(planned_steps - first, number - first))


def _skipped(acted: NDArray[np.int64]) -> int:
    """Steps in which a late loop did not act, between those that did, at ns of log time."""
    between = np.diff(acted)
    return int(np.sum(np.rint(between / np.median(between)) - 1.0)) if len(between) else 0


def _whole_cycles(log: LogMessages) -> NDArray[np.int64]:
    """Log times, ns, of the cycles that acted: of one in which a disk was full, some topics may lack."""
    topics = ("/state", "/action", "/timing", *(["/asked"] if "/asked" in log.messages else []))
    times = [np.array(log.times.get(topic, []), dtype=np.int64) for topic in topics]
    return reduce(np.intersect1d, times)
