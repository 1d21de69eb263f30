"""Feeds a log's raw states through a policy again, and holds what comes out against what was logged.

At each cycle the pipeline is given the logged state, previous action and commands, and the graph the
logged observation, so that a deviation does not breed others. Only a history term remembers.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.contract_differences import behaviour_differences
from simreal.deploy.logged_cycles import LoggedCycle, logged_cycles
from simreal.deploy.policy import Policy
from simreal.deploy.provenance import POLICY_DIGEST, this_computer
from simreal.errors import UserError
from simreal.logs.messages import LogMessages
from simreal.observation import Float32Array, ObservationPipeline
from simreal.state import FloatArray

Numbers = NDArray[np.floating[Any]]
OF_THE_CYCLE_BEFORE = ("previous_action", "following_error")
"""Observation sources that look at what the policy did in the cycle before."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One number that does not come out as it was logged.

    Attributes:
        cycle: its number.
        what: such as ``observation joint_position[arm]``.
        logged: the number in the log; NaN for what was none.
        replayed: the same now.
    """

    cycle: int
    what: str
    logged: float
    replayed: float

    @property
    def difference(self) -> float:
        """Replayed less logged; NaN if one of them is no number."""
        return self.replayed - self.logged

    def __str__(self) -> str:
        return (
            f"cycle {self.cycle}: {self.what}: logged {self.logged!r}, replayed {self.replayed!r} "
            f"({self.difference:+.3g})"
        )


@dataclass(slots=True)
class Spread:
    """How a number deviates over a log: in how many cycles, and by how much at most."""

    cycles: int = 0
    largest: float = 0.0


@dataclass(slots=True)
class Replay:
    """What a replay found.

    Attributes:
        complete: whether the log was closed properly.
        other_policy: whether another policy made the log; None if the log does not say.
        elsewhere: facts of the computer on which the last bit may depend, where they are not those of
            the recording: name to recorded and present.
        cycles: whose observation was held against the log.
        unknown: cycles whose observation remembers others that the log does not hold.
        lost: cycles between others that the log does not hold.
        first: the first deviation, or None.
        deviations: each number that deviates, in the order in which they did first.
    """

    complete: bool
    other_policy: bool | None
    elsewhere: dict[str, tuple[str, str]]
    cycles: int = 0
    unknown: int = 0
    lost: int = 0
    first: Deviation | None = None
    deviations: dict[str, Spread] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether it is a log of this policy, and every number came out bit for bit."""
        return self.cycles > 0 and self.first is None and self.other_policy is not True

    def note(self, deviation: Deviation) -> None:
        """Count a deviation."""
        self.first = self.first or deviation
        spread = self.deviations.setdefault(deviation.what, Spread())
        spread.cycles += 1
        spread.largest = float(np.fmax(spread.largest, abs(deviation.difference)))


def replay(log: LogMessages, policy: Policy, source: str = "the log") -> Replay:
    """Replay a log; of one that was cut off, as much as is whole.

    Raises:
        UserError: it is no log of the loop, or of a policy of another robot, observation or action, or
            of one that sees: logs hold no images.
    """
    _refuse_other_contract(log.contract, policy.contract, source)
    if policy.contract.cameras:
        raise UserError(f"{source}: a policy that sees cannot be replayed: logs hold no images")
    recorded = log.provenance.get(POLICY_DIGEST)
    found = Replay(
        log.complete, None if recorded is None else recorded != policy.digest, _elsewhere(log.provenance)
    )
    names = ObservationPipeline(policy.contract).names
    _Replayer(policy, found).run(logged_cycles(log, policy.contract, names, source))
    return found


def _refuse_other_contract(recorded: Contract | None, given: Contract, source: str) -> None:
    if recorded is None:
        raise UserError(f"{source}: names no contract: it is no log of `simreal deploy`")
    if recorded.robot.name != given.robot.name:
        raise UserError(
            f"{source}: was made by another policy: of robot {recorded.robot.name}, the given one is "
            f"for {given.robot.name}"
        )
    if found := behaviour_differences(recorded, given):
        listed = "\n  ".join(str(difference) for difference in found)
        raise UserError(f"{source}: was made by another policy (logged != given):\n  {listed}")


