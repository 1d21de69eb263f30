"""All of a log but its numbers, as JSON: what formats that know only columns keep beside them."""

import json
from typing import Any

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.logs.robot_log import Channel, LogEvent, RobotLog
from simreal.state import FloatArray

HEADER = "simreal.log"
"""Key under which formats keep it."""


def header_of(log: RobotLog) -> str:
    """Everything of a log but times and values."""
    return json.dumps(
        {
            "source": log.source,
            "joint_names": log.joint_names,
            "actuator_joints": log.actuator_joints,
            "robot": log.robot,
            "contract": None if log.contract is None else log.contract.to_json(),
            "start_ns": log.start_ns,
            "provenance": log.provenance,
            "events": [(each.time, each.kind, each.text, each.check or "") for each in log.events],
            "complete": log.complete,
            "channels": {
                name: {"names": table.names, "units": table.units, "rows": len(table)}
                for name, table in log.channels.items()
            },
        }
    )


def from_header(text: str, where: str) -> tuple[RobotLog, dict[str, dict[str, Any]]]:
    """A log without numbers, and names, units and number of rows of its channels.

    Raises:
        UserError: the header is damaged.
    """
    try:
        content = json.loads(text)
        contract = content["contract"]
        log = RobotLog(
            content["source"],
            {},
            tuple(content["joint_names"]),
            dict(content["actuator_joints"]),
            content["robot"],
            None if contract is None else Contract.from_json(contract, "the log's contract"),
            int(content["start_ns"]),
            dict(content["provenance"]),
            [LogEvent.read(*event) for event in content["events"]],
            bool(content["complete"]),
        )
        return log, dict(content["channels"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{where}: its {HEADER} header is damaged") from None


def same_times(one: FloatArray | None, other: FloatArray | None) -> bool:
    """Whether two arrays of times are the same to the last bit, or both are none."""
    if one is None or other is None:
        return one is other
    return one is other or one.tobytes() == other.tobytes()


def same_clock(one: Channel, other: Channel) -> bool:
    """Whether two channels have the same rows: were recorded together."""
    return same_times(one.time, other.time) and same_times(one.logged, other.logged)


def clock_groups(log: RobotLog) -> list[list[str]]:
    """Names of the channels, together with those of the same clock."""
    groups: list[list[str]] = []
    for name, table in log.channels.items():
        group = next((each for each in groups if same_clock(log.channels[each[0]], table)), None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups
