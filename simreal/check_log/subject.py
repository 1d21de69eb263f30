"""What the checks look at: a log, and what is known of its robot."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError, nearest
from simreal.logs.robot_log import (
    APPLIED_CHANNELS,
    IMU_CHANNELS,
    JOINT_CHANNELS,
    ROBOT_TYPE,
    Channel,
    RobotLog,
)
from simreal.physics.model import compile_model
from simreal.robots.loader import Robot, load_robot, robot_names
from simreal.state import FloatArray

Rows = NDArray[np.int64]
MEASURED = (*JOINT_CHANNELS, *IMU_CHANNELS)
COMMANDS = (
    "commanded_voltage",
    "commanded_effort",
    "commanded_position",
    "commanded_velocity",
)

POLICY = ("observation", "action")
"""What a policy saw and chose: begins when it takes over, and bears the stamps of the states that it
saw, the same one again where nothing new had come."""


@dataclass
class Subject:
    """A log under inspection.

    Attributes:
        log: the log, whose commands bear the names of its robot's actuators if that is known.
        robot: its robot, if that is known.
        model: the robot's compiled model, if that is known.
        uniform: what `evenly` has made so far.
        again: share of the rows of each sensor's channel that repeat the row before, stamp and all:
            nothing new had come. The log is without them.
        rowless: channels of sensors, of commands and of what was applied without a single row. The log
            is without them.
    """

    log: RobotLog
    robot: Robot | None = None
    model: mujoco.MjModel | None = None
    uniform: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    again: dict[str, float] = field(default_factory=dict)
    rowless: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.robot is not None:
            self.log = self.log.named_as(self.robot.description)
        channels = {name: table for name, table in self.log.channels.items() if len(table)}
        self.rowless = tuple(
            name
            for name in self.log.channels
            if name not in channels and name in (*MEASURED, *COMMANDS, *APPLIED_CHANNELS)
        )
        for name, table in tuple(channels.items()):
            channels[name] = table.without_repeats()
            if name in MEASURED:
                self.again[name] = 1.0 - len(channels[name]) / len(table)
        self.log = replace(self.log, channels=channels)

    @cached_property
    def measured(self) -> dict[str, Channel]:
        """Channels of sensors."""
        return {name: table for name, table in self.log.channels.items() if name in MEASURED}

    @cached_property
    def commanded(self) -> dict[str, Channel]:
        """Channels of what was asked."""
        return {name: table for name, table in self.log.channels.items() if name in COMMANDS}

    @cached_property
    def clocked(self) -> dict[str, Channel]:
        """Channels whose stamps are their own."""
        return {name: table for name, table in self.log.channels.items() if name not in POLICY}

    @cached_property
    def stuck(self) -> tuple[str, ...]:
        """Joints whose positions stay one and the same, so that no model can be asked of the motion."""
        if "joint_position" not in self.log:
            return ()
        table = self.log["joint_position"]
        still = np.ptp(table.values, axis=0) == 0
        return tuple(name for name, rests in zip(table.names, still, strict=True) if rests)

    @cached_property
    def unasked(self) -> set[str]:
        """Joints that are commanded, but one and the same all along."""
        changes = {False: set[str](), True: set[str]()}
        for channel, table in self.commanded.items():
            moves = np.ptp(table.values, axis=0) > 0
            for joint, moved in zip(self.log.joints_of(channel), moves, strict=True):
                changes[bool(moved)].add(joint)
        return changes[False] - changes[True]

    @property
    def unknown_robot(self) -> str:
        """What is said where no robot is known: of a name that is none, the nearest."""
        name = self.log.robot or self.log.provenance.get(ROBOT_TYPE)
        if name is None:
            return "the robot is not known"
        return f"no robot {name!r} is known: {nearest(name, robot_names())}"

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """Faults that the log itself tells of, with their times."""
        told = (event for event in self.log.events if event.check is not None)
        return tuple(f"{event.text} (at {event.time:.2f} s)" for event in told)

    @property
    def notes(self) -> list[str]:
        """What there is to know before any finding is read."""
        notes = [f"the log tells of a fault: {fault}" for fault in self.faults]
        if self.robot is None:
            notes.append(f"limits and model are not asked (--robot NAME): {self.unknown_robot}")
        return notes

    def evenly(self, name: str) -> tuple[FloatArray, FloatArray]:
        """(n,) times in even steps of the median one, and (n, columns) values there, by lines."""
        if name not in self.uniform:
            table = self.log[name]
            step = float(np.median(np.diff(table.time)))
            time = table.time[0] + step * np.arange(max(round(float(np.ptp(table.time)) / step), 1))
            self.uniform[name] = time, self.log.at(name, time)
        return self.uniform[name]


def make_subject(log: RobotLog, robot: str | None = None) -> Subject:
    """Find the robot of a log, and hold the log against it.

    Args:
        log: the log.
        robot: name of the robot; the log's own if None.

    Raises:
        UserError: no such robot, or the log is of another one.
    """
    if robot is not None and robot not in robot_names():
        raise UserError(f"no robot {robot!r}: {nearest(robot, robot_names())}")
    if robot is not None:
        log.refuse_other_robot(robot)
    name = robot or log.robot or log.provenance.get(ROBOT_TYPE)
    if name is None or name not in robot_names():
        return Subject(log)
    found = load_robot(name)
    known = found.description.joint_names
    for joint in log.joint_names:
        if joint not in known:
            raise UserError(
                f"{log.source}: joint {joint!r} is not one of {name}: {nearest(joint, known)}"
            )
    return Subject(log, found, compile_model(found))