def _elsewhere(recorded: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {
        name: (recorded[name], present)
        for name, present in this_computer().items()
        if name in recorded and recorded[name] != present
    }


class _Replayer:
    """Carries a pipeline through a log."""

    def __init__(self, policy: Policy, found: Replay) -> None:
        terms = policy.contract.observation
        self._infer, self._found = policy.inference(), found
        self._recurrent = bool(policy.contract.hidden_states)
        self._carried = True
        self._observe = ObservationPipeline(policy.contract)
        self._to_command = ActionPipeline(policy.contract)
        self._actuators = policy.contract.robot.actuator_names
        self._previous = np.zeros(len(self._actuators))
        # So many cycles after a gap remember what was in it; where steps add up, all of them.
        self._memory = max(term.history - 1 + (term.source in OF_THE_CYCLE_BEFORE) for term in terms)
        if policy.contract.action.relative_to == "previous_target":
            self._memory = sys.maxsize
        self._expected = self._unknown = 0
        self._begins = True

    def run(self, cycles: Iterable[LoggedCycle]) -> None:
        """Replay them all."""
        for cycle in cycles:
            if cycle.number != self._expected:
                self._found.lost += cycle.number - self._expected
                self._begins, self._unknown, self._carried = False, self._memory, False
            self._expected = cycle.number + 1
            if cycle.observation is not None:
                self._step(cycle, cycle.observation)
            if cycle.action is not None:
                self._previous = cycle.action
                self._to_command(cycle.action)
            if not cycle.running:  # it will begin anew
                self._begins = True

    def _step(self, cycle: LoggedCycle, logged: FloatArray) -> None:
        observation = self._observed(cycle)
        if self._unknown > 0:
            self._unknown -= 1
            self._found.unknown += 1
        else:
            self._found.cycles += 1
            names = self._observe.names
            self._hold_against(
                cycle.number, "observation ", names, logged.astype(np.float32), observation
            )
        if cycle.action is not None:
            self._act(cycle, cycle.action, logged, observation)

    def _observed(self, cycle: LoggedCycle) -> Float32Array:
        if not self._begins:
            told = self._to_command.target
            return self._observe(cycle.state, self._previous, command=cycle.asked, target=told)
        self._begins, self._unknown, self._carried = False, 0, True
        self._previous = np.zeros(len(self._actuators))
        self._infer.begin()
        self._to_command.begin(cycle.state.joint_position)
        told = self._to_command.target
        return self._observe.begin(cycle.state, self._previous, command=cycle.asked, target=told)

    def _act(
        self, cycle: LoggedCycle, logged: FloatArray, seen: FloatArray, observation: Float32Array
    ) -> None:
        # The log does not tell one kind of no number from another, a graph may.
        given = np.where(np.isfinite(seen), seen, observation).astype(np.float32)
        action = np.clip(self._infer(given).astype(np.float64), -1.0, 1.0)
        if self._recurrent and not self._carried:
            return  # what the policy remembered is not in the log
        self._hold_against(cycle.number, "action ", self._actuators, logged, action)

    def _hold_against(
        self, cycle: int, prefix: str, names: Sequence[str], logged: Numbers, replayed: Numbers
    ) -> None:
        for place in different(logged, replayed):
            what = prefix + names[place]
            self._found.note(Deviation(cycle, what, float(logged[place]), float(replayed[place])))


def different(logged: Numbers, replayed: Numbers) -> list[int]:
    """Where two arrays of one type differ in any bit; what is no number in both is the same."""
    bits = np.dtype(f"u{logged.itemsize}")
    same = (logged.view(bits) == replayed.view(bits)) | (~np.isfinite(logged) & ~np.isfinite(replayed))
    return np.flatnonzero(~same).tolist()
