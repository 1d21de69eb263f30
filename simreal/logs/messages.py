"""Robot logs: MCAP files with JSON messages, as `simreal deploy --log` writes them."""

import json
import struct
from dataclasses import dataclass, field
from io import BufferedReader, FileIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Message, Metadata
from mcap.stream_reader import StreamReader
from numpy.typing import NDArray
from zstandard import ZstdError

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.files import describe
from simreal.logs.header import HEADER

PROFILE = "simreal"
DAMAGE = (
    McapError,
    EOFError,
    ValueError,
    KeyError,
    OverflowError,
    MemoryError,
    RuntimeError,
    ZstdError,
    struct.error,
)
"""What the library, and the decompressors behind it, raise of bytes that are no records."""
CONTRACT_METADATA = "simreal.contract"
PROVENANCE_METADATA = "simreal.provenance"
TIMING_METADATA = "simreal.timing"
SHADOW = "shadow"
"""Among the provenance where everything ran and nothing was sent."""
_AXES = ("x", "y", "z")
_QUATERNION = ("w", "x", "y", "z")
IMU_AXES = {"orientation": _QUATERNION, "angular_velocity": _AXES, "linear_acceleration": _AXES}
"""Names of the numbers of each reading of an IMU."""
POSE_NAMES = (*_AXES, *(f"q{axis}" for axis in _QUATERNION))
"""Names of the numbers of an object's pose."""
TOPICS = {
    "/state": "simreal.RobotState",
    "/asked": "simreal.Asked",
    "/observation": "simreal.Observation",
    "/action": "simreal.Action",
    "/command": "simreal.RobotCommand",
    "/supervisor": "simreal.Supervision",
    "/timing": "simreal.Timing",
    "/event": "simreal.Event",
}


@dataclass(slots=True)
class LogMessages:
    """The messages of a log, topic by topic.

    Attributes:
        contract: of the policy that ran, if the log names one.
        provenance: what the log says of its making, such as the policy's digest; may be empty.
        times: topic to (n,) ns of log time.
        published: topic to (n,) ns of when the content was true.
        messages: topic to n message contents.
        header: all but the numbers of a log that was not recorded but written from memory.
        complete: whether the log was closed properly; if not, this is what could be read up to its
            last flush.
    """

    contract: Contract | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[int]] = field(default_factory=dict)
    published: dict[str, list[int]] = field(default_factory=dict)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    header: str | None = None
    complete: bool = False

    def array(self, topic: str, *keys: str) -> NDArray[np.float64]:
        """(n, width) numbers of a topic, below nested keys such as ``"joint_position"``."""
        rows = []
        for message in self.messages.get(topic, []):
            content: Any = message
            for key in keys:
                content = content[key]
            rows.append(list(content.values()) if isinstance(content, dict) else [content])
        return np.array(rows, dtype=np.float64)

    def events(self) -> list[str]:
        """``kind: text`` of each event."""
        return [f"{event['kind']}: {event['text']}" for event in self.messages.get("/event", [])]


def read_messages(path: str | PathLike[str]) -> LogMessages:
    """Read a log; of one that was cut off, as much as is whole.

    Raises:
        UserError: no such file, or no MCAP log.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such log")
    if describe(path) != "an MCAP log":
        raise UserError(f"{path}: {describe(path)}; expected an MCAP log")
    log, channels = LogMessages(), dict[int, Channel]()
    with _WholeReads(path) as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                _take(log, channels, record)
            log.complete = True
        except DAMAGE:
            log.complete = False  # cut off in the middle of a record, or damaged there
    return log


class _WholeReads(BufferedReader):
    """A file whose reads are whole or fail: the mcap library takes half a record for a record."""

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._left = path.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        # Asked before: a damaged length must not allocate gigabytes.
        if size is None or size > self._left:
            raise EOFError
        data = super().read(size)
        self._left -= len(data)
        return data


def _take(log: LogMessages, channels: dict[int, Channel], record: object) -> None:
    match record:
        case Channel():
            channels[record.id] = record
        case Metadata(name=name, metadata=metadata) if name == CONTRACT_METADATA:
            log.contract = Contract.from_json(metadata["contract"], "the log's contract")
        case Metadata(name=name, metadata=metadata) if name == PROVENANCE_METADATA:
            log.provenance = dict(metadata)
        case Metadata(name=name, metadata=metadata) if name == HEADER:
            log.header = metadata["log"]
        case Message():
            channel = channels[record.channel_id]
            if channel.message_encoding == "json":
                log.times.setdefault(channel.topic, []).append(record.log_time)
                log.published.setdefault(channel.topic, []).append(record.publish_time)
                log.messages.setdefault(channel.topic, []).append(json.loads(record.data))
        case _:
            pass
