"""Serves an emulated Unitree robot over DDS, in real time."""

from collections.abc import Callable

from simreal.deploy.clock import Clock
from simreal.deploy.emulators.fault_control import FaultControl
from simreal.deploy.emulators.faults import Faults, Outbox
from simreal.deploy.emulators.unitree.robot import UnitreeRobot
from simreal.deploy.realtime import share_priority
from simreal.deploy.unitree.idl import (
    Identity,
    Request,
    Response,
    ResponseHeader,
    Status,
    packed_type,
)
from simreal.deploy.unitree.link import DDSException, Link
from simreal.deploy.unitree.messages import COMMAND_TOPIC, STATE_TOPIC, Messages
from simreal.errors import UserError
from simreal.signals import Interrupt

SERVICES = ("motion_switcher", "sport")
LONGEST_GAP_STEPS = 500
"""A process that slept for longer (a suspended laptop) does not make up for it."""
STEPS_AT_ONCE = 10
"""Of those that are made up for, before the wire is looked after again."""
WAITING_COMMANDS = 16
"""Commands that are kept between two steps."""
CALL_ROUNDS = 5
"""Services are looked after each so many states."""


class UnitreeServer:
    """The wire of one robot."""

    def __init__(
        self, robot: UnitreeRobot, messages: Messages, interface: str, domain: int, faults: Faults
    ) -> None:
        """Join a domain.

        Raises:
            UserError: it cannot be joined.
        """
        self._robot, self._faults = robot, faults
        self._kind = packed_type(messages.state)
        try:
            self._link = link = Link(interface, domain)
            self._states = link.writer(STATE_TOPIC, self._kind)
            command = packed_type(messages.command)
            self._commands = link.reader(COMMAND_TOPIC, command, WAITING_COMMANDS)
            self._services = {
                name: (
                    link.reader(f"rt/api/{name}/request", Request, 10, reliable=True),
                    link.writer(f"rt/api/{name}/response", Response),
                )
                for name in SERVICES
            }
        except DDSException as error:
            raise UserError(
                f"DDS cannot join domain {domain} over interface {interface}: {error.msg}"
            ) from None
        self._incoming, self._outgoing = Outbox(), Outbox()

    def serve(
        self,
        interrupt: Interrupt,
        control: FaultControl | None = None,
        after_step: Callable[[], object] = lambda: None,
    ) -> None:
        """Run in real time until interrupted; `after_step` is called after each physics step."""
        share_priority()
        robot, clock = self._robot, Clock(self._robot.body.rate)
        rounds = behind = 0
        while not interrupt.requested:
            overruns = clock.overruns
            clock.wait()
            if control is not None:
                control.poll(robot.time)
            self._hear()
            # Time that this process was not given has passed for the robot all the same.
            behind = min(behind + 1 + clock.overruns - overruns, LONGEST_GAP_STEPS)
            steps = min(behind, STEPS_AT_ONCE)
            behind -= steps
            for _ in range(steps):
                robot.advance(self._faults)
                after_step()
            self._speak()
            rounds += 1
            if rounds % CALL_ROUNDS == 0:
                self._answer_calls()

    def _hear(self) -> None:
        now = self._robot.time
        for sample in self._commands.take(WAITING_COMMANDS):
            if sample.sample_info.valid_data:
                self._incoming.add(self._faults.frames(sample.payload, None, now), now)
        for payload in self._incoming.due(now):
            self._robot.obey(payload)

    def _speak(self) -> None:
        now = self._robot.time
        self._outgoing.add(self._faults.frames(self._robot.state(), None, now), now)
        for payload in self._outgoing.due(now):
            self._states.write(self._kind(payload))

    def _answer_calls(self) -> None:
        for name, (requests, responses) in self._services.items():
            for request in requests.take(10):
                if not isinstance(request, Request):
                    continue
                identity = request.header.identity
                code, data = self._robot.call(name, identity.api_id, request.parameter)
                header = ResponseHeader(Identity(identity.id, identity.api_id), Status(code))
                if not request.header.policy.noreply:
                    responses.write(Response(header, data, []))  # type: ignore[arg-type]

    def close(self) -> None:
        """Leave the domain."""
        del self._states, self._commands, self._services
        self._link.close()
