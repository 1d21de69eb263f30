"""Logs in MCAP files of our own: those that `simreal deploy --log` records, and those written here.

A log that is written here has one topic for each channel, whose JSON messages keep each time and value
to the last bit, and a metadata record with all the rest.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, Writer

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.files import write_atomically
from simreal.logs.authority import AUTHORITY
from simreal.logs.header import HEADER, from_header, header_of
from simreal.logs.messages import PROFILE, SHADOW, LogMessages, read_messages
from simreal.logs.robot_log import UNITS, Channel, LogEvent, RobotLog
from simreal.state import FloatArray

STATE, COMMAND, EVENT, SUPERVISOR = "/state", "/command", "/event", "/supervisor"
STATE_CHANNELS = (
    "joint_position",
    "joint_velocity",
    "orientation",
    "angular_velocity",
    "linear_acceleration",
    "object_pose",
)
OTHER_TOPICS = {
    "/asked": "asked",
    "/observation": "observation",
    "/action": "action",
    "/timing": "timing",
}
TIMING_UNITS = {"late_ms": "ms", "compute_ms": "ms", "observation_age_ms": "ms"}
NS = 1e9


def read_mcap(path: Path) -> RobotLog:
    """Read a log, or as much of one that was cut off as is whole.

    Raises:
        UserError: no such file, no MCAP log, or one without our topics.
    """
    messages = read_messages(path)
    if messages.header is not None:
        return _written_here(messages, path)
    if not messages.times:
        raise UserError(
            f"{path}: no message of a simreal log{'' if messages.complete else ' before its cut'}"
        )
    return _recorded(messages, path)


def _written_here(messages: LogMessages, path: Path) -> RobotLog:
    log, channels = from_header(str(messages.header), str(path))
    for name, description in channels.items():
        rows = messages.messages.get(f"/{name}", [])
        names = tuple(description["names"])
        seen = [row.get("logged") for row in rows]
        log.channels[name] = Channel(
            np.array([row["time"] for row in rows], dtype=np.float64),
            np.array([_row(row["values"], names) for row in rows]).reshape(len(rows), len(names)),
            names,
            tuple(description["units"]),
            np.array(seen, dtype=np.float64) if rows and None not in seen else None,
        )
    log.complete = log.complete and messages.complete
    return log


def _row(values: dict[str, float | None], names: tuple[str, ...]) -> list[float]:
    """A message's values by name; what is absent or null is NaN."""
    found = (values.get(name) for name in names)
    return [np.nan if value is None else float(value) for value in found]


def _recorded(messages: LogMessages, path: Path) -> RobotLog:
    """A log of the control loop: the measured under `/state`, the command in the actuators' units."""
    log = RobotLog(path.name, contract=messages.contract, complete=messages.complete)
    log.start_ns = min(times[0] for times in messages.times.values() if times)
    if log.contract is not None:
        _name_robot(log, log.contract)
    log.provenance |= messages.provenance
    for topic in messages.messages:
        if topic == STATE:
            for key in STATE_CHANNELS:
                _add(log, messages, topic, key, key)
        elif topic == COMMAND:
            _add_command(log, messages)
        elif topic == SUPERVISOR:
            _add_authority(log, messages)
        elif topic in OTHER_TOPICS:
            _add(log, messages, topic, OTHER_TOPICS[topic], None)
    for at, event in zip(messages.times.get(EVENT, []), messages.messages.get(EVENT, []), strict=True):
        log.events.append(_event((at - log.start_ns) / NS, event))
    if not log.joint_names and "joint_position" in log:
        log.joint_names = log["joint_position"].names
    return log


def _event(time: float, content: dict[str, Any]) -> LogEvent:
    check = content.get("check")
    return LogEvent.read(
        time, str(content["kind"]), str(content["text"]), None if check is None else str(check)
    )


def _name_robot(log: RobotLog, contract: Contract) -> None:
    robot = contract.robot
    log.robot, log.joint_names = robot.name, robot.joint_names
    log.actuator_joints = {each.name: each.joint for each in robot.actuators}
    log.provenance = {"task": contract.provenance.task, "agent": contract.provenance.agent}


