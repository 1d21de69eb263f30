"""What a policy's own logs say of it: observation, action, reward and next observation, step by step.

Observations and actions are those that the control loop recorded. Rewards are the task's, computed from
the measured joints: a reward that looks at more than joints, actions and commands is not in a log.
Measurements are noisy and late, and so are these rewards; the simulator's are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.contract_differences import behaviour_differences
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.logs.messages import SHADOW
from simreal.logs.robot_log import Channel, RobotLog
from simreal.observation import Float32Array, ObservationPipeline
from simreal.robots import load_robot
from simreal.state import FloatArray
from simreal.tasks import Motion, find_task
from simreal.tasks.task import NotInLogError

LATE = 0.5
"""Share of a control step by which two actions may lie further apart and still follow each other."""
LIMITED = 1e-6
"""Share of an actuator's range by which a command may differ from what the action asks for."""


class NoTransitionError(UserError):
    """Logs in which no two control steps follow each other."""


@dataclass(frozen=True, slots=True)
class Transitions:
    """Steps of one policy's loop.

    Attributes:
        observation: (n, size) float32.
        action: (n, actuators) in [-1, 1].
        reward: (n,).
        next_observation: (n, size) float32.
        terminated: (n,) whether the task was over for good after the step.
        run: (n,) number of the unbroken stretch that a step belongs to; steps of one are in order.
        limited: how many steps were left out since something stood between action and command.
        broken: how many were left out since the next step is not in the log.
    """

    observation: Float32Array
    action: Float32Array
    reward: Float32Array
    next_observation: Float32Array
    terminated: NDArray[np.bool_]
    run: NDArray[np.int64]
    limited: int = 0
    broken: int = 0

    def __len__(self) -> int:
        return len(self.reward)

    def rows(self, keep: NDArray[np.bool_]) -> "Transitions":
        """Some of them."""
        return Transitions(
            self.observation[keep],
            self.action[keep],
            self.reward[keep],
            self.next_observation[keep],
            self.terminated[keep],
            self.run[keep],
            self.limited,
            self.broken,
        )


def read_transitions(
    logs: Sequence[RobotLog], experiment: ExperimentConfig, contract: Contract
) -> Transitions:
    """All transitions of some logs.

    Raises:
        NoTransitionError: there is not one in them.
        UserError: logs of another policy, without what is needed, or of a task whose rewards are not
            in a log.
    """
    parts = []
    runs = 0
    for log in logs:
        part = _of_log(log, experiment, contract, runs)
        runs += 1 + int(part.run.max(initial=runs) - runs)
        parts.append(part)
    if not any(len(part) for part in parts):
        names = ", ".join(log.source for log in logs)
        raise NoTransitionError(f"{names}: no two control steps of a policy that follow each other")
    return Transitions(
        np.concatenate([part.observation for part in parts]),
        np.concatenate([part.action for part in parts]),
        np.concatenate([part.reward for part in parts]),
        np.concatenate([part.next_observation for part in parts]),
        np.concatenate([part.terminated for part in parts]),
        np.concatenate([part.run for part in parts]),
        sum(part.limited for part in parts),
        sum(part.broken for part in parts),
    )


def mean_reward(transitions: Transitions, steps: int) -> float:
    """Of each of the control steps that an episode could have had, of which it has one at least.

    Steps that tell nothing are those whose commands the supervisor limited, and those whose next one is
    not in the log; see `mean_with_end`.
    """
    reward = transitions.reward.astype(np.float64)
    flown = min(steps, len(reward) + transitions.limited + transitions.broken)
    return mean_with_end(reward, flown, steps, worth_after_end(reward))


def worth_after_end(reward: FloatArray) -> float:
    """What a step after an early end is worth: the worst that was flown, and nothing at best.

    Where rewards are negative, an end would be worth something else.
    """
    told = reward[np.isfinite(reward)]
    return min(0.0, float(told.min(initial=0.0)))


def mean_with_end(told: FloatArray, flown: int, steps: int, after_end: float) -> float:
    """Mean reward of the steps that an episode could have had, which may have ended early.

    Args:
        told: rewards of those that were flown and tell one; the others count as these do on the mean.
        flown: number of steps that were flown.
        steps: that there could have been.
        after_end: what each of the others is worth.
    """
    if not len(told):
        return after_end
    return (flown * float(told.mean()) + (steps - flown) * after_end) / steps


def reward_not_in_logs(experiment: ExperimentConfig) -> str | None:
    """The name of a reward that looks at more than joints, actions and commands, if there is one."""
    task = find_task(experiment.task, experiment.robot)
    robot = load_robot(experiment.robot).description
    position = np.array([[each.default_position for each in robot.joints]])
    action = np.zeros((1, len(robot.actuators)))
    motion = Motion(position, np.zeros_like(position), action, action, np.zeros((1, len(task.commands))))
    for name in experiment.rewards:
        try:
            task.rewards[name](motion)
        except NotInLogError:
            return name
    return None


@dataclass(frozen=True, slots=True)
class ControlSteps:
    """What a policy saw and did in one log, in all of its control steps.

    Attributes:
        at: (n,) s, when the loop's cycle woke.
        observation: (n, size) float32.
        action: (n, actuators) in [-1, 1].
        follows: (n - 1,) whether the next step is one control step later, and both are numbers.
    """

    at: FloatArray
    observation: Float32Array
    action: FloatArray
    follows: NDArray[np.bool_]


