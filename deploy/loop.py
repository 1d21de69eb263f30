"""The control loop: read, supervise, observe, act, limit, write, record; at a fixed rate."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simreal.action import ActionPipeline
from simreal.contract import Contract, RobotDescription
from simreal.deploy.clock import Clock
from simreal.deploy.drivers import Driver, DriverError
from simreal.deploy.histogram import Histogram, Percentiles
from simreal.deploy.policy import Policy
from simreal.deploy.preflight import objections
from simreal.deploy.recorder import Cycle, Event, Recorder
from simreal.deploy.supervisor import Supervisor
from simreal.errors import UserError, nearest
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.signals import Interrupt, interrupt_flag
from simreal.state import FloatArray


@dataclass(slots=True)
class Statistics:
    """Timing of a run.

    Attributes:
        period: between wake-ups.
        late: of a wake-up after its deadline.
        compute: from wake-up to the command on the wire.
        observation_age: of the measurement when it is used, since its arrival.
    """

    period: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    compute: Histogram = field(default_factory=Histogram)
    observation_age: Histogram = field(default_factory=Histogram)

    def percentiles(self) -> dict[str, Percentiles]:
        """By name."""
        return {
            name: getattr(self, name).percentiles()
            for name in ("period", "late", "compute", "observation_age")
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment went.

    Attributes:
        ended_by: "duration", "interrupt" or "fault".
        fault: its reason.
        cycles: control steps taken.
        overruns: periods skipped because a cycle came late.
        dropped: log entries lost, at least.
        log_failure: why the disk refused the log, or None.
        timing: percentiles by name.
        driven_travel: joint with an actuator to how far apart its extreme readings lie, rad or m.
    """

    ended_by: str
    fault: str | None
    cycles: int
    overruns: int
    dropped: int
    log_failure: str | None
    timing: dict[str, Percentiles]
    driven_travel: dict[str, float]


def deploy(
    policy: Policy,
    driver: Driver,
    duration: float | None = None,
    log: Path | None = None,
    asked: Mapping[str, float] | None = None,
) -> Outcome:
    """Run a policy on a robot until the duration is over, a signal comes, or a fault.

    The robot is passive before the first command and after the last one, however this ends.

    Args:
        policy: what decides.
        driver: of the robot, not yet connected.
        duration: s; until a signal if absent.
        log: path of an MCAP file to write.
        asked: command name to what is asked of the policy; zero, or what of its range is nearest to
            it, where nothing is said.

    Raises:
        UserError: the policy does not fit the robot, or the log cannot be made; nothing has moved.
        DriverError: the robot cannot be reached.
    """
    values = asked_values(policy.contract, asked or {})
    with ExitStack() as stack:
        interrupt = stack.enter_context(interrupt_flag())
        stack.callback(driver.disconnect)
        robot = driver.connect()
        stack.callback(driver.off)
        refuse_misfits(policy, robot)
        policy.warm_up()
        recorder = None
        if log is not None:
            names = ObservationPipeline(policy.contract).names
            recorder = stack.enter_context(Recorder(log, policy.contract, names))
        loop = _Loop(policy, driver, recorder, values)
        return loop.run(duration, interrupt)


def asked_values(contract: Contract, asked: Mapping[str, float]) -> FloatArray:
    """(commands,) what is asked of a policy, in the order of its contract.

    Raises:
        UserError: a command that the policy does not know, or one beyond what it was trained for.
    """
    names = [command.name for command in contract.commands]
    for name in asked:
        if name not in names:
            raise UserError(f"command {name}: this policy has none of that name: {nearest(name, names)}")
    values = []
    for command in contract.commands:
        value = asked.get(command.name, min(max(0.0, command.low), command.high))
        if not command.low <= value <= command.high:
            raise UserError(
                f"command {command.name}={value:g}: the policy was trained for {command.low:g} to "
                f"{command.high:g} {command.unit}"
            )
        values.append(value)
    return np.array(values)


