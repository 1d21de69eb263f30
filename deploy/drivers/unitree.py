"""Driver of Unitree's robots (Go2, G1) at their low level, over DDS.

Never tried on a real robot: see docs/drivers_unitree.md.
"""

import contextlib
import time
from collections.abc import Callable
from enum import Enum
from typing import Literal, get_args

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers.driver import Driver, DriverError
from simreal.deploy.drivers.options import whole_number
from simreal.deploy.unitree.arrival import ArrivalClock
from simreal.deploy.unitree.command import CommandFrame
from simreal.deploy.unitree.link import LARGEST_DOMAIN, refuse_interface
from simreal.deploy.unitree.measurement import Health, Reader, messages_of
from simreal.deploy.unitree.messages import COMMAND_TOPIC, MESSAGES, STATE_TOPIC, Messages
from simreal.deploy.unitree.services import (
    RELEASE_MODE,
    SPORT,
    STAND_DOWN,
    SWITCHER,
    ServiceError,
    active_controller,
)
from simreal.deploy.unitree.wire import DdsWire, Wire, WireError
from simreal.errors import UserError, nearest
from simreal.robots import Robot, load_robot
from simreal.state import FloatArray, RobotCommand, RobotState

OnController = Literal["refuse", "release", "ignore"]
"""What is done about a controller of the robot's own that is active."""
ON_CONTROLLER: tuple[OnController, ...] = get_args(OnController)
FIRST_STATE_TIMEOUT = 5.0
RELEASE_TIMEOUT = 15.0
LYING_DOWN = 3.0
"""s, in which a robot on four legs lies down before it is released."""
LOWEST_CHARGE = 20
"""Per cent of the battery, below which the vendor's own programs stop."""
HOLDABLE = 0.1
"""s, the age of a measured posture that may still be held."""
LAST_WORDS = 3
POLL = 2e-3
LISTENING = 0.3
"""s for another program's commands: the slowest loop sends one each 0.1 s."""


class _Mode(Enum):
    """What the motors were told last."""

    NOTHING = "nothing"
    FOLLOW = "follow"
    HOLD = "hold"
    DAMP = "damp"
    OFF = "off"


def open_driver(options: dict[str, str], robot: str, task: str | None) -> Driver:
    """The driver by its options: ``interface``, ``domain``, ``controller``, ``messages``."""
    interface = options.pop("interface", "lo")
    domain = whole_number("unitree", "domain", options.pop("domain", "0"))
    controller = options.pop("controller", "refuse")
    named = options.pop("messages", None)
    if options:
        valid = ("interface", "domain", "controller", "messages")
        raise UserError(f"driver unitree: no option {min(options)!r}: {nearest(min(options), valid)}")
    if domain > LARGEST_DOMAIN:
        raise UserError(f"driver unitree: domain={domain}: at most {LARGEST_DOMAIN}")
    if controller not in ON_CONTROLLER:
        hint = nearest(controller, ON_CONTROLLER)
        raise UserError(f"driver unitree: controller={controller}: {hint}")
    if named is not None and named not in MESSAGES:
        raise UserError(f"driver unitree: messages={named}: {nearest(named, MESSAGES)}")
    messages = messages_of(robot, named)
    if messages is None:
        raise UserError(
            f"driver unitree: robot {robot!r} is none of Unitree's that is known: say messages=go or "
            "messages=hg"
        )
    refuse_interface(interface, "driver unitree")
    return UnitreeDriver(
        load_robot(robot), messages, lambda: DdsWire(messages, interface, domain), controller
    )


