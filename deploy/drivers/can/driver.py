"""Driver of CAN motors in MIT mode: Damiao, RobStride, CyberGear, AK, over python-can."""

import contextlib
import time
from collections.abc import Iterator, Sequence

import numpy as np

from simreal.contract import Actuator, RobotDescription
from simreal.deploy.drivers.can.bus import POLL_INTERVAL, CanBus
from simreal.deploy.drivers.can.mit import MitCommand
from simreal.deploy.drivers.can.node import Node
from simreal.deploy.drivers.can.protocols import EXTENDED, ZERO, Reading, speak_to
from simreal.deploy.drivers.can.setup import BRAKING, set_up, settle, usable
from simreal.deploy.drivers.driver import Driver, DriverError
from simreal.deploy.drivers.options import whole_number
from simreal.errors import UserError, nearest
from simreal.robots import Robot, load_robot
from simreal.state import DriveReport, RobotCommand, RobotState

READ_BUDGET = 0.002
"""s, after which `read` stops taking frames from a bus on which somebody babbles."""
PASSIVE_WAIT = 0.02
"""s"""
STALE_POSTURE = 0.1
"""s, beyond which a posture is too old to be held."""
LEFT_OVER, LISTEN = 0.02, 0.32
"""s after a bus was opened, until which an adapter may give what was sent before, and until which nobody
else's motors may answer. Who commands motors does so ten times a second and more."""
OPTIONS = ("robot", "interface", "channel", "clear_faults")


def open_driver(options: dict[str, str], robot: str, task: str | None) -> Driver:
    """The driver by its options.

    ``interface``, ``channel`` (several buses: ``can0+can1``), ``robot``, ``clear_faults=1``.
    """
    for name in options:
        if name not in OPTIONS:
            raise UserError(f"driver can: no option {name!r}: {nearest(name, OPTIONS)}")
    interface = options.get("interface", "socketcan")
    channels = (options.get("channel") or _usual_channel(interface)).split("+")
    clear = bool(whole_number("can", "clear_faults", options.get("clear_faults", "0")))
    return CanDriver(load_robot(options.get("robot", robot)), interface, channels, clear)


def _usual_channel(interface: str) -> str:
    if interface == "slcan":
        raise UserError("driver can: interface=slcan needs channel=, such as /dev/ttyACM0")
    # python-can's own group for udp_multicast.
    return {"socketcan": "can0", "udp_multicast": "239.74.163.2"}.get(interface, "0")


