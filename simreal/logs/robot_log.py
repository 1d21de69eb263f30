"""The one form that a robot's log takes in memory, whatever file it comes from.

A log is a set of named channels. A channel is a table: a time stamp per row, a name and a unit per
column. Channels have clocks of their own, since robots record at several rates; channels that were
recorded together share one array of times. All numbers are in SI units; readers convert.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract, RobotDescription
from simreal.errors import UserError, nearest
from simreal.state import IMU_WIDTHS, FloatArray

JOINT_CHANNELS = ("joint_position", "joint_velocity", "joint_effort")
"""Measured, a column for each joint: rad, rad/s, N·m (m, m/s, N where a joint slides)."""
COMMAND_CHANNELS = ("commanded_position", "commanded_velocity", "commanded_effort", "commanded_voltage")
"""What was asked, before any limit that acts outside of the controller; a column for each actuator."""
APPLIED_CHANNELS = ("applied_effort", "applied_voltage")
"""What is left of it after the amplifier's or the driver's limits; a column for each actuator."""
IMU_CHANNELS = tuple(IMU_WIDTHS)
"""orientation as a quaternion w, x, y, z; angular_velocity rad/s; linear_acceleration m/s²."""

UNITS = {
    "joint_position": "rad",
    "joint_velocity": "rad/s",
    "joint_effort": "N·m",
    "commanded_position": "rad",
    "commanded_velocity": "rad/s",
    "commanded_effort": "N·m",
    "commanded_voltage": "V",
    "applied_effort": "N·m",
    "applied_voltage": "V",
    "orientation": "",
    "angular_velocity": "rad/s",
    "linear_acceleration": "m/s²",
}
"""Unit of each standard channel, of joints that turn. Any other name is allowed, too."""
SLIDING = {"rad": "m", "rad/s": "m/s", "N·m": "N"}
"""Unit of a joint that turns to that of one that slides."""


ROBOT_TYPE = "robot_type"
"""Among the provenance: what the log's own makers call the robot, which need be no name of simreal's."""
LARGEST = 1e12
"""In SI units, beyond which nothing of a robot is measured or asked: a marker, or a damaged number."""


def is_believable(values: FloatArray) -> NDArray[np.bool_]:
    """Which values are numbers that a robot can have."""
    return np.asarray(np.abs(values) < LARGEST)


def describe_unbelievable(value: float) -> str:
    """What is said of a value that is not believable."""
    return f"{value:.3g}, beyond belief," if np.isfinite(value) else "no number"


def units_of(channel: str) -> tuple[str, ...]:
    """SI units that a standard channel may have: of joints that turn, and of those that slide."""
    own = UNITS[channel]
    return (own, SLIDING[own]) if own in SLIDING else (own,)


@dataclass(slots=True)
class Channel:
    """One table of a log.

    Attributes:
        time: (n,) s since the log's `start_ns`: when the row was measured, or was sent.
        values: (n, columns) numbers in SI units; NaN where there is none.
        names: of the columns: joints, actuators or axes.
        units: of the columns, such as ``rad/s``.
        logged: (n,) s, when the row reached whoever recorded it, or None if that was not kept.
    """

    time: FloatArray
    values: FloatArray
    names: tuple[str, ...]
    units: tuple[str, ...]
    logged: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.time), len(self.names)) or len(self.units) != len(self.names):
            raise ValueError(
                f"{self.values.shape} values, {len(self.time)} times, {len(self.names)} names, "
                f"{len(self.units)} units"
            )
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"two columns of one name: {self.names}")

    def __len__(self) -> int:
        return len(self.time)

    def column(self, name: str) -> FloatArray:
        """(n,) values of one column."""
        return self.values[:, self.names.index(name)]

    def rows(self, keep: slice | NDArray[Any]) -> "Channel":
        """Some of the rows."""
        logged = None if self.logged is None else self.logged[keep]
        return Channel(self.time[keep], self.values[keep], self.names, self.units, logged)

    def without_repeats(self) -> "Channel":
        """The rows that do not repeat the one before, stamp and all.

        A robot that does not answer in time leaves its last state to be logged once more: nothing new.
        """
        new = np.ones(len(self), dtype=bool)
        new[1:] = (np.diff(self.time) != 0) | np.any(np.diff(self.values, axis=0) != 0, axis=1)
        return self if new.all() else self.rows(new)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened once.

    Attributes:
        time: s since the log's `start_ns`.
        kind: such as ``start``, ``fault``, ``end``.
        text: what was said of it.
        check: of the supervisor, whose fault it tells of, or None.
    """

    time: float
    kind: str
    text: str
    check: str | None = None

    @classmethod
    def read(cls, time: float, kind: str, text: str, check: str | None = None) -> "LogEvent":
        """As a log tells of it: with "" for no check, with None if it is from before they were told."""
        return cls(time, kind, text, _check_in(kind, text) if check is None else check or None)