class UnitreeDriver(Driver):
    """Talks to a robot's motors, all of them position servos.

    Attributes:
        reader: of its states, with counts of those that were refused.
    """

    def __init__(
        self,
        robot: Robot,
        messages: Messages,
        open_wire: Callable[[], Wire],
        controller: OnController = "refuse",
    ) -> None:
        """Name a robot and the way to it; nothing is opened yet.

        Raises:
            UserError: the robot's description does not suit its messages.
        """
        description, index = robot.description, robot.config.motor_index
        count = len(description.actuators)
        if max(index, default=0) >= messages.motors:
            raise UserError(
                f"robot {robot.name}: wire.motor_index {max(index)}: {messages.command.name} has "
                f"{messages.motors} motors"
            )
        if any(each.command != "position" for each in description.actuators):
            raise UserError(f"robot {robot.name}: the driver unitree drives position servos alone")
        self._robot, self._messages, self._index = description, messages, index
        self._open, self._controller = open_wire, controller
        self._lower = np.array([each.lower for each in description.actuators])
        self._upper = np.array([each.upper for each in description.actuators])
        self._stiffness = np.array([each.stiffness for each in description.actuators])
        self._damping = np.array([each.damping for each in description.actuators])
        self._joint = [description.joint_names.index(each.joint) for each in description.actuators]
        self._command = CommandFrame(messages, index)
        self.reader = Reader(messages, description, index)
        self._wire: Wire | None = None
        self._newest: RobotState | None = None
        self._mode, self._posture = _Mode.NOTHING, np.zeros(count)

    @property
    def health(self) -> Health | None:
        """What the robot says of itself beyond its motion."""
        return self.reader.health

    def connect(self) -> RobotDescription:
        """Hear the robot, and see to it that nobody else drives its motors.

        What a robot says does not tell which joints it has: the description is that of its `robot.yaml`.

        Raises:
            DriverError: the robot is silent, its battery is low, or a controller of its own or another
                program drives it.
        """
        try:
            self._wire = self._open()
            self._arrivals = ArrivalClock(time.monotonic())
            self.reader = Reader(self._messages, self._robot, self._index)
            self._newest, self._mode = None, _Mode.NOTHING
            self._await_first_state()
            self._refuse_low_battery()
            if self._controller != "ignore":
                self._see_to_controller()
            self._refuse_others()
        except WireError as error:
            self.disconnect()
            raise DriverError(str(error)) from None
        except ServiceError as error:
            self.disconnect()
            raise DriverError(
                f"{error}; whether a controller of the robot's own is active is not known. On a robot "
                "or simulator that has no such service: controller=ignore"
            ) from None
        except BaseException:
            self.disconnect()
            raise
        return self._robot

    def _await_first_state(self) -> None:
        deadline = time.monotonic() + FIRST_STATE_TIMEOUT
        while self._look() is None:
            if time.monotonic() > deadline:
                heard = f"{self.reader.refused} messages, none of which is a sound state"
                raise DriverError(
                    f"{heard if self.reader.refused else 'no message'} on {STATE_TOPIC}: is the robot "
                    "on, and are interface and domain right?"
                )
            time.sleep(POLL)

    def _refuse_low_battery(self) -> None:
        charge = None if self.health is None else self.health.charge
        if charge is not None and charge < LOWEST_CHARGE:
            raise DriverError(f"the battery is at {charge} %, at least {LOWEST_CHARGE} % are needed")

    def _see_to_controller(self) -> None:
        assert self._wire is not None
        name = active_controller(self._wire)
        if name and self._controller == "refuse":
            raise DriverError(
                f"the robot's own controller {name!r} is active and would fight ours. Let the robot "
                "hang or stand free, and say controller=release: it lies down, and its motors go passive"
            )
        deadline = time.monotonic() + RELEASE_TIMEOUT
        while name:
            if time.monotonic() > deadline:
                raise DriverError(f"the robot's own controller {name!r} does not let go of the motors")
            if len(self._index) == 12:  # the legs of one that can lie down
                with contextlib.suppress(ServiceError):  # it may not stand
                    self._wire.call(SPORT, STAND_DOWN, {})
                    time.sleep(LYING_DOWN)
            self._wire.call(SWITCHER, RELEASE_MODE, {})
            time.sleep(1.0)
            name = active_controller(self._wire)
        self._look()

    def _refuse_others(self) -> None:
        """The robot obeys whoever sends: of two programs each would undo what the other does."""
        assert self._wire is not None
        self._wire.hears_others()  # the newest of before: of the controller that has just let go, say
        until = time.monotonic() + LISTENING
        while time.monotonic() < until:
            if self._wire.hears_others():
                raise DriverError(
                    f"another program commands this robot, on {COMMAND_TOPIC}: end it first, or the two "
                    "fight for the motors"
                )
            time.sleep(POLL)
        self._look()

    def _look(self) -> RobotState | None:
        """The newest state so far, after a look for a newer one."""
        assert self._wire is not None
        received, now = self._wire.newest(), time.monotonic()
        if received is None:
            self._arrivals.looked(now)
        else:
            arrival = self._arrivals.arrived(1e-9 * received.sent, now)
            self._newest = self.reader.take(received.payload, arrival) or self._newest
        return self._newest

    def read(self) -> RobotState:
        """The newest state that has arrived; see `Driver.read`."""
        if self._wire is None or self._newest is None:
            raise DriverError("the robot is not connected")
        try:
            self._look()
        except WireError as error:
            raise DriverError(str(error)) from None
        if self.reader.restarted:
            raise DriverError("the robot's clock has begun anew: it has restarted")
        return self._newest

    def write(self, command: RobotCommand) -> None:
        """Send targets in rad within the actuators' limits; see `Driver.write`."""
        target = np.asarray(command.target, dtype=np.float64)
        if target.shape != self._lower.shape or not np.isfinite(target).all():
            raise DriverError(f"a command of {target.tolist()} cannot be sent")
        if not 0.0 <= command.authority <= 1.0:
            raise DriverError(f"a command with authority {command.authority} cannot be sent")
        target = np.clip(target, self._lower, self._upper)
        # Damping stays whole: a robot that wakes must not swing.
        self._send(_Mode.FOLLOW, self._command.follow, target, command.authority * self._stiffness)

    def hold(self) -> None:
        """Keep the posture that was measured last; see `Driver.hold`."""
        if self._mode is not _Mode.HOLD:
            state = self.read()
            if time.monotonic() - float(state.time) > HOLDABLE:
                raise DriverError("the posture is not known: the robot is silent")
            self._posture = np.clip(state.joint_position[self._joint], self._lower, self._upper)
        self._send(_Mode.HOLD, self._command.follow, self._posture, self._stiffness)

    def _send(
        self,
        mode: _Mode,
        encode: Callable[[FloatArray, FloatArray, FloatArray], bytes],
        target: FloatArray,
        stiffness: FloatArray,
    ) -> None:
        if self._wire is None:
            raise DriverError("the robot is not connected")
        self._repeat_build()
        try:
            self._wire.send(encode(target, stiffness, self._damping))
        except WireError as error:
            raise DriverError(str(error)) from None
        self._mode = mode

    def _repeat_build(self) -> None:
        if self.health is not None and self.health.mode_machine is not None:
            self._command.set_machine(self.health.mode_machine)

    def damp(self) -> None:
        """Brake; see `Driver.damp`."""
        self._let_go(_Mode.DAMP, self._command.damp)

    def off(self) -> None:
        """Make the motors passive; a robot that was told nothing yet is told nothing now."""
        if self._mode is not _Mode.NOTHING:
            self._let_go(_Mode.OFF, self._command.off)

    def _let_go(self, mode: _Mode, encode: Callable[[], bytes]) -> None:
        if self._wire is None:
            return
        self._repeat_build()
        payload = encode()
        # Silence is the last thing that can be said; what is said last, a wire that loses must not lose.
        with contextlib.suppress(WireError):
            for _ in range(LAST_WORDS if mode is _Mode.OFF else 1):
                self._wire.send(payload)
        self._mode = mode

    def disconnect(self) -> None:
        """Leave the domain."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
