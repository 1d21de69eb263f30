"""What a run measures of itself, and how it went."""

from dataclasses import dataclass, field

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.cycle import Cycle
from simreal.deploy.histogram import Histogram, Percentiles
from simreal.state import FloatArray

MOST_TOLD = 3
"""Limits that acted, of which a person is told."""


@dataclass(slots=True)
class Statistics:
    """Timing of a run. What the policy takes part in is counted where it acts.

    Attributes:
        period: between wake-ups.
        late: of a wake-up after its deadline.
        read: the driver's.
        inference: the policy's.
        write: the driver's.
        compute: from wake-up to the command on the wire.
        overhead: of a whole cycle but read, inference and write: observation, supervision, recording.
        observation_age: of the measurement when it is used, since its arrival.
        latency: from the arrival of the measurement to the command that it led to on the wire.
    """

    period: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    read: Histogram = field(default_factory=Histogram)
    inference: Histogram = field(default_factory=Histogram)
    write: Histogram = field(default_factory=Histogram)
    compute: Histogram = field(default_factory=Histogram)
    overhead: Histogram = field(default_factory=Histogram)
    observation_age: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)

    def add(self, cycle: Cycle, woke_before: int | None) -> None:
        """Count a cycle; all but its overhead, which is not over yet.

        Args:
            cycle: that was carried out.
            woke_before: ns, when the one before woke.
        """
        arrived = float(cycle.state.time)
        self.late.add(1e-9 * (cycle.woke_at - cycle.deadline))
        if woke_before is not None:
            self.period.add(1e-9 * (cycle.woke_at - woke_before))
        self.read.add(1e-9 * (cycle.read_at - cycle.woke_at))
        self.observation_age.add(1e-9 * cycle.read_at - arrived)
        if cycle.action is None:
            return
        self.inference.add(1e-9 * (cycle.inferred_at - cycle.observed_at))
        self.write.add(1e-9 * (cycle.wrote_at - cycle.write_at))
        self.compute.add(1e-9 * (cycle.wrote_at - cycle.woke_at))
        self.latency.add(1e-9 * cycle.wrote_at - arrived)

    def add_overhead(self, cycle: Cycle, ended_at: int) -> None:
        """Count what a cycle took besides driver and policy, up to ns."""
        if cycle.action is not None:
            elsewhere = cycle.read_at - cycle.woke_at + cycle.inferred_at - cycle.observed_at
            elsewhere += cycle.wrote_at - cycle.write_at
            self.overhead.add(1e-9 * (ended_at - cycle.woke_at - elsewhere))

    def percentiles(self) -> dict[str, Percentiles]:
        """By name."""
        return {name: getattr(self, name).percentiles() for name in type(self).__slots__}


class Travel:
    """How far each joint has moved to and fro."""

    def __init__(self, robot: RobotDescription) -> None:
        """Begin to watch a robot."""
        self._robot = robot
        self._lowest = np.full(len(robot.joints), np.inf)
        self._highest = -self._lowest

    def add(self, position: FloatArray) -> None:
        """Hear (joints,) readings; what is no number does not count."""
        np.fmin(self._lowest, position, out=self._lowest)
        np.fmax(self._highest, position, out=self._highest)

    def driven(self) -> dict[str, float]:
        """Joint to the distance between its extremes, of those that an actuator drives."""
        names = [actuator.joint for actuator in self._robot.actuators]
        places = [self._robot.joint_names.index(name) for name in names]
        with np.errstate(invalid="ignore"):
            travel = np.maximum(self._highest - self._lowest, 0.0)
        return {name: float(travel[place]) for name, place in zip(names, places, strict=True)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment went.

    Attributes:
        ended_by: "duration", "interrupt", "operator" or "fault".
        fault: its reason.
        check: which one found it.
        cycles: control steps in which the policy acted.
        periods: of the loop, which goes at the driver's rate and before and after the policy acts, too.
        overruns: those of them that were skipped because a cycle came late.
        limited: cycles in which a limit changed the command.
        limited_by: limit and actuator to such cycles, the most frequent first.
        dropped: log entries lost, at least.
        log_failure: why the disk refused the log, or None.
        timing: percentiles by name.
        driven_travel: joint with an actuator to how far apart its extreme readings lie, rad or m.
        real_time: whether the kernel permitted all that was asked of it.
        fault_phase: what the robot was in when the fault came, such as "rising".
    """

    ended_by: str
    fault: str | None
    check: str | None
    cycles: int
    periods: int
    overruns: int
    limited: int
    limited_by: dict[str, int]
    dropped: int
    log_failure: str | None
    timing: dict[str, Percentiles]
    driven_travel: dict[str, float]
    real_time: bool
    fault_phase: str | None

    @property
    def overrun_share(self) -> float:
        """Of all periods."""
        return self.overruns / max(1, self.periods)

    @property
    def limited_told(self) -> str:
        """How many commands were limited, and by what most, for people."""
        causes = [f"{name} {count}" for name, count in list(self.limited_by.items())[:MOST_TOLD]]
        return f"{self.limited} limited commands" + (f" ({', '.join(causes)})" if causes else "")