def _check_in(kind: str, text: str) -> str | None:
    """The check that a log names in the text alone, as those did of before it stood beside it."""
    found = re.match(r"fault, \w+: (\w+)(?=: |$)", text) if kind == "phase" else None
    return found and found[1]


@dataclass(slots=True)
class RobotLog:
    """One recording of one robot.

    Attributes:
        source: the file's name, and after a colon the run within it, for messages and tables.
        channels: by name; those of `UNITS`, and any other that the file holds, such as ``timing``.
        joint_names: in the order of the columns of every ``joint_`` channel.
        actuator_joints: actuator to joint; actuators are named like their joints where a log has no
            other names. Columns of commands may stand in another order, and be fewer: see `joints_of`.
        robot: name of the robot, if known.
        contract: of the policy that ran, if the log carries one.
        start_ns: ns since 1970 of second 0, or 0 if the log does not say.
        provenance: what is known of the recording, such as ``day`` and ``excitation``.
        events: in order of time.
        complete: False if the file was cut off; then this is what could be read.
    """

    source: str
    channels: dict[str, Channel] = field(default_factory=dict)
    joint_names: tuple[str, ...] = ()
    actuator_joints: dict[str, str] = field(default_factory=dict)
    robot: str | None = None
    contract: Contract | None = None
    start_ns: int = 0
    provenance: dict[str, str] = field(default_factory=dict)
    events: list[LogEvent] = field(default_factory=list)
    complete: bool = True

    def __contains__(self, channel: str) -> bool:
        return channel in self.channels

    def __getitem__(self, channel: str) -> Channel:
        """A channel.

        Raises:
            UserError: the log has none of this name.
        """
        if channel not in self.channels:
            raise UserError(f"{self.source}: no {channel}: {nearest(channel, self.channels)}")
        return self.channels[channel]

    def refuse_other_robot(self, robot: str) -> None:
        """Raise a `UserError` if the log says that it is of another robot than the one of this name."""
        if self.robot not in (None, robot):
            raise UserError(f"{self.source}: a log of robot {self.robot}, not of {robot}")

    def named_as(self, robot: RobotDescription) -> "RobotLog":
        """The log with the robot's names of actuators, where commands bear those of joints, as in ROS.

        A column is left as it is if it names an actuator, or a joint that none or several of them drive.
        """
        drives: dict[str, list[str]] = {}
        for each in robot.actuators:
            drives.setdefault(each.joint, []).append(each.name)
        channels = dict(self.channels)
        for channel in set(channels) & {*COMMAND_CHANNELS, *APPLIED_CHANNELS}:
            table = channels[channel]
            found = [
                [name] if name in robot.actuator_names else drives.get(joint, [])
                for name, joint in zip(table.names, self.joints_of(channel), strict=True)
            ]
            names = tuple(
                new[0] if len(new) == 1 and found.count(new) == 1 else name
                for name, new in zip(table.names, found, strict=True)
            )
            channels[channel] = replace(table, names=names)
        joints = {each.name: self.actuator_joints.get(each.name, each.joint) for each in robot.actuators}
        return replace(self, channels=channels, actuator_joints=joints)

    def first(self, names: Iterable[str]) -> str | None:
        """The first of these channels that the log has."""
        return next((name for name in names if name in self.channels), None)

    def joints_of(self, channel: str) -> tuple[str, ...]:
        """The joint of each column of a command: its actuator's, or that of the column's own name."""
        return tuple(self.actuator_joints.get(name, name) for name in self[channel].names)

    @property
    def duration(self) -> float:
        """Time from the first to the last stamp of any channel, s."""
        ends = [channel.time[[0, -1]] for channel in self.channels.values() if len(channel)]
        return float(np.max(ends) - np.min(ends)) if ends else 0.0

    def at(self, channel: str, time: FloatArray, hold: bool = False) -> FloatArray:
        """(n, columns) values of a channel at other times.

        Args:
            channel: name.
            time: (n,) s.
            hold: the last value before (as a command acts) instead of a line between two; before the
                first row its value stands.
        """
        table = self[channel]
        if hold:
            index = np.searchsorted(table.time, time, side="right") - 1
            return table.values[np.clip(index, 0, len(table) - 1)]
        columns = [np.interp(time, table.time, values) for values in table.values.T]
        return np.stack(columns, axis=1) if columns else np.empty((len(time), 0))

    def without_repeats(self) -> "RobotLog":
        """The log without rows that repeat the one before in their channel, stamp and all."""
        fresh = {name: table.without_repeats() for name, table in self.channels.items()}
        return replace(self, channels=fresh)

    def between(self, start: float, end: float) -> "RobotLog":
        """The part of all channels with start <= time < end, in s."""
        parts = {
            name: table.rows((table.time >= start) & (table.time < end))
            for name, table in self.channels.items()
        }
        return RobotLog(
            self.source,
            parts,
            self.joint_names,
            self.actuator_joints,
            self.robot,
            self.contract,
            self.start_ns,
            self.provenance,
            [event for event in self.events if start <= event.time < end],
            self.complete,
        )