def control_steps(log: RobotLog, contract: Contract) -> ControlSteps:
    """Read it.

    Raises:
        UserError: a log of another policy, or of one that only watched.
    """
    _refuse_other_policies(log, contract)
    observations, actions = log["observation"], log["action"]
    _refuse_other_columns(log, observations, ObservationPipeline(contract).names)
    _refuse_other_columns(log, actions, contract.robot.actuator_names)
    at: FloatArray = _clock(actions)
    observation = observations.values[_rows(observations, at)].astype(np.float32)
    action = np.clip(actions.values, -1.0, 1.0)
    whole: NDArray[np.bool_] = np.isfinite(np.concatenate((observation, action), axis=1)).all(axis=1)
    period = 1.0 / contract.control_rate
    return ControlSteps(
        at, observation, action, (np.diff(at) < (1.0 + LATE) * period) & whole[:-1] & whole[1:]
    )


def _of_log(
    log: RobotLog, experiment: ExperimentConfig, contract: Contract, first_run: int
) -> Transitions:
    acted = control_steps(log, contract)
    follows = acted.follows
    carried_out = _carried_out(log, contract, acted.action, acted.at)[:-1]
    reward, terminated = judged(log, experiment, acted)
    keep = follows & carried_out & np.isfinite(reward)
    run = first_run + np.cumsum(np.concatenate(([True], ~follows)))[:-1] - 1
    return Transitions(
        acted.observation[:-1][keep],
        acted.action[:-1][keep].astype(np.float32),
        reward[keep].astype(np.float32),
        acted.observation[1:][keep],
        terminated[keep],
        run[keep],
        int(np.sum(follows & ~carried_out)),
        int(np.sum(~follows)),
    )


def _refuse_other_policies(log: RobotLog, contract: Contract) -> None:
    if log.provenance.get(SHADOW):
        raise UserError(f"{log.source}: of a shadow run: its commands were not sent to the robot")
    if log.contract is None:
        raise UserError(
            f"{log.source}: carries no contract: what is learned from are logs of `simreal deploy`"
        )
    if found := behaviour_differences(log.contract, contract):
        listed = "\n  ".join(str(difference) for difference in found)
        raise UserError(f"{log.source}: of another policy than the run's (logged != run):\n  {listed}")


def _refuse_other_columns(log: RobotLog, channel: Channel, names: Sequence[str]) -> None:
    if channel.names != tuple(names):
        raise UserError(f"{log.source}: columns {channel.names}, the contract says {tuple(names)}")


def _clock(channel: Channel) -> FloatArray:
    """(n,) s, when the loop's cycle of each row woke: the same in all channels of a cycle."""
    return channel.time if channel.logged is None else channel.logged


def _rows(channel: Channel, at: FloatArray) -> NDArray[np.intp]:
    """(n,) rows of a channel that are nearest to some times."""
    clock = _clock(channel)
    after = np.clip(np.searchsorted(clock, at), 1, max(1, len(clock) - 1))
    after = np.minimum(after, len(clock) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(at - clock[before] < clock[after] - at, before, after)


def _carried_out(
    log: RobotLog, contract: Contract, action: FloatArray, at: FloatArray
) -> NDArray[np.bool_]:
    """(n,) whether the robot was told what the action asks for: without a limit in between."""
    kinds = list(dict.fromkeys(each.command for each in contract.robot.actuators))
    if contract.action.relative_to != "zero" or any(f"commanded_{kind}" not in log for kind in kinds):
        return np.ones(len(action), dtype=bool)
    pipeline = ActionPipeline(contract, (len(action),))
    wanted = pipeline(action).target
    fine = np.ones(len(action), dtype=bool)
    for column, actuator in enumerate(contract.robot.actuators):
        channel = log[f"commanded_{actuator.command}"]
        told = channel.column(actuator.name)[_rows(channel, at)]
        fine &= np.abs(told - wanted[:, column]) <= LIMITED * (actuator.upper - actuator.lower)
    return fine


def judged(
    log: RobotLog, experiment: ExperimentConfig, acted: ControlSteps
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(n - 1,) rewards of the steps of a log, and whether the task was over after them.

    Raises:
        UserError: a reward that is in no log.
    """
    at, action = acted.at, acted.action
    previous = np.concatenate((np.zeros((1, action.shape[1])), action[:-1]))
    previous[np.concatenate(([True], ~acted.follows))] = 0.0
    task = find_task(experiment.task, experiment.robot)
    states = _rows(log["joint_position"], at)[1:]
    asked = log["asked"].values[_rows(log["asked"], at)][1:] if "asked" in log else None
    motion = Motion(
        log["joint_position"].values[states],
        log["joint_velocity"].values[_rows(log["joint_velocity"], at)[1:]],
        action[:-1],
        previous[:-1],
        np.zeros((len(states), 0)) if asked is None else asked,
    )
    reward = np.zeros(len(states))
    for name, weight in experiment.rewards.items():
        try:
            reward += weight * task.rewards[name](motion)
        except NotInLogError:
            raise UserError(
                f"task {task.name}: reward {name} looks at more than joints, actions and commands, "
                f"which is not in {log.source}: this task cannot be learned from logs alone"
            ) from None
    terminated = np.zeros(len(states), dtype=bool)
    for over in task.terminations.values():
        try:
            terminated |= over(motion)
        except NotInLogError:
            continue  # whatever it is, no log goes on after it: its last step is not among these
    return reward, terminated
