"""What the CAN driver does before anything moves: is each motor there, alone, and what it should be."""

import math
import time

from simreal.deploy.drivers.can.bus import CanBus
from simreal.deploy.drivers.can.node import Node
from simreal.deploy.drivers.can.protocols import (
    Answer,
    Frame,
    Parameter,
    Reading,
    Setup,
    SetupError,
)
from simreal.deploy.drivers.driver import DriverError
from simreal.errors import UserError
from simreal.robots import Robot
from simreal.robots.can_wire import CanConfig

ANSWER_TIMEOUT = 0.1
"""s, in which a motor answers while it is being connected."""
ONE_TOO_MANY = 0.005
"""s after the last answer, in which that of a second motor with the same id would come."""
QUIET = 0.05
"""s, in which answers to what was asked before go by."""
TRIES = 3
"""Questions to a motor before it counts as absent."""
BRAKING = 2.0
"""Times its own damping, with which a motor brakes that holds nothing."""


def usable(robot: Robot, channels: list[str]) -> CanConfig:
    """The robot's CAN motors, if they are all that it has, and the buses are there.

    Raises:
        UserError: they are not.
    """
    wire, description = robot.config.wire, robot.description
    if wire is None or wire.can is None:
        raise UserError(f"robot {robot.name} has no CAN motors: its robot.yaml has no wire.can")
    driven = {each.joint for each in description.actuators}
    for joint in description.joint_names:
        if joint not in driven:
            raise UserError(f"driver can: joint {joint} has no motor that would tell where it is")
    sliding = [each.name for each in description.joints if each.unit == "m"]
    if sliding:
        raise UserError(f"driver can: joint {', '.join(sliding)} slides; these motors turn")
    if description.imu:
        raise UserError(f"driver can: robot {robot.name} has an IMU, which is not on the bus")
    for each in description.actuators:
        if each.command == "voltage":
            raise UserError(f"driver can: actuator {each.name} takes a voltage; these motors take none")
    buses = 1 + max(motor.bus for motor in wire.can.motors.values())
    if len(channels) != buses:
        raise UserError(
            f"driver can: robot {robot.name} has motors on {buses} buses, channel= names "
            f"{len(channels)}; several are joined by +, as in can0+can1"
        )
    return wire.can


def set_up(node: Node, watchdog_ms: float, bitrate: int, clear_fault: bool) -> None:
    """Check and set what the protocol of a motor can, passive as it is, and hear a first reading.

    Args:
        node: the motor.
        watchdog_ms: after which it shall go passive by itself without commands, where it can.
        bitrate: bit/s, of its bus, for the message to whom it does not answer.
        clear_fault: whether a fault that it latched is forgotten.

    Raises:
        DriverError: it does not answer, shares its id, or is not what `robot.yaml` says.
    """
    protocol = node.protocol
    if clear_fault:
        node.bus.send(protocol.clear_fault())
    settle(node.bus)
    setup = protocol.setup(watchdog_ms)
    try:
        frames = next(setup, None)
        while frames is not None:
            found = _ask(node, frames, Parameter, bitrate)
            assert isinstance(found, Parameter)
            frames = _next(setup, found)
    except SetupError as error:
        raise DriverError(f"motor {node.place}: {error}") from None
    _refuse_overreach(node)
    now = time.monotonic()
    reading = _ask(node, (protocol.poll(),), Reading, bitrate)
    node.asked(now)
    node.hear(reading)


def _next(setup: Setup, found: Parameter) -> tuple[Frame, ...] | None:
    try:
        return setup.send(found)
    except StopIteration:
        return None


def settle(bus: CanBus) -> None:
    """Let answers go by."""
    end = time.monotonic() + QUIET
    while (left := end - time.monotonic()) > 0:
        while bus.receive() is not None:
            pass
        bus.wait(left)


def _ask(node: Node, frames: tuple[Frame, ...], wanted: type[Answer], bitrate: int) -> Answer:
    """The last answer of a kind to frames."""
    for attempt in range(1, TRIES + 1):
        for frame in frames:
            node.bus.send(frame)
        answers = [each for each in _answers(node, len(frames)) if isinstance(each, wanted)]
        # What was asked before may be answered late.
        if len(answers) > attempt * len(frames):
            raise DriverError(
                f"motor {node.place}: {len(answers)} answers came to {attempt * len(frames)} "
                "question(s): do two motors share that id?"
            )
        if answers and attempt > 1:
            settle(node.bus)  # lest a late answer be taken for one to the next question
        if answers:
            return answers[-1]
    raise DriverError(
        f"motor {node.place} does not answer: is it powered, its id and master_id right, the bus "
        f"terminated and at {bitrate // 1000} kbit/s?"
    )


def _answers(node: Node, expected: int) -> list[Answer]:
    """What comes within the time-out; a little longer than the last one, for one too many."""
    found: list[Answer] = []
    end = time.monotonic() + ANSWER_TIMEOUT
    while (left := end - time.monotonic()) > 0:
        node.bus.wait(left)
        while (frame := node.bus.receive()) is not None:
            answer = node.protocol.decode(frame)
            if answer is not None:
                found.append(answer)
                if len(found) == expected:
                    end = min(end, time.monotonic() + ONE_TOO_MANY)
    return found


def _refuse_overreach(node: Node) -> None:
    """Targets and gains must fit into the motor's frames: what does not would be cut in silence."""
    actuator, limits = node.actuator, node.protocol.limits
    low, high = node.law(actuator.lower), node.law(actuator.upper)
    braking = BRAKING * (actuator.damping or 0.0) / node.protocol.config.gear**2
    largest = {
        "position": (max(abs(low.position), abs(high.position)), limits.position, "rad"),
        "stiffness": (low.stiffness, limits.stiffness, "N·m/rad"),
        "damping": (max(low.damping, braking), limits.damping, "N·m·s/rad"),
        "torque": (max(abs(low.torque), abs(high.torque)), limits.torque, "N·m"),
    }
    for name, (wanted, limit, unit) in largest.items():
        if not math.isfinite(wanted) or wanted > limit:
            raise DriverError(
                f"motor {node.place}: robot.yaml may ask for a {name} of {wanted:.4g} {unit} at the "
                f"motor, its frames hold at most {limit:g}"
            )
