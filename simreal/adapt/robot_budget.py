"""What learning on a robot may cost and has cost, over all sessions: kept so that no kill forgets it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo

from simreal.adapt.action_bounds import BoundsState
from simreal.errors import UserError
from simreal.files import write_text
from simreal.robots.safety import Check

OF_MOTION: tuple[Check, ...] = (
    "joint_position",
    "joint_velocity",
    "joint_effort",
    "angular_velocity",
    "tilt",
    "motor_fault",
)
"""Checks of the supervisor that say something of what the policy did: after them, nothing follows."""
OF_POLICY: tuple[Check, ...] = (
    *OF_MOTION,
    "policy_output",
    "saturated_action",
    "command_jump",
    "stall",
    "temperature",
    "emergency_stop",
)
"""Checks of the supervisor that say something of the policy: where they end a flight, it fell."""
Count = Annotated[int, Field(ge=0)]
SUPERVISOR = "supervisor: "
"""Before the check that ended an episode."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of the robot may be used.

    Attributes:
        seconds: s that it moves under the policy.
        falls: episodes that ended for what the policy did; any number if None.
        resets: how often it may be put back to its start; any number if None.
    """

    seconds: float
    falls: int | None = None
    resets: int | None = None


@dataclass(frozen=True, slots=True)
class FlownEpisode:
    """One episode on the robot.

    Attributes:
        number: from 0; its log's name.
        kind: "base" where the base policy acted alone, "explore", or "learned" for what was learned,
            without exploration.
        seconds: s that it took of the budget.
        steps: control steps in which the policy acted.
        mean_reward: of a full episode, for each control step, or None where not one tells of it: see
            `transitions.mean_reward`.
        ended_by: the task's termination, "supervisor: CHECK", "duration", "interrupt", or "killed".
        width: of the bounds.
        furthest: largest distance of an action from the base's.
        filtered: actions that the filter has changed.
        recovered: control steps in which the base acted alone since a joint was near a limit.
        limited: cycles in which the supervisor's limits changed a command.
        beyond_range: commands beyond an actuator's range at the driver.
        beyond_limits: measurements with a joint beyond its limits.
        reset: whether the robot was put back before it.
        updates: that the learner had made by then.
        pair: number of the pair in a trial that it belongs to, or None.
        explored: control steps whose action used the width, and was not filtered: see `Explorer`.
    """

    number: Count
    kind: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    steps: Count
    mean_reward: Annotated[float, Field(allow_inf_nan=False)] | None
    ended_by: str
    width: Annotated[float, Field(ge=0, le=2)]
    furthest: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    filtered: Count
    recovered: Count
    limited: Count
    beyond_range: Count
    beyond_limits: Count
    reset: bool
    updates: Count = 0
    pair: Count | None = None
    explored: Count = 0

    @property
    def whole(self) -> bool:
        """Whether it ended by itself."""
        return self.ended_by not in ("interrupt", "killed")

    @property
    def tells(self) -> bool:
        """Whether it says something of who flew it, as a silent robot or a busy machine does not."""
        check = self.ended_by.removeprefix(SUPERVISOR)
        return self.whole and (check == self.ended_by or check in OF_POLICY)

    @property
    def told_reward(self) -> str:
        """The mean reward for people."""
        return "-" if self.mean_reward is None else f"{self.mean_reward:.3f}"

    @property
    def cut_short(self) -> bool:
        """Whether something other than time or a person ended it: then the robot is not at its start."""
        return self.whole and self.ended_by != "duration"

    @property
    def fell(self) -> bool:
        """Whether it was cut short, and who flew it answers for that."""
        return self.cut_short and self.tells


def not_come_back(
    number: int,
    kind: str,
    seconds: float,
    width: float,
    reset: bool,
    updates: int = 0,
    pair: int | None = None,
) -> FlownEpisode:
    """An episode as it counts while it is flown, and if nobody comes back from it: killed, in full."""
    return FlownEpisode(
        number=number,
        kind=kind,
        seconds=seconds,
        steps=0,
        mean_reward=None,
        ended_by="killed",
        width=width,
        furthest=0.0,
        filtered=0,
        recovered=0,
        limited=0,
        beyond_range=0,
        beyond_limits=0,
        reset=reset,
        updates=updates,
        pair=pair,
    )


def cut_short_in_a_row(episodes: Sequence[FlownEpisode]) -> int:
    """At the end of what was flown."""
    return len(list(takewhile(lambda each: each.cut_short, reversed(episodes))))


def _of_before(value: Any, info: ValidationInfo) -> Any:
    """An episode in flight of which a ledger of before tells the seconds alone, as killed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    bounds: BoundsState | None = info.data.get("bounds")
    number, width = len(info.data.get("episodes", ())), 0.0 if bounds is None else bounds.width
    return asdict(not_come_back(number, "explore", value, width, reset=False))


@dataclass(slots=True)
class Ledger:
    """All that was done on the robot; written before each episode and after it.

    Attributes:
        episodes: all of them, in order.
        bounds: of exploration, now.
        in_flight: the episode that is being flown, as it counts if nobody comes back from it: killed,
            with all the seconds that were set aside for it.
        drivers: that it was done through.
    """

    bounds: BoundsState
    episodes: list[FlownEpisode] = field(default_factory=list)
    in_flight: Annotated[FlownEpisode | None, BeforeValidator(_of_before)] = None
    drivers: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What is spent of the budget, s."""
        return sum(self._times)

    @property
    def _times(self) -> list[float]:
        flying = [] if self.in_flight is None else [self.in_flight]
        return [each.seconds for each in (*self.episodes, *flying)]

    @property
    def falls(self) -> int:
        """Episodes that ended for what the policy did, and not since a computer or a cable failed."""
        return sum(each.fell for each in self.episodes)

    @property
    def resets(self) -> int:
        """How often it was put back."""
        return sum(each.reset for each in self.episodes)

    def spent(self, budget: Budget, shortest: float) -> str | None:
        """Which part of a budget is used up, if one is; no episode shorter than s is flown."""
        if budget.seconds - self.seconds < shortest:
            return f"the {budget.seconds:g} s on the robot are used up ({self.seconds:.1f} s)"
        if budget.falls is not None and self.falls >= budget.falls:
            return f"{self.falls} falls: no more are allowed (--max-falls)"
        if budget.resets is not None and self.resets >= budget.resets:
            return f"{self.resets} resets: no more are allowed (--max-resets)"
        return None

    def close_killed(self) -> bool:
        """Count an episode that nobody came back from, in full; whether there was one."""
        if self.in_flight is None:
            return False
        self.episodes.append(self.in_flight)
        self.in_flight = None
        return True

    def write(self, path: Path) -> None:
        """Atomically, and flushed to the disk."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Go on from what was written.

        Raises:
            UserError: it is damaged: then nobody knows what the robot has done.
        """
        try:
            text = path.read_bytes()
            found = TypeAdapter(cls).validate_json(text)
            if missing := {each.name for each in fields(cls)} - set(json.loads(text)):
                raise ValueError(f"{', '.join(sorted(missing))} is missing")
        except ValidationError as error:
            first = error.errors()[0]
            reason = ": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")
        except OSError as error:
            reason = str(error.strerror)
        except ValueError as error:
            reason = str(error)
        else:
            return found
        raise UserError(f"{path}: cannot be read ({reason}): begin another --run")
