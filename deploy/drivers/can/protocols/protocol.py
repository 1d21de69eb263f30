"""What every protocol of CAN motors gives the driver: frames to send, and what came back."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import NamedTuple

from simreal.deploy.drivers.can.mit import MitCommand, pack_command
from simreal.robots.can_wire import CanMotorConfig

EXTENDED = -1
ZERO = MitCommand()
"""No stiffness, no damping, no torque."""


class Frame(NamedTuple):
    """A data frame: of 11 bits of identifier, or of 29."""

    id: int
    data: bytes
    extended: bool = False


class Reading(NamedTuple):
    """What a motor tells of itself, at its own output shaft.

    Attributes:
        position: rad.
        velocity: rad/s.
        torque: N·m.
        temperature: °C, the hottest place; None where it is not told.
        enabled: whether it follows commands; None where it is not told.
        fault: in words; None for none.
    """

    position: float
    velocity: float
    torque: float
    temperature: float | None = None
    enabled: bool | None = None
    fault: str | None = None


class Parameter(NamedTuple):
    """The value of a register, as a motor has told it."""

    register: int
    value: float


class FaultReport(NamedTuple):
    """A frame that tells of faults and nothing else."""

    fault: str


Answer = Reading | Parameter | FaultReport
Setup = Generator[tuple[Frame, ...], Parameter, None]
"""Yields frames, the last of which asks for a register, and is sent what that is."""


class SetupError(Exception):
    """A motor is not what `robot.yaml` says, or does not take what it is told. For a person."""


class MotorProtocol(ABC):
    """One motor, spoken to in its maker's way.

    Attributes:
        config: of the motor.
        limits: the scale of its frames; `setup` may replace it by what the motor says.
    """

    @property
    def answers_on(self) -> int:
        """The identifier of its answers; `EXTENDED` where that is one of 29 bits, and says more."""
        return self.config.master_id

    def __init__(self, config: CanMotorConfig) -> None:
        """Speak to a motor."""
        self.config = config
        self.limits = config.scale

    def setup(self, watchdog_ms: float) -> Setup:
        """Check what the motor is and prepare it; it stays passive.

        Args:
            watchdog_ms: after which it shall go passive by itself without commands, where it can.

        Raises:
            SetupError: see there.
        """
        yield from ()

    def command(self, command: MitCommand) -> Frame:
        """The frame of a command."""
        return Frame(self.config.id, pack_command(command, self.limits))

    @abstractmethod
    def enable(self) -> Frame:
        """Let it follow commands."""

    @abstractmethod
    def disable(self) -> Frame:
        """Make it passive."""

    @abstractmethod
    def clear_fault(self) -> Frame:
        """Forget a fault; it stays passive."""

    def poll(self) -> Frame:
        """Ask a passive motor for a reading; where nothing else does, by a command that asks nothing."""
        return self.command(ZERO)

    @abstractmethod
    def decode(self, frame: Frame) -> Answer | None:
        """What a frame says, if it is from this motor and in order; never raises."""


def special(last: int) -> bytes:
    """The 8 bytes of MIT mode that no command has: all ones but for the last."""
    return b"\xff" * 7 + bytes([last])


class MitProtocol(MotorProtocol):
    """A motor that is let go and held back as the Mini Cheetah's were: most makers' do the same."""

    def enable(self) -> Frame:
        return Frame(self.config.id, special(0xFC))

    def disable(self) -> Frame:
        return Frame(self.config.id, special(0xFD))

    def clear_fault(self) -> Frame:
        return Frame(self.config.id, special(0xFB))

    def is_answer(self, frame: Frame, lengths: tuple[int, ...] = (8,)) -> bool:
        """Whether a frame has the identifier and one of the lengths of this motor's answers."""
        return not frame.extended and frame.id == self.config.master_id and len(frame.data) in lengths
