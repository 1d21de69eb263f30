"""What two policies came to on the robot itself, as logs of `simreal deploy` tell it.

A log does not say which of two policies flew it: its actions do, since only one of them answers what was
observed in that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.adapt.gate_measures import RETURN_MARGIN, Measure, Part
from simreal.adapt.robot_episode import stopped_for_motion
from simreal.adapt.robot_trial import student_interval
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

FEWEST = 3
"""Pairs of flights of which an interval says something."""
SAME = 1e-3
"""By which a logged action may differ from that of the policy that flew: another runtime rounds."""
SHARE_SAME = 0.95
"""Of the actions: a measurement may be missing from a log, or no number."""
ASKED_DIGITS = 6
"""To which two flights are asked the same."""
BROKEN_OFF = 0.5
"""Of the longest flight: one that is shorter, and that nothing but a person ended, tells little."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One log of a policy.

    Attributes:
        transitions: of it.
        fell: whether the task's end, or the supervisor for what the robot did, has ended it.
        asked: of the policy at its beginning, such as a velocity.
    """

    transitions: Transitions
    fell: bool
    asked: tuple[float, ...] = ()

    @property
    def steps(self) -> int:
        """Control steps that the policy acted in."""
        return len(self.transitions) + self.transitions.limited + self.transitions.broken


Pair = tuple[Flight, Flight]
"""One of the base policy, and one of the adapted."""


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
    asked = tuple(log["asked"].values[0].round(ASKED_DIGITS).tolist()) if "asked" in log else ()
    return Flight(found, bool(ended.size) or stopped_for_motion(log), asked)


def pairs_of(base: Sequence[Flight], adapted: Sequence[Flight]) -> list[Pair]:
    """Flights of both that were asked the same, in their order; one that has no other is left out.

    So are those that a person broke off.
    """
    longest = max((each.steps for each in (*base, *adapted)), default=0)
    waiting: dict[tuple[float, ...], list[Flight]] = {}
    one, other = (
        [each for each in flights if each.fell or each.steps >= BROKEN_OFF * longest]
        for flights in (base, adapted)
    )
    for flight in other:
        waiting.setdefault(flight.asked, []).append(flight)
    return [(each, waiting[each.asked].pop(0)) for each in one if waiting.get(each.asked)]


def shortest(pairs: Sequence[Pair]) -> int:
    """Control steps that all flights have but those that a fall ended."""
    steps = [each.steps for pair in pairs for each in pair]
    return min((each.steps for pair in pairs for each in pair if not each.fell), default=max(steps))


def rewards(flights: Sequence[Flight], steps: int) -> NDArray[np.float64]:
    """(flights,) mean reward of a control step in as many of them; a fall is worth least."""
    first = [each.transitions.rows(np.arange(len(each.transitions)) < steps) for each in flights]
    return np.array([mean_reward(each, steps) for each in first])


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
    pairs = pairs_of(*flights)
    if len(pairs) < FEWEST:
        return (
            f"{len(flights[0])} logs are of {base.name} and {len(flights[1])} of {adapted.name}; "
            f"{len(pairs)} pairs of them were asked the same and are long enough; {FEWEST} would tell"
        )
    steps = shortest(pairs)
    where = f"{len(pairs)} pairs of flights, {steps / judged_by.control_rate:.3g} s of each"
    return Part("on the robot", where, (_compare_rewards(steps, pairs),))


def _compare_rewards(steps: int, pairs: Sequence[Pair]) -> Measure:
    """The measure of so many control steps of each flight."""
    one, other = (rewards(each, steps) for each in zip(*pairs, strict=True))
    margin = RETURN_MARGIN * float(np.sqrt(np.mean(one**2)))
    gain = student_interval((other - one).tolist(), 0.975)
    return Measure("mean reward", float(one.mean()), float(other.mean()), gain, margin)
