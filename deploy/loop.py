"""Runs a policy on a robot: connects, checks, records, and lets the control loop go round.

What happens in each cycle stands in `simreal.deploy.control_loop`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from simreal.contract import RobotDescription
from simreal.deploy.broadcast import Broadcast
from simreal.deploy.cameras import NO_EYES, Sees
from simreal.deploy.command_source import CommandSource, FixedSource, asked_values
from simreal.deploy.control_loop import ControlLoop
from simreal.deploy.drivers import Driver
from simreal.deploy.loop_options import USUAL, LoopOptions, steps_per_action
from simreal.deploy.outcome import Outcome
from simreal.deploy.policy import Runnable
from simreal.deploy.preflight import objections, refuse_missing_sensors
from simreal.deploy.provenance import provenance_of
from simreal.deploy.realtime import real_time, warning
from simreal.deploy.recorder import Recorder
from simreal.deploy.shadow import ShadowDriver
from simreal.errors import UserError
from simreal.logs.messages import PROVENANCE_METADATA
from simreal.signals import ASKS_TO_END, LEAVES_MOTORS, interrupt_flag

Listener = Callable[[Broadcast], AbstractContextManager[object]]
"""Begins to listen to a run before its first cycle; what it gives is left after the last one."""


def deploy(
    policy: Runnable,
    driver: Driver,
    duration: float | None = None,
    log: Path | None = None,
    source: CommandSource | None = None,
    options: LoopOptions = USUAL,
    listeners: Sequence[Listener] = (),
    warn: Callable[[str], object] = lambda text: None,
    eyes: Sees = NO_EYES,
) -> Outcome:
    """Run a policy on a robot until the duration is over, a signal comes, or a fault.

    The robot is passive before the first command and after the last one, however this ends.

    Args:
        policy: what decides, or a course of commands that is played.
        driver: of the robot, not yet connected.
        duration: s that the policy acts; until a signal if absent.
        log: path of an MCAP file to write.
        source: of what is asked of the policy; if absent zero, or what of its range is nearest to it.
        options: see there.
        listeners: who hears of the cycles, off the loop's thread.
        warn: hears what the kernel did not permit.
        eyes: through which a policy sees that has cameras.

    Raises:
        UserError: the policy does not fit the robot, or the log cannot be made; nothing has moved.
        DriverError: the robot cannot be reached.
    """
    contract = policy.contract
    source = source or FixedSource(asked_values(contract, {}))
    with ExitStack() as stack:
        interrupt = stack.enter_context(interrupt_flag((*ASKS_TO_END, *LEAVES_MOTORS)))
        stack.callback(source.close)
        stack.callback(eyes.close)
        steps = steps_per_action(contract.control_rate, options.driver_rate)
        if options.shadow:
            driver = ShadowDriver(driver)
        _connect(stack, policy, driver)
        broadcast = Broadcast(contract, kept=log is not None)
        stack.callback(broadcast.close)
        recorder = None
        if log is not None:
            recorder = stack.enter_context(
                Recorder(log, broadcast, {PROVENANCE_METADATA: provenance_of(policy, options.shadow)})
            )
        for listen in listeners:
            stack.enter_context(listen(broadcast))
        loop = ControlLoop(policy, driver, source, broadcast, options, steps, eyes)
        with real_time(options.real_time) as refused:
            if refused:
                warn(warning(refused))
            ended_by = loop.run(duration, interrupt)
        return _outcome(ended_by, loop, recorder, options.real_time is not None and not refused)


def _connect(stack: ExitStack, policy: Runnable, driver: Driver) -> None:
    """Reach the robot, to be passive and let go of when the stack ends, and refuse one that misfits."""
    stack.callback(driver.disconnect)
    robot = driver.connect()
    stack.callback(driver.off)
    refuse_misfits(policy, robot)
    refuse_missing_sensors(policy.contract, driver)


def _outcome(ended_by: str, loop: ControlLoop, recorder: Recorder | None, real_time: bool) -> Outcome:
    """How it went; the log is closed, to know what it lost."""
    timing = loop.statistics.percentiles()
    if recorder is not None:
        recorder.close(timing)
    supervisor, fault = loop.supervisor, loop.supervisor.fault
    return Outcome(
        ended_by=ended_by,
        fault=None if fault is None else fault.reason,
        check=None if fault is None else fault.check,
        cycles=loop.actions,
        periods=loop.periods,
        overruns=loop.overruns,
        limited=supervisor.limited,
        limited_by=dict(supervisor.limited_by.most_common()),
        dropped=recorder.lost if recorder else 0,
        log_failure=recorder.failure if recorder else None,
        timing=timing,
        driven_travel=loop.travel.driven(),
        real_time=real_time,
        fault_phase=None if fault is None else fault.phase.value,
    )


def refuse_misfits(policy: Runnable, robot: RobotDescription) -> None:
    """Raise a `UserError` that lists why a policy must not run on a robot, if there is a reason."""
    found = objections(policy, robot)
    if found:
        raise UserError("the policy does not fit this robot:\n  " + "\n  ".join(found))
