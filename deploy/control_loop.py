"""The cycle: read, supervise, observe, act, limit, write, hand over to listeners; at a fixed rate.

Here nothing waits but the clock, nothing is written to a disk or a terminal, and nothing grows.
"""

from contextlib import suppress

import numpy as np

from simreal.action import ActionPipeline
from simreal.deploy.broadcast import Broadcast
from simreal.deploy.cameras import NO_EYES, CameraError, Sees
from simreal.deploy.clock import Clock
from simreal.deploy.command_source import CommandSource, TrainedRanges, Wish
from simreal.deploy.cycle import Cycle, Event
from simreal.deploy.drivers import Driver, DriverError
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.outcome import Statistics, Travel
from simreal.deploy.policy import Runnable
from simreal.deploy.supervisor import Order, Phase, Supervisor
from simreal.images import NO_IMAGES
from simreal.observation import Float32Array, ObservationPipeline
from simreal.robots import load_robot
from simreal.robots.safety import Check
from simreal.signals import Interrupt
from simreal.state import FloatArray, RobotState

FRESH_PATIENCE = 1.0
"""s until a robot must have sent a measurement after all that was prepared meanwhile."""


class ControlLoop:
    """One deployment.

    Attributes:
        supervisor: of the robot.
        statistics: of the cycles.
        travel: of the joints.
        actions: of the policy so far.
        overruns: periods skipped so far.
    """

    def __init__(
        self,
        policy: Runnable,
        driver: Driver,
        source: CommandSource,
        broadcast: Broadcast,
        options: LoopOptions,
        steps: int,
        eyes: Sees = NO_EYES,
    ) -> None:
        """Prepare all that needs time or memory.

        Args:
            policy: what decides, or a course of commands that is played.
            driver: of the robot, connected.
            source: of what is asked of the policy.
            broadcast: where cycles and events go.
            options: see there.
            steps: how often the driver is told something for each action of the policy.
            eyes: through which a policy sees that has cameras.
        """
        contract = policy.contract
        self._time, self._now = driver.time_source, driver.time_source.now
        self._eyes, self._images = eyes, NO_IMAGES
        self._driver, self._source, self._broadcast = driver, source, broadcast
        self._options, self._task = options, contract.provenance.task
        self._safety = load_robot(contract.robot.name).config.safety
        self._rate = contract.control_rate * steps
        self._steps, self._action_period = steps, 1.0 / contract.control_rate
        self.supervisor = Supervisor(contract.robot, self._safety, 1.0 / self._rate, options.shadow)
        self._observe = ObservationPipeline(contract)
        self._infer = policy.warmed_up()
        self._to_command = ActionPipeline(contract)
        self._within = TrainedRanges(contract.commands)
        self.statistics, self.travel = Statistics(), Travel(contract.robot)
        self.actions = self.overruns = self._cycles = 0
        self._newest: RobotState | None = None
        self._phase = self.supervisor.phase
        self._woke_before: int | None = None
        self._begin()

    def _begin(self) -> None:
        """Before the policy's first action after the robot has risen."""
        self._action = np.zeros(self._to_command.size)
        self._target: FloatArray | None = None
        self._target_before: FloatArray | None = None
        self._acted_at: int | None = None
        self._infer.begin()

    @property
    def periods(self) -> int:
        """Of the loop so far, those that were skipped among them."""
        return self._cycles + self.overruns

    def run(self, duration: float | None, interrupt: Interrupt) -> str:
        """Until something ends it; what that was."""
        self._event("start", f"policy of {self._task}")
        self.supervisor.connected()
        try:
            self._read_until_fresh()
            clock = Clock(self._rate, self._time)
            ended_by = self._until_end(clock, duration, interrupt)
            self._halt(clock)
            self._settle(clock)
        except BaseException as error:
            self._driver.damp()
            self._event("fault", f"{type(error).__name__}: {error}".removesuffix(": "))
            raise
        finally:
            self._driver.off()
        fault = self.supervisor.fault
        if fault is None:
            self._event("end", ended_by)
            return ended_by
        self._event("fault", fault.reason, fault.check)
        return "fault"

    def _until_end(self, clock: Clock, duration: float | None, interrupt: Interrupt) -> str:
        began: int | None = None
        while not interrupt.requested:
            wish = self._tick(clock)
            supervisor, person = self.supervisor, self._source.person
            if wish is Wish.END:
                return "operator"
            if supervisor.fault is not None and not person:
                return "fault"
            if supervisor.phase is Phase.IDLE and not person:
                supervisor.run()
            if began is None and self.actions:
                began = clock.deadline
            # The next cycle would begin after the end. Counted in periods: one is whole ns long, and
            # so many of 1/30 s are a little shorter than the time that was asked for.
            acted = 0 if began is None else (clock.deadline - began) // clock.period + 1
            if duration is not None and acted >= duration * self._rate - 1e-6:
                return "duration"
        return "interrupt"

    def _read_until_fresh(self) -> None:
        """Read what has queued up since the robot was connected, up to a measurement of now."""
        began = self._now()
        until = began + round(FRESH_PATIENCE * 1e9)
        while self._now() < until and self.supervisor.fault is None:
            if float(self._read().time) >= 1e-9 * began:
                return
            self._time.sleep(1_000_000)

    def _halt(self, clock: Clock) -> None:
        """Ask a policy that follows velocities for none: who walks falls, if braked at full speed.

        All checks go on, and whatever else ends the run ends it at once.
        """
        supervisor, seconds = self.supervisor, self._safety.halt_s
        if not (supervisor.commanding and supervisor.running and self._within.stand_still()):
            return
        self._event("halt", f"velocities of zero are asked for {seconds:g} s")
        until = self._now() + round(seconds * 1e9)
        while supervisor.running and self._now() < until:
            if self._tick(clock) is Wish.END:
                return

    def _settle(self, clock: Clock) -> None:
        """Let the reaction to the end, or to a fault, last for a while before the motors are off.

        The run is over: who still wants the robot to run, or clears a fault, would let go of it now.
        """
        if self.supervisor.fault is None:
            self.supervisor.stop()
        until = self._now() + round(self._safety.settle_s * 1e9)
        lost = self.supervisor.fault is not None and self.supervisor.fault.check == "lost_driver"
        while self.supervisor.order().kind in ("hold", "damp") and not lost:
            if self._now() >= until:
                return
            self._tick(clock, heeds_wishes=False)

    def _tick(self, clock: Clock, heeds_wishes: bool = True) -> Wish | None:
        """One cycle; what the person at the controls wants."""
        before = clock.overruns
        late = clock.wait()
        missed = clock.overruns - before
        self.overruns = clock.overruns
        woke_at = clock.deadline + late
        state = self._read()
        read_at = self._now()
        asked = self._within(self._source.asked(1e-9 * read_at))
        self.supervisor.watch(state, 1e-9 * read_at, missed, self._source.emergency)
        if missed:
            self._late(missed)
        self._follow_phase()  # before a wish may take it back: what it was is told, and memory forgotten
        wish = self._source.wish()
        if heeds_wishes:
            self._heed(wish)
        observation, observed_at, inferred_at = None, 0, 0
        acts = self.supervisor.running and self._is_due(clock) and self._sees(read_at)
        if acts:
            observation = self._observation(state, asked)
            observed_at = self._now()
            action = self._infer(observation, self._images).astype(np.float64)
            inferred_at = self._now()
            self._propose(action)
        elif self.supervisor.running and self._options.between == "interpolate":
            self._interpolate(clock)
        order = self.supervisor.order()
        write_at = self._now()
        self._carry_out(order)
        wrote_at = self._now()
        cycle = Cycle(
            self._cycles,
            self.supervisor.phase,
            woke_at,
            clock.deadline,
            read_at,
            observed_at or write_at,
            inferred_at or write_at,
            write_at,
            wrote_at,
            clock.overruns,
            asked,
            state,
            observation,
            self._action if acts else None,
            order.command,
        )
        self._account(cycle)
        return wish

    def _sees(self, now: int) -> bool:
        """Look through all cameras; one that shows nothing new is as a robot that reports nothing."""
        try:
            self._images = self._eyes.see(1e-9 * now, self._target is None)
        except CameraError as error:
            self.supervisor.fail("stale_state", str(error))
            return False
        return True

    def _read(self) -> RobotState:
        """The newest measurement: one that comes out of order does not replace a newer one."""
        try:
            state = self._driver.read()
        except DriverError as error:
            self.supervisor.fail("lost_driver", str(error))
            if self._newest is None:
                raise
            return self._newest
        if self._newest is None or not float(state.time) < float(self._newest.time):
            self._newest = state
        return self._newest

    def _late(self, missed: int) -> None:
        """The loop has skipped periods."""
        if self._options.on_overrun == "hold":
            self.supervisor.hold()
        elif self._options.on_overrun == "stop" and self.supervisor.commanding:
            self.supervisor.fail("overrun", f"the loop came late and skipped {missed} periods")

    def _heed(self, wish: Wish | None) -> None:
        match wish:
            case Wish.RUN:
                self.supervisor.run()
            case Wish.HOLD:
                self.supervisor.hold()
            case Wish.CLEAR:
                self._clear()
            case _:
                pass

    def _clear(self) -> None:
        """Forget a fault: the supervisor's, and what the robot itself goes on reporting.

        Where there is none, nothing is cleared: that would make motors passive which hold the robot up.
        """
        if self.supervisor.fault is None:
            return
        self.supervisor.clear()
        try:
            self._driver.clear_faults()
        except DriverError as error:
            self.supervisor.fail("lost_driver", str(error))

    def _is_due(self, clock: Clock) -> bool:
        """Whether the policy acts in this cycle: in the first, and once in each of its periods."""
        if self._acted_at is None:
            self._acted_at = clock.deadline
            return True
        periods = (clock.deadline - self._acted_at) // (self._steps * clock.period)
        self._acted_at += periods * self._steps * clock.period
        return periods > 0

    def _observation(self, state: RobotState, asked: FloatArray) -> Float32Array:
        if self._target is None:
            self._to_command.begin(state.joint_position)
        observe = self._observe.begin if self._target is None else self._observe
        return observe(state, self._action, command=asked, target=self._to_command.target)

    def _propose(self, action: FloatArray) -> None:
        target = self._to_command(action).target
        self._target_before = target if self._target is None else self._target
        self._target = target
        self._action = np.minimum(np.maximum(action, -1.0), 1.0)
        self.supervisor.propose(action, target, self._action_period)
        if self._options.between == "interpolate":
            self.supervisor.towards(self._target_before)
        self.actions += 1

    def _interpolate(self, clock: Clock) -> None:
        if self._target is None or self._target_before is None or self._acted_at is None:
            return
        share = (clock.deadline - self._acted_at) / (self._steps * clock.period)
        self.supervisor.towards(self._target_before + share * (self._target - self._target_before))

    def _carry_out(self, order: Order) -> None:
        driver = self._driver
        try:
            match order.kind:
                case "follow" if order.command is not None:
                    driver.write(order.command)
                case "hold":
                    driver.hold()
                case "damp":
                    driver.damp()
                case "off":
                    driver.off()
        except DriverError as error:
            if order.kind == "follow":
                self.supervisor.fail("lost_driver", str(error))
            driver.damp()  # whatever it is that the driver cannot do

    def _account(self, cycle: Cycle) -> None:
        """Count, broadcast, and follow a new phase."""
        self._cycles += 1
        self.travel.add(cycle.state.joint_position)
        self.statistics.add(cycle, self._woke_before)
        self._woke_before = cycle.woke_at
        self._broadcast.put(cycle)
        self._follow_phase()
        self.statistics.add_overhead(cycle, self._now())

    def _follow_phase(self) -> None:
        """Tell of a new phase; a policy that was interrupted begins anew."""
        if self.supervisor.phase is self._phase:
            return
        self._phase = self.supervisor.phase
        fault = self.supervisor.fault
        reason = "" if fault is None else f", {fault.reaction}: {fault.check}: {fault.reason}"
        self._event("phase", self._phase.value + reason, None if fault is None else fault.check)
        if self._phase is not Phase.RUNNING:
            self._begin()

    def _event(self, kind: str, text: str, check: Check | None = None) -> None:
        with suppress(ValueError):  # a text that cannot be encoded ends no run
            self._broadcast.tell(Event(self._now(), kind, text, check))