def _add(log: RobotLog, messages: LogMessages, topic: str, channel: str, key: str | None) -> None:
    rows = [message if key is None else message.get(key) for message in messages.messages[topic]]
    names = next((tuple(row) for row in rows if row), ())
    if not names:
        return
    sent = np.array(messages.published[topic], dtype=np.int64) - log.start_ns
    logged = np.array(messages.times[topic], dtype=np.int64) - log.start_ns
    values = np.array([_row(row or {}, names) for row in rows])
    log.channels[channel] = Channel(
        sent / NS,
        values,
        names,
        _units(log, channel, names),
        None if (sent == logged).all() else logged / NS,
    )


def _add_command(log: RobotLog, messages: LogMessages) -> None:
    """Actuators of several kinds make several channels."""
    _add(log, messages, COMMAND, "command", None)
    if log.contract is None or "command" not in log:
        return
    table = log.channels.pop("command")
    kinds = {each.name: each.command for each in log.contract.robot.actuators}
    for kind in dict.fromkeys(kinds.get(name, "other") for name in table.names):
        columns = [n for n, name in enumerate(table.names) if kinds.get(name, "other") == kind]
        names = tuple(table.names[n] for n in columns)
        channel = f"commanded_{kind}"
        log.channels[channel] = Channel(
            table.time, table.values[:, columns], names, _units(log, channel, names), table.logged
        )


def _add_authority(log: RobotLog, messages: LogMessages) -> None:
    """Of each cycle's command; 0 where the robot was damped, held, switched off or left alone.

    So it is all along in a shadow run, whose commands were never sent.
    """
    sent = not messages.provenance.get(SHADOW)
    rows = [[float(message.get("authority") or 0.0) * sent] for message in messages.messages[SUPERVISOR]]
    time = (np.array(messages.published[SUPERVISOR], dtype=np.int64) - log.start_ns) / NS
    log.channels[AUTHORITY] = Channel(time, np.array(rows), (AUTHORITY,), ("",))


def _units(log: RobotLog, channel: str, names: tuple[str, ...]) -> tuple[str, ...]:
    if channel == "timing":
        return tuple(TIMING_UNITS.get(name, "") for name in names)
    slides = set()
    if log.contract is not None:
        slides = {joint.name for joint in log.contract.robot.joints if joint.unit == "m"}
    of_joint = log.actuator_joints
    unit = UNITS.get(channel, "")
    linear = unit.replace("rad", "m").replace("N·m", "N")
    return tuple(linear if of_joint.get(name, name) in slides else unit for name in names)


def write_mcap(log: RobotLog, path: Path) -> list[str]:
    """Write a log as JSON messages that Foxglove plots.

    Returns:
        What is lost: numbers that are infinite, which JSON has no word for.
    """
    losses = [
        f"{name}: {int(np.isinf(table.values).sum())} infinite numbers become NaN"
        for name, table in log.channels.items()
        if np.isinf(table.values).any()
    ]
    write_atomically(path, lambda temporary: _write(log, temporary))
    return losses


def _write(log: RobotLog, path: Path) -> None:
    # Times of messages may not be negative.
    first = min((float(table.time.min()) for table in log.channels.values() if len(table)), default=0.0)
    origin = max(log.start_ns, round(max(-first, 0.0) * NS))
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD)
        writer.start(profile=PROFILE, library="simreal")
        writer.add_metadata(HEADER, {"log": header_of(log)})
        for name, table in log.channels.items():
            schema = json.dumps(_schema(name, table.names)).encode()
            schema_id = writer.register_schema(f"simreal.{name}", "jsonschema", schema)
            channel = writer.register_channel(f"/{name}", "json", schema_id)
            for number in range(len(table)):
                at = origin + round(float(table.time[number]) * NS)
                writer.add_message(channel, at, json.dumps(_message(table, number)).encode(), at, number)
        writer.finish()  # type: ignore[no-untyped-call]


def _message(table: Channel, row: int) -> dict[str, Any]:
    message: dict[str, Any] = {
        "time": float(table.time[row]),
        "values": dict(zip(table.names, _finite(table.values[row]), strict=True)),
    }
    if table.logged is not None:
        message["logged"] = float(table.logged[row])
    return message


def _finite(values: FloatArray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _schema(title: str, names: tuple[str, ...]) -> dict[str, Any]:
    number = {"type": "number"}
    values = {"type": "object", "properties": dict.fromkeys(names, number)}
    return {"title": title, "type": "object", "properties": {"time": number, "values": values}}
