"""One motor as the driver knows it: what it was asked, when, and what it answered."""

from dataclasses import dataclass

from simreal.contract import Actuator
from simreal.deploy.drivers.can.bus import CanBus
from simreal.deploy.drivers.can.mit import MitCommand
from simreal.deploy.drivers.can.protocols import (
    Answer,
    FaultReport,
    Frame,
    MotorProtocol,
    Reading,
)

LATEST_ANSWER = 0.045
"""s, after which an answer that is missing will not come any more."""
SLEEPY = 0.05
"""s after it was enabled, from which on a motor that is not enabled has gone passive by itself."""


@dataclass(slots=True)
class Node:
    """A motor, its place on a bus, and the newest that it told of its joint.

    Frames bear no number that would tie an answer to a question. So a motor whose answer is missing is
    asked nothing for `LATEST_ANSWER`, and goes on with its last command: what comes then answers the
    question that is open, and no late answer is ever taken for one to a later question.

    Attributes:
        actuator: that it is.
        joint: its place among the robot's joints.
        bus: where it is.
        protocol: that it speaks.
        position: rad of the joint.
        velocity: rad/s.
        effort: N·m.
        temperature: °C; NaN where it is not told.
        time: s, when the question was sent that the newest reading answers: not later than the reading.
        fault: the first that it told; stays until it is cleared.
        enabled_at: s, when it was enabled; None while it is passive.
    """

    actuator: Actuator
    joint: int
    bus: CanBus
    protocol: MotorProtocol
    position: float = 0.0
    velocity: float = 0.0
    effort: float = 0.0
    temperature: float = float("nan")
    time: float = float("-inf")
    fault: str | None = None
    enabled_at: float | None = None
    _missing: int = 0
    _first_asked: float = float("-inf")
    _last_asked: float = float("-inf")

    @property
    def name(self) -> str:
        """Of its actuator."""
        return self.actuator.name

    @property
    def place(self) -> str:
        """What and where it is, for people."""
        config = self.protocol.config
        return f"{self.name} ({config.model}, id {config.id:#x}, {self.bus.name})"

    def may_be_asked(self, now: float) -> bool:
        """Whether no answer is missing that could still come."""
        return self._missing == 0 or now - self._last_asked >= LATEST_ANSWER

    def ask(self, frame: Frame, now: float) -> None:
        """Send a frame that asks for a reading.

        Raises:
            DriverError: the bus takes none.
        """
        self.bus.send(frame)
        self.asked(now)

    def asked(self, now: float) -> None:
        """A question has gone out, at s."""
        if self.may_be_asked(now) and now > self._last_asked:
            self._missing, self._first_asked = 0, now
        self._missing += 1
        self._last_asked = now

    def hear(self, answer: Answer) -> None:
        """Take in what it says."""
        if isinstance(answer, FaultReport):
            self.fault = self.fault or answer.fault
        elif isinstance(answer, Reading):
            self.fault = self.fault or answer.fault
            if self._missing > 0:  # else it is a duplicate
                self._missing -= 1
                self._take(answer)

    def _take(self, reading: Reading) -> None:
        self.time = self._first_asked
        config = self.protocol.config
        scale = config.sign / config.gear
        self.position = scale * reading.position + config.offset
        self.velocity = scale * reading.velocity
        self.effort = reading.torque / scale
        if reading.temperature is not None:
            self.temperature = reading.temperature
        awake_since = float("inf") if self.enabled_at is None else self.enabled_at + SLEEPY
        if reading.enabled is False and self.time > awake_since:
            self.fault = self.fault or "has gone passive by itself: was its power interrupted?"

    def at_motor(self, position: float, stiffness: float, damping: float, effort: float) -> MitCommand:
        """A law of the joint (rad, N·m/rad, N·m·s/rad, N·m), as the motor's output shaft has it."""
        config = self.protocol.config
        turn = config.sign * config.gear
        return MitCommand(
            turn * (position - config.offset),
            0.0,
            stiffness / config.gear**2,
            damping / config.gear**2,
            effort / turn,
        )

    def law(self, value: float, authority: float = 1.0) -> MitCommand:
        """What a target means: of a servo a position, with a share of its stiffness; else an effort."""
        actuator = self.actuator
        within = min(max(value, actuator.lower), actuator.upper)
        if actuator.command == "position":
            stiffness = authority * (actuator.stiffness or 0.0)
            return self.at_motor(within, stiffness, actuator.damping or 0.0, 0.0)
        return self.at_motor(self.position, 0.0, 0.0, authority * within)
