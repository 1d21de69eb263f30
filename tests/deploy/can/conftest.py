"""A CAN driver and an emulated robot on one bus, in one process, in a time that passes when told to."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from simreal.deploy.drivers.can import bus, driver, setup
from simreal.deploy.drivers.can.driver import CanDriver
from simreal.deploy.emulators.can.can_leg import CanRobot, can_config
from simreal.deploy.emulators.can.motors import CanFrame
from simreal.deploy.emulators.can.port import BusPort
from simreal.deploy.emulators.faults import Fault, Faults
from simreal.deploy.emulators.options import Emulated
from simreal.robots import Robot, load_robot
from simreal.robots.can_wire import CanConfig

_NUMBERS = itertools.count()
GRAIN = 2e-4
"""s, between looks at the bus."""


class CanWorld:
    """Both of them.

    Attributes:
        now: s.
        robot: the emulated one.
        driver: not yet connected.
        answered: of each motor, what it has answered and when it was measured.
        heard: every frame that came from the driver.
    """

    def __init__(
        self,
        motor: str | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        parameters: dict[str, float] | None = None,
        driver_config: CanConfig | None = None,
        clear_faults: bool = False,
    ) -> None:
        self.now = 1000.0
        self._began = self.now
        config = can_config("can_leg", motor)
        emulated = Emulated(parameters or {}, [], None, seed, None)
        self.robot = CanRobot("can_leg", config, emulated, Faults(faults, seed))
        channel = f"world {next(_NUMBERS)}"
        self.port = BusPort("virtual", channel)
        self.driver = CanDriver(
            _with_can("can_leg", driver_config or config), "virtual", [channel], clear_faults
        )
        self.answered: dict[int, list[tuple[float, CanFrame]]] = {}
        self.heard: list[CanFrame] = []

    @property
    def robot_time(self) -> float:
        return self.now - self._began

    def fault(self, kind: str, **more: object) -> None:
        self.robot.faults.announce(Fault(kind, **more), self.robot_time)  # type: ignore[arg-type]

    def clock(self) -> SimpleNamespace:
        """In place of the module `time`, for the driver."""
        return SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self._exchange()
            self.now = min(self.now + GRAIN, end)
            while self.robot.time <= self.robot_time:
                self.robot.advance()
        self.now = max(end, self.now + 1e-9)  # even the shortest sleep ends
        self._exchange()

    def _exchange(self) -> None:
        for frame in self.port.receive():
            self.heard.append(frame)
            self.robot.hear(0, frame, self.robot_time)
        for _, frame in self.robot.answers(self.robot_time):
            self.port.send(frame)

    def watch_answers(self) -> None:
        """Note every reading that a motor gives out, with the time at which it was measured."""
        for place, motor in enumerate(self.robot.motors):
            motor.hear = self._noted(place, motor.hear)  # type: ignore[method-assign]

    def _noted(
        self, place: int, hear: Callable[[CanFrame], list[CanFrame]]
    ) -> Callable[[CanFrame], list[CanFrame]]:
        def noted(frame: CanFrame) -> list[CanFrame]:
            answers = hear(frame)
            self.answered.setdefault(place, []).extend((self.now, each) for each in answers)
            return answers

        return noted


def _with_can(name: str, config: CanConfig) -> Robot:
    """A robot with other CAN motors."""
    robot = load_robot(name)
    assert robot.config.wire is not None
    wire = robot.config.wire.model_copy(update={"can": config})
    return Robot(robot.config.model_copy(update={"wire": wire}), robot.model_path)


MakeWorld = Callable[..., AbstractContextManager[CanWorld]]


@pytest.fixture
def can_world(monkeypatch: pytest.MonkeyPatch) -> MakeWorld:
    """Makes a `CanWorld`, of its arguments, in whose time the driver lives."""

    @contextmanager
    def made(*arguments: Any, **more: Any) -> Iterator[CanWorld]:
        world = CanWorld(*arguments, **more)
        for module in (bus, driver, setup):
            monkeypatch.setattr(module, "time", world.clock())
        try:
            yield world
        finally:
            world.driver.disconnect()
            world.port.close()

    return made
