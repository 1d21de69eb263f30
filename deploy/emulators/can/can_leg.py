"""`simreal emulate can-leg`: a robot with CAN motors in real time, on a wire that anybody may use."""

import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from simreal.cli_types import PATH
from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.can.motors import FIRMWARE, CanFrame, EmulatedMotor
from simreal.deploy.emulators.can.port import BusPort, CanPort, SlcanPort
from simreal.deploy.emulators.fault_control import FaultControl
from simreal.deploy.emulators.faults import Faults, Outbox
from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.errors import UserError, nearest
from simreal.robots import load_robot
from simreal.robots.can_motors import CAN_MOTORS
from simreal.robots.can_wire import CanConfig

LONGEST_GAP_STEPS = 25
"""A process that slept for longer, or a computer that is too slow, does not make up for it: the wire
would be left alone for as long."""
CONTROL_INTERVAL = 0.05
"""s between looks at the control socket."""
NOMINAL_VOLTAGE = 24.0


class CanRobot:
    """A body, its motors' firmware, and what goes wrong on the way. Time passes only in `advance`.

    Attributes:
        body: the physics.
        motors: in the order of the actuators.
        time: s since it began.
        faults: announced.
    """

    def __init__(
        self, robot: str, config: CanConfig, emulated: Emulated, faults: Faults | None = None
    ) -> None:
        """Build it.

        Args:
            robot: its name.
            config: of its motors.
            emulated: who it truly is.
            faults: what goes wrong; what was announced there if absent.
        """
        self.body = Body(
            robot, emulated.parameters, emulated.seed, emulated.task, nominal_voltage=NOMINAL_VOLTAGE
        )
        names = self.body.description.actuator_names
        self.motors: list[EmulatedMotor] = [
            FIRMWARE[config.motors[name].motor.protocol](name, config.motors[name], self.body, place)
            for place, name in enumerate(names)
        ]
        self.faults = Faults(emulated.faults, emulated.seed) if faults is None else faults
        self.names = list(names)
        self.time, self._steps = 0.0, 0
        self._buses = {motor.name: motor.config.bus for motor in self.motors}
        self._inbox, self._outbox = Outbox(), Outbox()
        self._posted: dict[bytes, tuple[int, str, CanFrame]] = {}
        self._number = 0

    def advance(self) -> None:
        """Let a physics step pass."""
        for name in self.faults.befall(self.body, self.names, self.time):
            self.motors[self.names.index(name)].trip("time-out")
        state = self.body.advance()
        self._steps += 1
        self.time = self._steps / self.body.rate
        for motor in self.motors:
            motor.advance(state, 1.0 / self.body.rate)

    def hear(self, bus: int, frame: CanFrame, now: float) -> None:
        """A frame comes from the controller, at s since the robot began."""
        for motor in self.motors:
            if motor.config.bus == bus:
                self._post(self._inbox, bus, motor.name, frame, now)

    def answers(self, now: float) -> list[tuple[int, CanFrame]]:
        """The frames that leave by then, with their buses."""
        for key in self._inbox.due(now):
            bus, name, frame = self._posted[key]
            for answer in self.motors[self.names.index(name)].hear(frame):
                self._post(self._outbox, bus, name, answer, now)
        left = [self._posted[key] for key in self._outbox.due(now)]
        if self.next_frame == math.inf:
            self._posted.clear()
        return [(bus, frame) for bus, _, frame in left]

    def _post(self, box: Outbox, bus: int, name: str, frame: CanFrame, now: float) -> None:
        """Send a frame on its way. What is damaged there, the bus's checksum finds: nobody takes it."""
        self._number += 1
        key = self._number.to_bytes(8, "big") + frame.data
        self._posted[key] = bus, name, frame
        arrivals = self.faults.frames(key, name, now)
        box.add([(delay, came) for delay, came in arrivals if came == key], now)

    @property
    def next_frame(self) -> float:
        """S since it began, when the next frame that was held up is due."""
        return min(self._inbox.next_time, self._outbox.next_time)