class CanDriver(Driver):
    """Motors on CAN buses, as `wire.can` of a `robot.yaml` describes them."""

    def __init__(
        self, robot: Robot, interface: str, channels: list[str], clear_faults: bool = False
    ) -> None:
        """Name a robot and its buses; nothing is opened yet.

        Args:
            robot: with `wire.can`.
            interface: of python-can: `socketcan`, `slcan`, `udp_multicast`, `virtual` or another.
            channels: of each bus, in the order of the numbers in `wire.can`.
            clear_faults: whether faults that motors latched are forgotten at `connect`.

        Raises:
            UserError: a robot that these motors cannot be.
        """
        self._robot = robot
        self._config = usable(robot, channels)
        self._interface, self._channels = interface, channels
        self._clear = clear_faults
        self._buses: list[CanBus] = []
        self._nodes: list[Node] = []
        self._speakers: dict[tuple[CanBus, int], list[Node]] = {}
        self._awake = False
        self._held: list[float] | None = None

    @property
    def nodes(self) -> list[Node]:
        """The motors, in the order of the actuators, once connected."""
        return self._nodes

    # Connecting

    def connect(self) -> RobotDescription:
        """Open the buses, check each motor, arm its time-out; see `Driver.connect`."""
        try:
            for channel in self._channels:
                self._buses.append(CanBus(self._interface, channel, self._config.bitrate))
            nodes = [self._node(each) for each in self._robot.description.actuators]
            self._refuse_another_program(nodes)
            self._nodes = nodes
            for node in self._nodes:
                self._speakers.setdefault((node.bus, node.protocol.answers_on), []).append(node)
            watchdog_ms = self._robot.config.safety.watchdog_ms
            for node in self._nodes:
                node.bus.send(node.protocol.disable())
            for node in self._nodes:
                set_up(node, watchdog_ms, self._config.bitrate, self._clear)
            self._refuse_faults()
        except BaseException:
            self.off()
            self.disconnect()
            raise
        return self._robot.description

    def _node(self, actuator: Actuator) -> Node:
        config = self._config.motors[actuator.name]
        joint = self._robot.description.joint_names.index(actuator.joint)
        return Node(actuator, joint, self._buses[config.bus], speak_to(config))

    def _refuse_another_program(self, nodes: Sequence[Node]) -> None:
        """Before anything is sent: motors made passive would let fall what another program holds up."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < LISTEN:
            for bus in self._buses:
                frame = bus.receive()
                if frame is None:
                    bus.wait(min(LISTEN - elapsed, POLL_INTERVAL))
                    continue
                for node in nodes if elapsed > LEFT_OVER else ():
                    if node.bus is bus and isinstance(node.protocol.decode(frame), Reading):
                        raise DriverError(
                            f"motor {node.place} answers, and was not asked: another program commands "
                            "this robot; end that one first"
                        )

    def _refuse_faults(self) -> None:
        faults = self._faults()
        if faults:
            raise DriverError(
                f"{'; '.join(faults)}. Mend the cause, then connect once with clear_faults=1"
            )

    # Reading

    def read(self) -> RobotState:
        """What has arrived; a motor that was silent keeps its old reading and time.

        Passive motors tell nothing by themselves: they are asked, and given `PASSIVE_WAIT` to answer.
        """
        self._refuse_unconnected()
        self._drain_all()
        if not self._awake:
            self._poll()
        return self._state()

    def _poll(self) -> None:
        now = time.monotonic()
        for node in self._nodes:
            if node.may_be_asked(now):
                node.ask(node.protocol.poll(), now)
        end = now + PASSIVE_WAIT
        while any(node.time < now for node in self._nodes) and (left := end - time.monotonic()) > 0:
            self._buses[0].wait(min(left, POLL_INTERVAL) if len(self._buses) > 1 else left)
            self._drain_all()

    def _drain_all(self) -> None:
        for bus in self._buses:
            self._drain(bus)

    def _drain(self, bus: CanBus) -> None:
        end = time.monotonic() + READ_BUDGET
        while (frame := bus.receive()) is not None:
            for node in self._speakers.get((bus, EXTENDED if frame.extended else frame.id), ()):
                if (answer := node.protocol.decode(frame)) is not None:
                    node.hear(answer)
                    break
            if time.monotonic() > end:
                return

    def _state(self) -> RobotState:
        position, velocity, effort, times, temperature = np.zeros((5, len(self._nodes)))
        for node in self._nodes:
            joint = node.joint
            position[joint], velocity[joint], effort[joint] = node.position, node.velocity, node.effort
            times[joint], temperature[joint] = node.time, node.temperature
        drives = DriveReport(times, temperature, None, tuple(self._faults()))
        return RobotState(float(times.min()), position, velocity, joint_effort=effort, drives=drives)

    def _faults(self) -> list[str]:
        return [f"{node.actuator.joint}: {node.fault}" for node in self._nodes if node.fault]

    # Commanding

    def write(self, command: RobotCommand) -> None:
        """Send targets; a motor whose answer is missing goes on with its last one for a while."""
        self._refuse_unconnected()
        self._held = None
        target = np.asarray(command.target, dtype=np.float64)
        if not (np.isfinite(target).all() and 0.0 <= command.authority <= 1.0):
            self.off()
            raise DriverError(f"a command that is none: {target.tolist()}, {command.authority:g}")
        values = target.tolist()
        self._command_all(
            node.law(value, command.authority) for node, value in zip(self._nodes, values, strict=True)
        )

    def hold(self) -> None:
        """Keep the posture that was read last; see `Driver.hold`."""
        self._refuse_unconnected()
        if any(node.actuator.command != "position" for node in self._nodes):
            raise DriverError("this robot's motors take no positions: they cannot hold a posture")
        if self._held is None:
            now = time.monotonic()
            for node in self._nodes:
                if now - node.time > STALE_POSTURE:
                    raise DriverError(f"motor {node.place} is silent: where it is, is not known")
            self._held = [node.position for node in self._nodes]
        self._command_all(
            node.law(place, 1.0) for node, place in zip(self._nodes, self._held, strict=True)
        )

    def damp(self) -> None:
        """Brake; see `Driver.damp`."""
        self._held = None
        with contextlib.suppress(DriverError):  # where one bus is gone, its motors have their time-out
            self._refuse_unconnected()
            self._command_all(
                node.at_motor(node.position, 0.0, BRAKING * (node.actuator.damping or 0.0), 0.0)
                for node in self._nodes
            )

    def _command_all(self, commands: Iterator[MitCommand]) -> None:
        if not self._awake:
            self._wake()
        now = time.monotonic()
        for node, command in zip(self._nodes, commands, strict=True):
            if node.fault is None and node.may_be_asked(now):
                node.ask(node.protocol.command(command), now)

    def _wake(self) -> None:
        """Enable the motors; some begin with the last command that they were given: that is zero."""
        self._awake = True
        now = time.monotonic()
        for node in self._nodes:
            if node.fault is None:
                node.ask(node.protocol.command(ZERO), now)
                node.ask(node.protocol.enable(), now)
                node.enabled_at = now

    def off(self) -> None:
        """Make the motors passive, each as far as its bus can be reached."""
        self._awake, self._held = False, None
        now = time.monotonic()
        for node in self._nodes:
            node.enabled_at = None
            for frame in (node.protocol.command(ZERO), node.protocol.disable()):
                with contextlib.suppress(DriverError):  # its own time-out makes it passive
                    node.ask(frame, now)

    def clear_faults(self) -> None:
        """Forget faults that motors have latched; all become passive.

        Raises:
            DriverError: the connection is lost.
        """
        self._refuse_unconnected()
        self.off()
        for node in self._nodes:
            node.ask(node.protocol.clear_fault(), time.monotonic())
            settle(node.bus)
            node.fault = None

    def disconnect(self) -> None:
        """Close the buses."""
        for bus in self._buses:
            bus.close()
        self._buses, self._nodes, self._speakers = [], [], {}

    def _refuse_unconnected(self) -> None:
        if not self._nodes:
            raise DriverError("the CAN motors are not connected")
