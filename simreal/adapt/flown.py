"""What two policies came to on the robot itself, as logs of `simreal deploy` tell it.

A log does not say which of two policies flew it: its actions do, since only one of them answers what was
observed in that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from simreal.adapt.gate_measures import RETURN_MARGIN, Measure, Part
from simreal.adapt.robot_episode import stopped_for_motion
from simreal.adapt.transitions import Transitions, mean_reward, read_transitions, reward_not_in_logs
from simreal.contract import Contract
from simreal.contract_differences import behaviour_differences
from simreal.episodes import begin_episodes
from simreal.evaluate import Act, Candidate
from simreal.experiment import ExperimentConfig
from simreal.images import NO_IMAGES
from simreal.logs.robot_log import RobotLog
from simreal.make_environment import make_environment
from simreal.observation import Float32Array
from simreal.statistics import Interval

FEWEST = 3
"""Flights of each policy, of which an interval says something."""
SAME = 1e-3
"""By which a logged action may differ from that of the policy that flew: another runtime rounds."""
SHARE_SAME = 0.95
"""Of the actions: a measurement may be missing from a log, or no number."""
BROKEN_OFF = 0.5
"""Of the longest flight: one that is shorter, and that nothing but a person ended, tells little."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One log of a policy.

    Attributes:
        transitions: of it.
        fell: whether the task's end, or the supervisor for what the robot did, has ended it.
    """

    transitions: Transitions
    fell: bool

    @property
    def steps(self) -> int:
        """Control steps that the policy acted in."""
        return len(self.transitions) + self.transitions.limited + self.transitions.broken


def flies_as(act: Act, contract: Contract, log: RobotLog) -> bool:
    """Whether the actions in a log are those of a policy on what the log says was observed."""
    if log.contract is None or "action" not in log or "observation" not in log:
        return False
    if behaviour_differences(log.contract, contract) or contract.cameras:
        return False
    logged, seen = log["action"].values, log["observation"].values.astype(np.float32)
    if len(logged) != len(seen) or len(logged) < 2:
        return False
    acted = _acted(act, seen)
    same = np.abs(np.clip(acted, -1.0, 1.0) - np.clip(logged, -1.0, 1.0)).max(axis=1) <= SAME
    return bool(same.mean() >= SHARE_SAME)


def _acted(act: Act, seen: Float32Array) -> NDArray[np.floating[Any]]:
    """(steps, actuators) actions on (steps, size) observations of one episode."""
    if not hasattr(act, "begin"):  # it carries nothing from step to step
        return act(seen, NO_IMAGES)
    begin_episodes(act)
    return np.array([act(row[None], NO_IMAGES)[0] for row in seen])


def flight_of(log: RobotLog, experiment: ExperimentConfig, contract: Contract) -> Flight:
    """What a log of a policy is worth by an experiment's rewards.

    Raises:
        UserError: its rewards are in no log.
    """
    found = read_transitions([log], experiment, contract)
    ended = np.flatnonzero(found.terminated)
    if ended.size:
        found = found.rows(np.arange(len(found)) <= ended[0])
    return Flight(found, bool(ended.size) or stopped_for_motion(log))


def rewards(flights: Sequence[Flight], steps: int) -> NDArray[np.float64]:
    """(flights,) mean reward of a control step in as many of them; a fall is worth least."""
    first = [each.transitions.rows(np.arange(len(each.transitions)) < steps) for each in flights]
    return np.array([mean_reward(each, steps) for each in first])


def comparable(base: Sequence[Flight], adapted: Sequence[Flight]) -> tuple[int, list[list[Flight]]]:
    """Steps in which flights can be compared, and those of each policy that have as many, or fell."""
    longest = max(each.steps for each in (*base, *adapted))
    kept = [
        [each for each in flights if each.fell or each.steps >= BROKEN_OFF * longest]
        for flights in (base, adapted)
    ]
    whole = [each.steps for flights in kept for each in flights if not each.fell]
    return min(whole, default=longest), kept


def difference(base: NDArray[np.float64], adapted: NDArray[np.float64]) -> Interval:
    """By how much the mean of the adapted policy's is larger, with Welch's 95 % interval (1947)."""
    gain = float(adapted.mean() - base.mean())
    shares = [float(each.var(ddof=1)) / len(each) for each in (base, adapted)]
    if not any(shares):  # flights that are all alike, as of a simulator without noise
        return Interval(gain, gain, gain)
    freedom = sum(shares) ** 2 / sum(
        share**2 / (len(each) - 1) for share, each in zip(shares, (base, adapted), strict=True)
    )
    margin = float(student.ppf(0.975, freedom)) * sum(shares) ** 0.5
    return Interval(gain, gain - margin, gain + margin)


def flights_of_both(
    base: Candidate, adapted: Candidate, logs: Sequence[RobotLog], judged_by: ExperimentConfig
) -> tuple[list[Flight], list[Flight]]:
    """Those of some logs that one of two policies flew; others are left out."""
    found: tuple[list[Flight], list[Flight]] = ([], [])
    contracts = [
        make_environment(each.experiment.from_start(), 1, threads=1).contract for each in (base, adapted)
    ]
    for log in logs:
        for candidate, contract, flights in zip((base, adapted), contracts, found, strict=True):
            if flies_as(candidate.act, contract, log):
                flights.append(flight_of(log, judged_by, contract))
                break
    return found


def compare_flights(
    base: Candidate, adapted: Candidate, logs: Sequence[RobotLog], judged_by: ExperimentConfig
) -> Part | str:
    """What both came to on the robot, in those logs that one of them flew; or why that says nothing.

    Args:
        base: the policy that was there before.
        adapted: the one that is judged.
        logs: of the robot; whoever flew them.
        judged_by: its rewards.
    """
    if (reward := reward_not_in_logs(judged_by)) is not None:
        return f"reward {reward} looks at more than joints, actions and commands, which no log tells"
    flights = flights_of_both(base, adapted, logs, judged_by)
    numbers = f"{len(flights[0])} logs of {base.name} and {len(flights[1])} of {adapted.name}"
    if not all(flights):
        return f"{numbers}; {FEWEST} of `simreal deploy` of each would tell"
    steps, kept = comparable(*flights)
    if min(map(len, kept)) < FEWEST:
        return f"{numbers} that are long enough: at least {FEWEST} of each"
    where = f"{numbers}, {steps / judged_by.control_rate:.3g} s of each"
    return Part("on the robot", where, _compare_rewards(steps, *kept))


def _compare_rewards(steps: int, base: Sequence[Flight], adapted: Sequence[Flight]) -> tuple[Measure]:
    """The measure of so many control steps of each flight."""
    one, other = (rewards(each, steps) for each in (base, adapted))
    margin = RETURN_MARGIN * float(np.sqrt(np.mean(one**2)))
    gain = difference(one, other)
    return (Measure("mean reward", float(one.mean()), float(other.mean()), gain, margin),)
