"""Reads the states that Unitree robots send."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.deploy.unitree.layout import Frame, FrameError, decode
from simreal.deploy.unitree.messages import GO_STATE, MESSAGES, STATE_PERIOD, Messages
from simreal.state import DriveReport, FloatArray, RobotState

TICKS = 1 << 32
RESTARTED = 1000
"""ms by which a robot's clock must fall back to have begun anew; less is a message that came late."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a robot says of itself beyond its motion, as far as its messages have places for it.

    Attributes:
        tick: ms of its own clock.
        mode_machine: its build; a G1's alone.
        charge: per cent of its battery; None where it does not say.
        current: mA of its battery, negative while it discharges by the vendor's examples; likewise.
        foot_force: (4,) of its feet FR, FL, RR, RL, without a unit; likewise.
        lost: (actuators,) messages of each motor that the robot's own computer has missed.
        motor_state: (actuators,) a G1's words on each motor's faults; 0 is none.
    """

    tick: int
    mode_machine: int | None
    charge: int | None
    current: int | None
    foot_force: NDArray[np.int16] | None
    lost: NDArray[np.int64]
    motor_state: NDArray[np.int64]


class Reader:
    """Makes measurements of the payloads of one robot, and refuses what is none or is not new.

    Attributes:
        refused: payloads that were no state, or whose checksum was wrong.
        repeated: states that were not newer than the one before.
        restarted: whether the robot's clock has begun anew.
        health: of the newest state; None before the first.
    """

    def __init__(self, messages: Messages, robot: RobotDescription, motor_index: Sequence[int]) -> None:
        """Read the states of a robot.

        Args:
            messages: that it speaks.
            robot: its joints.
            motor_index: of each actuator, the number of its motor on the wire.
        """
        self._struct = messages.state
        self._motor = np.array(motor_index)
        self._joint = np.array([robot.joint_names.index(each.joint) for each in robot.actuators])
        self._names = robot.actuator_names
        self._joints = len(robot.joints)
        self.refused = self.repeated = 0
        self.restarted = False
        self.health: Health | None = None
        self._joint_time: FloatArray | None = None

    def take(self, payload: bytes, arrival: float) -> RobotState | None:
        """The measurement of a payload that arrived at s; None if it is not to be believed."""
        try:
            frame = decode(self._struct, payload)
        except FrameError:
            self.refused += 1
            return None
        if not frame.sealed:
            self.refused += 1
            return None
        before, self_said = self.health, self._health(frame)
        if before is not None and not self._is_newer(self_said.tick, before.tick):
            self.repeated += 1
            return None
        self.health = self_said
        return self._state(frame, arrival, before)

    def _is_newer(self, tick: int, before: int) -> bool:
        if tick == before == 0:  # simulators that do not fill it in
            return True
        ahead = (tick - before) % TICKS
        if ahead >= TICKS // 2 and TICKS - ahead > RESTARTED:
            self.restarted = True
        return 0 < ahead < TICKS // 2

    def _health(self, frame: Frame) -> Health:
        fields, motors = frame.fields, frame.fields["motor_state"][self._motor]
        none = np.zeros(len(self._motor), np.int64)
        tick = int(fields["tick"])
        if self._struct is GO_STATE:
            battery = fields["bms_state"]
            charge = int(battery["soc"]) or None
            lost = motors["lost"].astype(np.int64)
            feet = fields["foot_force"].copy()
            return Health(tick, None, charge, int(battery["current"]), feet, lost, none)
        motor_state = motors["motorstate"].astype(np.int64)
        return Health(tick, int(fields["mode_machine"]), None, None, None, none, motor_state)

    def _state(self, frame: Frame, arrival: float, before: Health | None) -> RobotState:
        motors, imu = frame.fields["motor_state"][self._motor], frame.fields["imu_state"]
        return RobotState(
            arrival,
            self._of_joints(motors["q"]),
            self._of_joints(motors["dq"]),
            imu["quaternion"].astype(np.float64),
            imu["gyroscope"].astype(np.float64),
            imu["accelerometer"].astype(np.float64),
            joint_effort=self._of_joints(motors["tau_est"]),
            drives=self._report(frame, motors, arrival, before),
        )

    def _of_joints(self, values: NDArray[np.float32]) -> FloatArray:
        """(joints,), 0 where no motor is."""
        spread = np.zeros(self._joints)
        spread[self._joint] = values
        return spread

    def _report(
        self, frame: Frame, motors: NDArray[np.void], arrival: float, before: Health | None
    ) -> DriveReport:
        assert self.health is not None
        temperature = np.full(self._joints, np.nan)
        if self._struct is GO_STATE:
            temperature[self._joint] = motors["temperature"]
            voltage = float(frame.fields["power_v"])
        else:
            temperature[self._joint] = motors["temperature"].max(axis=1)
            voltage = float(np.median(motors["vol"]))
        faults = tuple(
            f"motor {name} reports state {word:#x}"
            for name, word in zip(self._names, self.health.motor_state, strict=True)
            if word
        )
        joint_time = self._joint_times(arrival, before)
        return DriveReport(joint_time, temperature, voltage or None, faults)

    def _joint_times(self, arrival: float, before: Health | None) -> FloatArray:
        """When each joint was measured, at the latest: what its motor missed is missing at the end."""
        assert self.health is not None
        times = np.full(self._joints, arrival)
        if before is not None and self._joint_time is not None:
            missed = np.clip(self.health.lost - before.lost, 0, None)
            oldest = self._joint_time[self._joint]
            times[self._joint] = np.maximum(arrival - STATE_PERIOD * missed, np.minimum(oldest, arrival))
        self._joint_time = times
        return times


def messages_of(robot: str, named: str | None) -> Messages | None:
    """The messages that a robot speaks, by their own name or by the robot's; None if neither tells."""
    return MESSAGES.get(named or ROBOTS.get(robot, ""))


ROBOTS = {"go2": "go", "b2": "go", "h1": "go", "g1": "hg", "h1_2": "hg"}
"""Names of robots, and of the messages that they speak."""
