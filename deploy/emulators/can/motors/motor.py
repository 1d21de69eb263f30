"""The firmware of an emulated CAN motor: what every maker's has. It knows nothing of the driver's code.

Frames are taken apart here as one large number, from its lowest bits up, where the driver shifts bytes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from simreal.deploy.emulators.body import AMBIENT, Body
from simreal.robots.can_wire import CanMotorConfig
from simreal.state import RobotState

HOTTEST = 85.0
"""°C of the windings, at which a motor protects itself."""
LOWEST_VOLTAGE, HIGHEST_VOLTAGE = 15.0, 32.0
"""V, of a motor for 24 V."""
BROWN_OUT = 8.0
"""V, below which the electronics themselves stop; they start again as after power-on."""
TIMEOUT_UNIT = 50e-6
"""s, in which firmware time-outs count."""


class CanFrame(NamedTuple):
    """A frame on the bus."""

    id: int
    data: bytes
    extended: bool = False


class Law(NamedTuple):
    """A decoded command, at the output shaft: rad, rad/s, N·m/rad, N·m·s/rad, N·m."""

    position: float
    velocity: float
    stiffness: float
    damping: float
    torque: float


PASSIVE = Law(0.0, 0.0, 0.0, 0.0, 0.0)


def take_apart(data: bytes, widths: Sequence[int]) -> list[int]:
    """The unsigned numbers of so many bits each that fill bytes, the first one highest."""
    number, parts = int.from_bytes(data, "big"), []
    for width in reversed(widths):
        number, part = divmod(number, 2**width)
        parts.append(part)
    return parts[::-1]


def put_together(parts: Sequence[int], widths: Sequence[int]) -> bytes:
    """The reverse."""
    number = 0
    for part, width in zip(parts, widths, strict=True):
        number = number * 2**width + part
    return number.to_bytes(sum(widths) // 8, "big")


def from_code(code: int, low: float, high: float, width: int) -> float:
    """What a code means."""
    share = code / (2.0**width - 1.0)
    return (1.0 - share) * low + share * high


def to_code(value: float, low: float, high: float, width: int) -> int:
    """The code of a value within its ends, cut as firmware cuts it."""
    share = (min(max(value, low), high) - low) / (high - low)
    return int(share * (2.0**width - 1.0))


class EmulatedMotor(ABC):
    """One motor of a body, and its maker's firmware.

    Attributes:
        name: of its actuator.
        place: of its actuator in the robot's description.
        enabled: whether it follows commands.
        fault: why it does not, in the maker's code; 0 for nothing. Latched.
        last: the last command, which is obeyed as soon as it is enabled, as firmware does: a kick.
        largest: of each part of all commands since power-on, by size.
        timeout: s without a frame, after which it goes passive; 0 for never.
    """

    def __init__(self, name: str, config: CanMotorConfig, body: Body, place: int) -> None:
        """Power it on."""
        self.name, self.config, self.place = name, config, place
        self._body = body
        joint = body.joints[place]
        self._joint = int(joint)
        self._turn = config.sign * config.gear
        self._position = self._velocity = 0.0
        self.largest = PASSIVE
        self._dead = False
        self._power_on()
        body.off(place)

    def _power_on(self) -> None:
        self.enabled, self.fault, self.last = False, 0, PASSIVE
        self.timeout, self._silence = 0.0, 0.0

    def hear(self, frame: CanFrame) -> list[CanFrame]:
        """Take a frame from the bus; the answers."""
        if self._dead or not self._is_meant(frame):
            return []
        self._silence = 0.0
        return self._answer(frame)

    def _is_meant(self, frame: CanFrame) -> bool:
        """Whether it is for this motor: 8 bytes to its number, unless its maker has that otherwise."""
        return not frame.extended and frame.id == self.config.id and len(frame.data) == 8

    @abstractmethod
    def _answer(self, frame: CanFrame) -> list[CanFrame]:
        """Do what a frame says; the answers."""

    @abstractmethod
    def _code_of(self, fault: str) -> int:
        """The maker's code of `over-temperature`, `under-voltage`, `over-voltage`, `time-out`."""

    def advance(self, state: RobotState, seconds: float) -> None:
        """Let a physics step pass, after which the sensors say so."""
        config = self.config
        self._position = self._turn * (float(state.joint_position[self._joint]) - config.offset)
        self._velocity = self._turn * float(state.joint_velocity[self._joint])
        self._protect()
        self._silence += seconds
        if self.enabled and self.timeout and self._silence > self.timeout:
            self.trip("time-out")

    def _protect(self) -> None:
        voltage = self._body.supply_voltage
        if voltage < BROWN_OUT:
            self._dead = True
            self._body.off(self.place)
        elif self._dead:
            self._dead = False
            self._power_on()
        if self._body.temperature[self.place] > HOTTEST:
            self.trip("over-temperature")
        if not BROWN_OUT <= voltage < LOWEST_VOLTAGE:
            return
        self.trip("under-voltage")

    def trip(self, fault: str) -> None:
        """Latch a fault and go passive."""
        self.fault = self.fault or self._code_of(fault)
        self._let_go()

    def _let_go(self) -> None:
        self.enabled = False
        self._body.off(self.place)

    def _enable(self) -> None:
        if self.fault == 0:
            self.enabled = True
            self._obey(self.last)

    def _obey(self, law: Law) -> None:
        """Follow a command if enabled; remember it anyway."""
        self.last = law
        sizes = (max(abs(new), old) for new, old in zip(law, self.largest, strict=True))
        self.largest = Law(*sizes)
        if not self.enabled:
            return
        gear = self.config.gear
        self._body.command(
            self.place,
            law.position / self._turn + self.config.offset,
            velocity=law.velocity / self._turn,
            stiffness=law.stiffness * gear**2,
            damping=law.damping * gear**2,
            feedforward=law.torque * self._turn,
        )

    @property
    def torque(self) -> float:
        """N·m at the output shaft."""
        return float(self._body.effort[self.place]) / self._turn

    @property
    def temperatures(self) -> tuple[float, float]:
        """°C of power stage, which is taken for half as warm, and windings."""
        windings = float(self._body.temperature[self.place])
        return 0.5 * (windings + AMBIENT), windings

    def _codes(self, limits: Sequence[float], widths: Sequence[int]) -> list[int]:
        """Position, velocity and torque now, as codes."""
        values = self._position, self._velocity, self.torque
        rows = zip(values, limits, widths, strict=True)
        return [to_code(value, -limit, limit, width) for value, limit, width in rows]


MIT_WIDTHS = (16, 12, 12, 12, 12)


def mit_law(data: bytes, limits: Sequence[float]) -> Law:
    """The command in the 8 bytes of MIT mode.

    Args:
        data: the bytes.
        limits: of position, velocity, torque, stiffness, damping.
    """
    position, velocity, torque, stiffness, damping = limits
    ends = (
        (-position, position),
        (-velocity, velocity),
        (0, stiffness),
        (0, damping),
        (-torque, torque),
    )
    codes = zip(take_apart(data, MIT_WIDTHS), ends, MIT_WIDTHS, strict=True)
    return Law(*(from_code(code, low, high, width) for code, (low, high), width in codes))
