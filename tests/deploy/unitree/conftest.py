"""A driver and an emulated robot, joined by bytes alone, in a time that only the test lets pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cyclonedds")

from simreal.deploy.drivers import unitree
from simreal.deploy.drivers.unitree import OnController, UnitreeDriver
from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.faults import Fault, Faults, Outbox
from simreal.deploy.emulators.unitree.codec import GoCodec, HgCodec
from simreal.deploy.emulators.unitree.robot import UnitreeRobot
from simreal.deploy.unitree.messages import MESSAGES
from simreal.deploy.unitree.services import ServiceError
from simreal.deploy.unitree.wire import Received
from simreal.robots import load_robot

BEGIN = 1000.0
"""s of our clock when the robot is switched on."""


class Bench:
    """A robot, a wire to it, and the time of both. Its clock is `sender_offset` s ahead of ours."""

    def __init__(self, robot: UnitreeRobot, faults: Faults) -> None:
        self.robot, self.faults = robot, faults
        self.sent: list[bytes] = []
        self.calls: list[tuple[str, int]] = []
        self.silent = self.mute = self.commanded_by_others = False
        self.sender_offset = 5e8
        self._arrived: Received | None = None
        self._incoming, self._outgoing = Outbox(), Outbox()

    # the clock, in place of the module `time`

    def monotonic(self) -> float:
        return BEGIN + self.robot.time

    def sleep(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds * self.robot.body.rate))):
            self.step()

    def step(self) -> None:
        """One step of the robot, and its state on the wire."""
        now = self.robot.time
        for payload in self._incoming.due(now):
            self.robot.obey(payload)
        self.robot.advance(self.faults)
        now = self.robot.time
        self._outgoing.add(self.faults.frames(self.robot.state(), None, now), now)
        for payload in self._outgoing.due(now):
            if not self.silent:
                self.deliver(payload)

    def deliver(self, payload: bytes) -> None:
        """A payload that reaches the driver now."""
        self._arrived = Received(payload, round(1e9 * (self.monotonic() + self.sender_offset)))

    # the wire

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)
        if not self.mute:
            now = self.robot.time
            self._incoming.add(self.faults.frames(payload, None, now), now)
            for due in self._incoming.due(now):
                self.robot.obey(due)

    def newest(self) -> Received | None:
        arrived, self._arrived = self._arrived, None
        return arrived

    def hears_others(self) -> bool:
        return self.commanded_by_others

    def call(self, service: str, api: int, parameter: dict[str, Any]) -> Any:
        self.calls.append((service, api))
        code, data = self.robot.call(service, api, json.dumps(parameter))
        if code:
            raise ServiceError(f"error {code}")
        return json.loads(data or "{}")

    def close(self) -> None:
        pass


MakeBench = Callable[..., tuple[Bench, UnitreeDriver]]


@pytest.fixture
def go2(monkeypatch: pytest.MonkeyPatch) -> MakeBench:
    """Makes an emulated Go2 and a driver, not yet connected."""

    def make(
        *faults: Fault,
        seed: int = 0,
        controller: str = "",
        on_controller: OnController = "refuse",
        **parameters: float,
    ) -> tuple[Bench, UnitreeDriver]:
        body = Body("go2", parameters, seed, "go2_velocity", 28.8, 500.0)
        robot = load_robot("go2")
        assert robot.config.wire is not None
        index = robot.config.wire.motor_index
        bench = Bench(UnitreeRobot(body, GoCodec(), index, 100.0, controller), Faults(faults, seed))
        monkeypatch.setattr(unitree, "time", bench)
        return bench, UnitreeDriver(robot, MESSAGES["go"], lambda: bench, on_controller)

    return make


TINY = """
description:
  name: g1
  imu: true
  joints:
    - {name: left, unit: rad, lower: -1, upper: 1, velocity_limit: 20, default_position: 0.1}
    - {name: right, unit: rad, lower: -1, upper: 1, velocity_limit: 20, default_position: -0.1}
  actuators:
    - &servo {name: left, joint: left, command: position, unit: rad, lower: -1, upper: 1, stiffness: 40,
              damping: 2}
    - {<<: *servo, name: right, joint: right}
sensing:
  imu: {orientation: turned, angular_velocity: turning, linear_acceleration: felt}
wire: {motor_index: [6, 0]}
"""
TINY_MODEL = """
<mujoco><compiler angle="radian"/>
<option timestep="0.002" integrator="implicitfast"/>
<worldbody><body name="base"><site name="imu"/><geom size=".1"/>
<body pos="0 .2 0"><joint name="left" axis="0 1 0" range="-1 1"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03"/></body>
<body pos="0 -.2 0"><joint name="right" axis="0 1 0" range="-1 1"/>
<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03"/></body>
</body></worldbody>
<actuator>
<position name="left" joint="left" kp="40" kv="2" ctrlrange="-1 1" forcerange="-50 50"/>
<position name="right" joint="right" kp="40" kv="2" ctrlrange="-1 1" forcerange="-50 50"/>
</actuator>
<sensor><framequat name="turned" objtype="site" objname="imu"/><gyro name="turning" site="imu"/>
<accelerometer name="felt" site="imu"/></sensor></mujoco>
"""


@pytest.fixture
def g1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, UnitreeDriver]:
    """Two legs of a robot that speaks as a G1 does."""
    folder = tmp_path / "g1"
    folder.mkdir()
    (folder / "robot.yaml").write_text(TINY)
    (folder / "model.xml").write_text(TINY_MODEL)
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path))
    robot = load_robot("g1")
    assert robot.config.wire is not None
    emulated = UnitreeRobot(Body("g1", {}, rate=500.0), HgCodec(), robot.config.wire.motor_index)
    bench = Bench(emulated, Faults())
    monkeypatch.setattr(unitree, "time", bench)
    return bench, UnitreeDriver(robot, MESSAGES["hg"], lambda: bench)
