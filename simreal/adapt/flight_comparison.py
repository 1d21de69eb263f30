"""What two policies came to on the robot itself, as logs of `simreal deploy` tell it.

A log names the file that flew it, and not the run that this was exported from. Its actions tell that:
only one of the two policies answers what was observed in this way.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.adapt.gate_measures import RETURN_MARGIN, Measure, Part
from simreal.adapt.robot_budget import OF_POLICY
from simreal.adapt.robot_episode import stopped_for
from simreal.adapt.robot_trial import FEWEST
from simreal.adapt.transitions import (
    ControlSteps,
    control_steps,
    judged,
    mean_with_end,
    reward_not_in_logs,
    worth_after_end,
)
from simreal.contract import Contract
from simreal.contract_differences import behaviour_differences
from simreal.deploy.provenance import POLICY_DIGEST
from simreal.episodes import begin_episodes
from simreal.evaluate import Act, Candidate
from simreal.experiment import ExperimentConfig
from simreal.images import NO_IMAGES
from simreal.logs.messages import SHADOW
from simreal.logs.robot_log import RobotLog
from simreal.state import FloatArray
from simreal.statistics import student_interval

SHORTEST = 1.0
"""s that both of a pair must have flown, if neither fell."""
SAME = 1e-3
"""By which a logged action may differ from that of the policy that flew: another runtime rounds."""
SHARE_SAME = 0.95
"""Of the actions: some measurements are no numbers."""
ASKED_DIGITS = 6
"""To which two flights are asked the same."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One log of a policy.

    Attributes:
        time: (steps,) s since the policy began to act.
        reward: (steps,) of its control steps; nan where a measurement was none.
        fell: whether the task's end, or the supervisor for what the policy did, has ended it.
        asked: of the policy, such as a velocity; None if that changed meanwhile.
    """

    time: FloatArray
    reward: FloatArray
    fell: bool
    asked: tuple[float, ...] | None = ()

    @property
    def seconds(self) -> float:
        """S that it lasted."""
        return float(self.time[-1]) if len(self.time) else 0.0


Pair = tuple[Flight, Flight]
"""One of the base policy, and one of the adapted."""


def flight_of(log: RobotLog, experiment: ExperimentConfig, contract: Contract) -> Flight:
    """What a log of a policy is worth by an experiment's rewards, whoever limited its commands.

    Raises:
        UserError: a log of another policy, or rewards that are in no log.
    """
    acted = control_steps(log, contract)
    reward, terminated = judged(log, experiment, acted)
    ended = np.flatnonzero(terminated)
    steps = int(ended[0]) + 1 if ended.size else len(reward)
    fell = bool(ended.size) or stopped_for(log, OF_POLICY)
    return Flight(acted.at[1 : steps + 1] - acted.at[0], reward[:steps], fell, _asked(log))


def _asked(log: RobotLog) -> tuple[float, ...] | None:
    if "asked" not in log:
        return ()
    values = log["asked"].values.round(ASKED_DIGITS)
    return tuple(values[0].tolist()) if (values == values[0]).all() else None


def flies_as(act: Act, contract: Contract, log: RobotLog) -> bool:
    """Whether the actions in a log are those of a policy on what the log says was observed."""
    if log.contract is None or contract.cameras or behaviour_differences(log.contract, contract):
        return False
    logged = control_steps(log, contract)
    apart = np.abs(np.clip(_answers(act, logged), -1.0, 1.0) - logged.action).max(axis=1)
    return bool((apart <= SAME).mean() >= SHARE_SAME)


def _answers(act: Act, logged: ControlSteps) -> NDArray[np.floating[Any]]:
    """(steps, actuators) actions of a policy on what was observed."""
    if not hasattr(act, "begin"):  # it carries nothing from step to step
        return act(logged.observation, NO_IMAGES)
    answers = []
    for begins, row in zip([True, *~logged.follows], logged.observation, strict=True):
        if begins:  # as the loop does after each pause
            begin_episodes(act)
        answers.append(act(row[None], NO_IMAGES)[0])
    return np.array(answers)


@dataclass(frozen=True, slots=True)
class Logbook:
    """Who flew some logs.

    Attributes:
        flights: of the base policy, and of the adapted one, in the order of time.
        unclear: how many either could have flown.
    """

    flights: tuple[list[Flight], list[Flight]]
    unclear: int


def logbook(
    base: Candidate, adapted: Candidate, logs: Sequence[RobotLog], judged_by: ExperimentConfig
) -> Logbook:
    """Find out who flew which; logs of others, of excitations or without a policy are left out."""
    both = [(each.act, each.contract) for each in (base, adapted)]
    by_file: dict[str, list[RobotLog]] = defaultdict(list)
    for number, log in enumerate(logs):
        if "action" in log and "observation" in log and not log.provenance.get(SHADOW):
            by_file[log.provenance.get(POLICY_DIGEST, f"log {number}")].append(log)
    flown: tuple[list[RobotLog], list[RobotLog]] = ([], [])
    unclear = 0
    for same in by_file.values():
        # One file, one policy: the longest of its flights tells it best.
        longest = max(same, key=lambda log: len(log["action"]))
        who = [place for place, (act, contract) in enumerate(both) if flies_as(act, contract, longest)]
        if len(who) == 1:
            flown[who[0]].extend(same)
        elif who:
            unclear += len(same)
    one, other = (
        [flight_of(log, judged_by, contract) for log in sorted(own, key=lambda log: log.start_ns)]
        for own, (_, contract) in zip(flown, both, strict=True)
    )
    return Logbook((one, other), unclear)


def pairs_of(base: Sequence[Flight], adapted: Sequence[Flight]) -> list[Pair]:
    """Flights of both that were asked the same, in their order; one that has no other is left out."""
    waiting: dict[tuple[float, ...], list[Flight]] = defaultdict(list)
    for flight in adapted:
        if flight.asked is not None:
            waiting[flight.asked].append(flight)
    pairs = [
        (each, waiting[each.asked].pop(0))
        for each in base
        if each.asked is not None and waiting[each.asked]
    ]
    return [pair for pair in pairs if any(each.fell for each in pair) or compared(pair) >= SHORTEST]


def compared(pair: Pair) -> float:
    """S over which two flights are compared: as long as both, but those that a fall ended."""
    whole = [each.seconds for each in pair if not each.fell]
    return min(whole) if whole else max(each.seconds for each in pair)


def mean_reward(flight: Flight, seconds: float, period: float, worst: float) -> float:
    """Of each control step within s.

    Args:
        flight: that lasted as long, or fell.
        seconds: that are looked at.
        period: s of a control step.
        worst: what a step after a fall is worth.
    """
    within = flight.reward[flight.time <= seconds + 0.5 * period]
    lost = max(0, round((seconds - flight.seconds) / period)) if flight.fell else 0
    told = within[np.isfinite(within)]
    return mean_with_end(told, len(within), len(within) + lost, worst)


def compare_pairs(pairs: Sequence[Pair], rate: float) -> Part | str:
    """What pairs of flights at Hz show; or why that is nothing.

    What a step after a fall is worth, all of them say together: see `worth_after_end`.
    """
    if len(pairs) < FEWEST:
        return f"{len(pairs)} pairs that were asked the same and are long enough; {FEWEST} would tell"
    rewards = np.concatenate([each.reward for pair in pairs for each in pair])
    worst = worth_after_end(rewards)
    one, other = (
        np.array([mean_reward(pair[place], compared(pair), 1.0 / rate, worst) for pair in pairs])
        for place in (0, 1)
    )
    margin = RETURN_MARGIN * float(np.sqrt(np.mean(one**2)))
    gain = student_interval((other - one).tolist())
    measure = Measure("mean reward", float(one.mean()), float(other.mean()), gain, margin)
    falls = [sum(pair[place].fell for pair in pairs) for place in (0, 1)]
    seconds = float(np.median([compared(pair) for pair in pairs]))
    where = f"{len(pairs)} pairs of flights, {seconds:.3g} s in the median"
    return Part(
        "on the robot",
        where + (f", {falls[1]} falls of the adapted, {falls[0]} of the base" if any(falls) else ""),
        (measure,),
    )


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
    if not logs:
        return "no --log"
    if (reward := reward_not_in_logs(judged_by)) is not None:
        return f"reward {reward} looks at more than joints, actions and commands, which no log tells"
    book = logbook(base, adapted, logs, judged_by)
    one, other = book.flights
    whose = f"{len(one)} logs are of {base.name} and {len(other)} of {adapted.name}"
    if book.unclear:
        whose += f", {book.unclear} of either, which would have acted alike"
    found = compare_pairs(pairs_of(one, other), judged_by.control_rate)
    if isinstance(found, str):
        return f"{whose}; {found}"
    return Part(found.name, f"{found.where}; {whose}", found.measures)
