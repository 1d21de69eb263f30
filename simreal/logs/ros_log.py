"""Logs of ROS: rosbag2 folders (sqlite3 or MCAP), lone MCAP or db3 files with CDR messages, ROS 1 bags.

Read are `sensor_msgs/msg/JointState` and `sensor_msgs/msg/Imu`. A topic of joint states whose name
holds a word of `ASKED` is what was asked, any other what was measured, unless a mapping tells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simreal.errors import UserError, missing_extra, nearest
from simreal.logs.mapping import BagMapping
from simreal.logs.robot_log import UNITS, Channel, RobotLog

JOINT_STATE, IMU = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Imu"
ASKED = ("command", "cmd", "desired", "target", "reference", "setpoint", "goal", "action", "leader")
"""In a topic's name."""
QUANTITIES = ("position", "velocity", "effort")
IMU_NAMES = {
    "orientation": ("w", "x", "y", "z"),
    "angular_velocity": ("x", "y", "z"),
    "linear_acceleration": ("x", "y", "z"),
}
NS = 10**9


@dataclass(slots=True)
class _Rows:
    """Rows of one channel as they come.

    Attributes:
        stamps: ns of the header, or of the bag where that is zero.
        logged: ns of the bag.
        values: by column.
    """

    stamps: list[int] = field(default_factory=list)
    logged: list[int] = field(default_factory=list)
    values: list[dict[str, float]] = field(default_factory=list)


def read_ros(path: Path, mapping: BagMapping | None = None) -> RobotLog:
    """Read joint states and IMU of a bag.

    Args:
        path: of it.
        mapping: what is read of it; all of these types if None.

    Raises:
        UserError: no bag, cut off, no such topics or joints, no numbers, or several topics for one
            thing.
    """
    mapping = mapping or BagMapping()
    found: dict[str, dict[str, _Rows]] = {}
    unread: set[str] = set()
    empty: set[str] = set()
    joints: set[str] = set()
    for topic, kind, logged, message in _messages(path, mapping, unread):
        stamp = message.header.stamp.sec * NS + message.header.stamp.nanosec or logged
        if kind == JOINT_STATE:
            joints.update(message.name)
            entries = _joints(path, topic, message, mapping)
        else:
            entries = _inertial(message)
        if not entries:
            empty.add(topic)
        for channel, values in entries.items():
            rows = found.setdefault(channel, {}).setdefault(topic, _Rows())
            rows.stamps.append(stamp)
            rows.logged.append(logged)
            rows.values.append(values)
    absent = [name for name in mapping.joints or () if joints and name not in joints]
    if absent:
        raise UserError(f"{path}: no joint {absent[0]!r} in its messages: {nearest(absent[0], joints)}")
    if empty and not found:
        raise UserError(f"{path}: messages of {', '.join(sorted(empty))} hold no numbers")
    if not found:
        others = f"; it has {', '.join(sorted(unread)[:6])}" if unread else ""
        raise UserError(f"{path}: no message of type {JOINT_STATE} or {IMU}{others}")
    log = RobotLog(path.name, robot=mapping.robot)
    log.start_ns = min(rows.stamps[0] for tellers in found.values() for rows in tellers.values())
    for channel, tellers in found.items():
        if len(tellers) > 1:
            likely = min(tellers, key=lambda topic: ("state" not in topic, topic))
            raise UserError(
                f"{path}: several topics for {channel}: {', '.join(sorted(tellers))}: choose by a "
                f"--mapping file that says topics: [{likely}], or commands: [...] where one is what was "
                "asked"
            )
        [rows] = tellers.values()
        log.channels[channel] = _channel(channel, rows, log.start_ns)
    _share_clocks(log)
    first = log.first(("joint_position", "joint_velocity", "joint_effort", "commanded_position"))
    log.joint_names = log[first].names if first else ()
    log.actuator_joints = {name: name for name in log.joint_names}
    if unread:
        log.provenance["unread_topics"] = ", ".join(sorted(unread))
    return log


def _messages(path: Path, mapping: BagMapping, unread: set[str]) -> Iterator[tuple[str, str, int, Any]]:
    """Topic, type, ns and message; of other topics, their names."""
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError:
        raise missing_extra("rosbags", "logs") from None
    try:
        # Old bags carry no definitions: then the messages of a long-term release are meant.
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            wanted = [each for each in reader.connections if each.msgtype in (JOINT_STATE, IMU)]
            known = {each.topic for each in wanted}
            topics = mapping.topics
            for topic in (*(topics or ()), *(mapping.commands or ())):
                if topic not in known:
                    raise UserError(f"{path}: no topic {topic!r} to read: {nearest(topic, known)}")
            wanted = [each for each in wanted if topics is None or each.topic in topics]
            unread |= {f"{c.topic} ({c.msgtype})" for c in reader.connections if c not in wanted}
            if not wanted:
                return  # an empty choice would mean all
            for connection, logged, raw in reader.messages(connections=wanted):
                message = reader.deserialize(raw, connection.msgtype)
                yield connection.topic, connection.msgtype, int(logged), message
    except UserError:
        raise
    except (AnyReaderError, Exception) as error:  # of sqlite, of MCAP, of CDR: all mean the file
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: cut off, or no bag that can be read: {text}") from None


def _joints(path: Path, topic: str, message: Any, mapping: BagMapping) -> dict[str, dict[str, float]]:
    asked = any(word in topic.lower() for word in ASKED)
    if mapping.commands is not None:
        asked = topic in mapping.commands
    entries = {}
    if len(set(message.name)) != len(message.name):
        raise UserError(f"{path}: {topic}: two joints of one name: {', '.join(message.name)}")
    for quantity in QUANTITIES:
        values: Sequence[float] = getattr(message, quantity)
        if len(values):
            if len(values) != len(message.name):
                raise UserError(
                    f"{path}: {topic}: {len(values)} numbers of {quantity} for {len(message.name)} names"
                )
            channel = f"commanded_{quantity}" if asked else f"joint_{quantity}"
            told = dict(zip(message.name, map(float, values), strict=True))
            if mapping.joints is not None:
                told = {new: told[name] for name, new in mapping.joints.items() if name in told}
            if told:
                entries[channel] = told
    return entries


def _inertial(message: Any) -> dict[str, dict[str, float]]:
    entries = {}
    for channel, names in IMU_NAMES.items():
        covariance = getattr(message, f"{channel}_covariance")
        if covariance[0] != -1:  # -1 says that there is no such reading
            entries[channel] = {name: float(getattr(getattr(message, channel), name)) for name in names}
    return entries


def _channel(channel: str, rows: _Rows, start_ns: int) -> Channel:
    """Columns in the order in which names first came; a message without one leaves NaN."""
    names = tuple(dict.fromkeys(name for row in rows.values for name in row))
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows.values])
    stamps = (np.array(rows.stamps, dtype=np.int64) - start_ns) / NS
    logged = (np.array(rows.logged, dtype=np.int64) - start_ns) / NS
    same = bool((stamps == logged).all())
    return Channel(stamps, values, names, (UNITS[channel],) * len(names), None if same else logged)


def _share_clocks(log: RobotLog) -> None:
    """Channels of one topic share their times."""
    clocks: dict[bytes, tuple[Any, Any]] = {}
    for table in log.channels.values():
        key = table.time.tobytes() + (b"" if table.logged is None else table.logged.tobytes())
        table.time, table.logged = clocks.setdefault(key, (table.time, table.logged))