def refuse_misfits(policy: Policy, robot: RobotDescription) -> None:
    """Raise a `UserError` that lists why a policy must not run on a robot, if there is a reason."""
    found = objections(policy, robot)
    if found:
        raise UserError("the policy does not fit this robot:\n  " + "\n  ".join(found))


class _Travel:
    """How far each joint has moved to and fro."""

    def __init__(self, robot: RobotDescription) -> None:
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


class _Loop:
    """One deployment."""

    def __init__(
        self, policy: Policy, driver: Driver, recorder: Recorder | None, asked: FloatArray
    ) -> None:
        contract = policy.contract
        self._policy, self._driver, self._recorder = policy, driver, recorder
        self._observe = ObservationPipeline(contract)
        self._asked = asked
        self._to_command = ActionPipeline(contract)
        safety = load_robot(contract.robot.name).config.safety
        self._supervisor = Supervisor(contract.robot, safety)
        self._rate = contract.control_rate
        self._action = np.zeros(self._to_command.size)
        self._statistics = Statistics()
        self._travel = _Travel(contract.robot)
        self._cycles = 0

    def run(self, duration: float | None, interrupt: Interrupt) -> Outcome:
        self._event("start", f"policy of {self._policy.contract.provenance.task}")
        ended_by = "fault"
        clock = Clock(self._rate)
        try:
            ended_by = self._cycle_until_end(clock, duration, interrupt)
        except DriverError as error:
            self._supervisor.fault = str(error)
        except BaseException as error:
            self._event("fault", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._driver.off()
        fault = self._supervisor.fault
        self._event("fault" if fault else "end", fault or ended_by)
        if self._recorder is not None:
            self._recorder.close()
        return Outcome(
            ended_by,
            fault,
            self._cycles,
            clock.overruns,
            self._recorder.dropped if self._recorder else 0,
            self._recorder.failure if self._recorder else None,
            self._statistics.percentiles(),
            self._travel.driven(),
        )

    def _cycle_until_end(self, clock: Clock, duration: float | None, interrupt: Interrupt) -> str:
        end = None if duration is None else clock.deadline + round(duration * 1e9)
        woke_before = None
        while not interrupt.requested:
            late = clock.wait()
            woke_at = clock.deadline + late
            if end is not None and clock.deadline > end:
                return "duration"
            self._statistics.late.add(late * 1e-9)
            if woke_before is not None:
                self._statistics.period.add((woke_at - woke_before) * 1e-9)
            woke_before = woke_at
            if not self._cycle(clock, woke_at):
                return "fault"
        return "interrupt"

    def _cycle(self, clock: Clock, woke_at: int) -> bool:
        """One control step; whether to go on."""
        state = self._driver.read()
        now = time.monotonic_ns()
        self._statistics.observation_age.add(now * 1e-9 - float(state.time))
        self._travel.add(state.joint_position)
        observation = action = command = None
        if self._supervisor.state_allows(state, now * 1e-9):
            if self._cycles == 0:
                self._to_command.begin(state.joint_position)
            observe = self._observe.begin if self._cycles == 0 else self._observe
            told = self._to_command.target
            observation = observe(state, self._action, command=self._asked, target=told)
            action = self._policy.act(observation[None])[0].astype(np.float64)
            command = self._supervisor.allowed(action, self._to_command(action))
            self._action = np.clip(action, -1.0, 1.0)
        if command is not None:
            self._driver.write(command)
        compute = time.monotonic_ns() - woke_at
        self._statistics.compute.add(compute * 1e-9)
        if self._recorder is not None:
            self._recorder.add(
                Cycle(
                    self._cycles,
                    woke_at,
                    clock.deadline,
                    now,
                    state,
                    self._asked,
                    observation,
                    None if action is None else self._action,
                    command,
                    compute,
                    clock.overruns,
                )
            )
        self._cycles += 1
        return command is not None

    def _event(self, kind: str, text: str) -> None:
        if self._recorder is not None:
            self._recorder.add(Event(time.monotonic_ns(), kind, text))
