"""Reads a log as it grows: each whole record once, as soon as it is in the file."""

import json
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from mcap.exceptions import EndOfFile
from mcap.records import Channel, Footer, Message, Metadata
from mcap.stream_reader import StreamReader

from simreal.contract import Contract
from simreal.errors import UserError
from simreal.files import describe
from simreal.logs.messages import CONTRACT_METADATA, DAMAGE

MAGIC_BYTES = 8
RECORD_HEADER = struct.Struct("<BQ")
"""Operation code and length of what follows."""
MOST_AT_ONCE = 4_000_000
"""Bytes read in one go."""

Entry = tuple[str, int, dict[str, Any]]
"""Topic, log time in ns, content of a message."""


class Follower:
    """Follows one log. Whoever writes it does not notice: the file is only read.

    Attributes:
        contract: of the policy, once it has been read.
        ended: whether the log was closed, so that nothing more will come.
        damaged: why the rest of it cannot be read, or None.
    """

    def __init__(self, path: Path) -> None:
        """Take a log's path.

        Raises:
            UserError: no such file, or no MCAP log.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such log")
        if describe(path) != "an MCAP log":
            raise UserError(f"{path}: {describe(path)}; expected an MCAP log")
        self.contract: Contract | None = None
        self.ended = False
        self.damaged: str | None = None
        self._path, self._place = path, MAGIC_BYTES
        self._channels: dict[int, Channel] = {}

    def read(self) -> Iterator[Entry]:
        """What has come since the last call, or a part of it."""
        with self._path.open("rb") as file:
            file.seek(self._place)
            data = file.read(MOST_AT_ONCE)
        whole = whole_records(data)
        if whole == 0 or self.ended or self.damaged:
            return
        self._place += whole
        try:
            for record in StreamReader(BytesIO(data[:whole]), skip_magic=True).records:
                yield from self._take(record)
        except EndOfFile:
            return  # of what is there so far; or of the footer, behind which magic is expected
        except DAMAGE as error:
            if not self.ended:
                self.damaged = str(error) or type(error).__name__

    def _take(self, record: object) -> Iterator[Entry]:
        match record:
            case Channel():
                self._channels[record.id] = record
            case Metadata(name=name, metadata=metadata) if name == CONTRACT_METADATA:
                self.contract = Contract.from_json(metadata["contract"], str(self._path))
            case Footer():
                self.ended = True
            case Message():
                channel = self._channels[record.channel_id]
                if channel.message_encoding == "json":
                    yield channel.topic, record.log_time, json.loads(record.data)


def whole_records(data: bytes) -> int:
    """Length of the records at the beginning of some bytes that are whole."""
    place = 0
    while place + RECORD_HEADER.size <= len(data):
        _, length = RECORD_HEADER.unpack_from(data, place)
        if place + RECORD_HEADER.size + length > len(data):
            break
        place += RECORD_HEADER.size + length
    return place