def serve(
    robot: CanRobot,
    ports: Sequence[CanPort],
    control: FaultControl | None,
    ends: Callable[[], bool] = lambda: False,
) -> None:
    """Run in real time until told to end.

    Args:
        robot: to run.
        ports: of each bus.
        control: on which faults are announced.
        ends: whether to end.
    """
    period, began = 1.0 / robot.body.rate, time.monotonic()
    steps, looked = 0, 0.0
    while not ends():
        now = time.monotonic() - began
        due = int(now / period)
        for _ in range(min(due - steps, LONGEST_GAP_STEPS)):
            robot.advance()
        steps = max(steps, due)
        if control is not None and now - looked > CONTROL_INTERVAL:
            control.poll(now)
            looked = now
        for bus, port in enumerate(ports):
            for frame in port.receive():
                robot.hear(bus, frame, now)
        for bus, frame in robot.answers(now):
            ports[bus].send(frame)
        left = min((steps + 1) * period, robot.next_frame) - (time.monotonic() - began)
        if left > 0:
            ports[0].wait(left if len(ports) == 1 else min(left, 2e-4))


@click.command("can-leg")
@click.option("--robot", default="can_leg", show_default=True, help="Any robot with wire.can.")
@click.option("--motor", help="Let all its motors be of this model, such as rs00, cybergear or ak80_6.")
@click.option(
    "--port",
    type=PATH,
    help="Link to the slcan terminal; of several buses, PATH0, PATH1 and so on.",
)
@click.option("--interface", default="slcan", show_default=True, help="slcan or udp_multicast.")
@click.option("--channel", default="239.74.163.2", show_default=True, help="Group of udp_multicast.")
@emulator_options
def emulate(
    emulated: Emulated, robot: str, motor: str | None, port: Path | None, interface: str, channel: str
) -> None:
    """Emulate a robot with CAN motors, until Ctrl-C."""
    config = can_config(robot, motor)
    found = CanRobot(robot, config, emulated)
    buses = 1 + max(each.bus for each in config.motors.values())
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda which, _: stopped.append(which))
    with ExitStack() as stack:
        ports = _ports(buses, interface, channel, port)
        for each in ports:
            stack.callback(each.close)
        control = None
        if emulated.control is not None:
            control = stack.enter_context(FaultControl(emulated.control, found.faults, found.names))
        click.echo(f"{robot} on {_shown(ports, interface, channel, port)}; Ctrl-C ends it")
        serve(found, ports, control, lambda: bool(stopped))


def can_config(robot: str, motor: str | None = None) -> CanConfig:
    """The CAN motors of a robot, or the same places with motors of another model.

    Raises:
        UserError: it has none, or there is no such model.
    """
    wire = load_robot(robot).config.wire
    if wire is None or wire.can is None:
        raise UserError(f"robot {robot} has no CAN motors: its robot.yaml has no wire.can")
    if motor is None:
        return wire.can
    if motor not in CAN_MOTORS:
        raise UserError(f"no motor model {motor!r}: {nearest(motor, CAN_MOTORS)}")
    model = CAN_MOTORS[motor]
    change: dict[str, object] = {"model": motor, "limits": None}
    if model.protocol != "damiao":
        change["master_id"] = 0 if model.protocol == "ak" else 0xFD
        change["limits"] = asdict(model.limits) if model.others else None
    document = wire.can.model_dump()
    document["motors"] = {name: each | change for name, each in document["motors"].items()}
    return CanConfig.model_validate(document)


def _ports(buses: int, interface: str, channel: str, port: Path | None) -> list[CanPort]:
    if interface == "slcan":
        numbers = [""] if buses == 1 else [str(bus) for bus in range(buses)]
        return [SlcanPort(None if port is None else Path(f"{port}{each}")) for each in numbers]
    if buses > 1:
        raise UserError(f"--interface {interface}: several buses are emulated on slcan only")
    if port is not None:
        raise UserError("--port is of --interface slcan")
    return [BusPort(interface, channel)]


def _shown(ports: Sequence[CanPort], interface: str, channel: str, port: Path | None) -> str:
    devices = [each.device for each in ports if isinstance(each, SlcanPort)]
    if not devices:
        return f"{interface} {channel}"
    return f"slcan {'+'.join(devices)}" + ("" if port is None else f", linked from {port}")
