"""What is asked of a policy in an episode, and when it changes."""

import math

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Command
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.state import FloatArray
from simreal.tasks import Task

SLACK = 1e-6
"""Of a range's width, by which another one is off that was written with fewer digits."""


def described_commands(experiment: ExperimentConfig, task: Task) -> tuple[Command, ...]:
    """The task's commands, with the ranges that the experiment gives instead of its own.

    Raises:
        UserError: a range beyond what is ever drawn: the contract would tell of commands that were not
            trained.
    """
    for own in task.commands if task.draws_within else ():
        low, high = experiment.commands.get(own.name, (own.low, own.high))
        slack = SLACK * (own.high - own.low)
        if low < own.low - slack or high > own.high + slack:
            raise UserError(
                f"commands.{own.name}: {low:.8g} to {high:.8g} {own.unit}: task {task.name} asks for "
                f"{own.low:.8g} to {own.high:.8g} at most"
            )
    ends = {each.name: (each.low, each.high) for each in task.commands} | experiment.commands
    return tuple(
        each.model_copy(update={"low": ends[each.name][0], "high": ends[each.name][1]})
        for each in task.commands
    )


class Commands:
    """Draws the commands of episodes.

    Attributes:
        described: each of them, with the range of this experiment.
    """

    def __init__(self, experiment: ExperimentConfig, task: Task) -> None:
        """Take the task's ranges, or those which the experiment gives instead."""
        self.described = described_commands(experiment, task)
        self._draw = task.draw_command
        self._low = np.array([each.low for each in self.described])
        self._high = np.array([each.high for each in self.described])
        interval = experiment.command_interval or math.inf
        self._interval = max(1.0, np.rint(interval * experiment.control_rate))

    @property
    def size(self) -> int:
        """How many numbers are asked."""
        return len(self.described)

    def draw(self, random: EpisodeRandom, number: NDArray[np.integer]) -> FloatArray:
        """(n, commands) the `number`-th of each of n episodes."""
        if not self.described:
            return np.zeros((len(random.seeds), 0))
        return self._draw(random, self._low, self._high, number)

    def changing(self, elapsed: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
        """Which simulations are asked something new after (count,) steps of their episodes.

        Returns:
            Their ids, and which of the episode's commands each is asked now.
        """
        if not self.described or math.isinf(self._interval):
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64)
        ids = np.flatnonzero(elapsed % self._interval == 0)
        return ids, (elapsed[ids] // self._interval).astype(np.int64)
