"""One episode of a learning policy on a robot: real loop, supervisor, driver and recorder."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simreal.adapt.limit_monitor import MonitoredDriver, TaskEnd
from simreal.adapt.robot_budget import OF_MOTION, SUPERVISOR
from simreal.adapt.transitions import NoTransitionError, Transitions, read_transitions
from simreal.contract import Contract
from simreal.deploy.command_source import Wish
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import Runnable
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.logs.formats import read_logs
from simreal.logs.robot_log import RobotLog
from simreal.robots.safety import Check
from simreal.state import FloatArray


class UntilOver:
    """Asks the same from start to end, and ends the run when the task is over; a `CommandSource`.

    Attributes:
        over: name of the termination that has ended it, or None.
    """

    def __init__(self, asked: FloatArray, witness: MonitoredDriver, task: TaskEnd) -> None:
        """Take (commands,) numbers, and what knows of the robot."""
        self.person = False
        self.emergency: str | None = None
        self.over: str | None = None
        self._asked, self._witness, self._task = asked, witness, task

    def asked(self, now: float) -> FloatArray:
        """See `CommandSource`."""
        return self._asked

    def wish(self) -> Wish | None:
        """The end, once the task is over."""
        state = self._witness.newest
        if state is not None and self._witness.commands and self.over is None:
            self.over = self._task(state, self._asked)
        return Wish.END if self.over is not None else None

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Flown:
    """What came of an episode.

    Attributes:
        outcome: of the loop.
        over: name of the task's termination that ended it, or None.
        transitions: None where there is not one.
    """

    outcome: Outcome
    over: str | None
    transitions: Transitions | None

    @property
    def ended_by(self) -> str:
        """In one word, or two."""
        if self.outcome.check is not None:
            return f"{SUPERVISOR}{self.outcome.check}"
        return self.over or self.outcome.ended_by


def draw_commands(contract: Contract, random: np.random.Generator) -> FloatArray:
    """(commands,) evenly from what the policy was trained for."""
    low, high = (np.array([getattr(each, end) for each in contract.commands]) for end in ("low", "high"))
    drawn: FloatArray = low + (high - low) * random.uniform(size=len(contract.commands))
    return drawn


def fly(
    policy: Runnable,
    witness: MonitoredDriver,
    experiment: ExperimentConfig,
    seconds: float,
    log: Path,
    asked: FloatArray,
    options: LoopOptions,
    warn: Callable[[str], object] = lambda text: None,
) -> Flown:
    """Fly an episode of s at most, and read from its log what is to be learned from it.

    Raises:
        UserError: the policy does not fit the robot, or the log cannot be written.
        DriverError: the robot cannot be reached.
    """
    witness.commands = 0
    source = UntilOver(asked, witness, TaskEnd(experiment, len(policy.contract.robot.actuators)))
    outcome = deploy(policy, witness, seconds, log, source, options, warn=warn)
    if outcome.log_failure is not None:
        raise UserError(f"{log}: incomplete, and nothing is learned without it: {outcome.log_failure}")
    return Flown(outcome, source.over, transitions_of(log, experiment, policy.contract))


def transitions_of(path: Path, experiment: ExperimentConfig, contract: Contract) -> Transitions | None:
    """All transitions of an episode's log; None if it has none.

    Where the supervisor ended it for what the robot did, its last transition is the end of the task.
    """
    [log] = read_logs(path)
    if "action" not in log or len(log["action"]) < 2:
        return None
    try:
        found = read_transitions([log], experiment, contract)
    except NoTransitionError:
        return None
    if stopped_for(log, OF_MOTION):
        terminated = found.terminated.copy()
        terminated[-1] = True
        return dataclasses.replace(found, terminated=terminated)
    return found


def stopped_for(log: RobotLog, checks: Sequence[Check]) -> bool:
    """Whether a fault of the supervisor's, as an event tells it, is one of some checks."""
    return any(each.check in checks for each in log.events)
