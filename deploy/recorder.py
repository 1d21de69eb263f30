"""Records a run: starts the process that writes its log, and says in the end what was lost."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simreal.deploy.broadcast import Broadcast
from simreal.deploy.log_writer import CLOSE
from simreal.errors import UserError

PATIENCE = 90.0
"""s until a writer that does not end is given up; the motors are passive by then. What it may have to
write still, 65,536 cycles of a Go2, takes some 10 s of a processor."""


class Recorder:
    """A log in the making.

    Attributes:
        lost: entries that are not in the log: dropped by the ring, or refused by the disk.
        failure: why the disk refused, or None. Both are known once it is closed.
    """

    def __init__(
        self,
        path: Path,
        broadcast: Broadcast,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Start the writer, and wait until it has opened the file.

        Args:
            path: of a file that is not there yet, or of a device.
            broadcast: what to record.
            metadata: what else the log shall say of itself, by name.

        Raises:
            UserError: the file cannot be made.
        """
        self.lost = 0
        self.failure: str | None = None
        self._broadcast = broadcast
        self._closed = False
        named = {"path": str(path.absolute()), "metadata": metadata or {}}
        self._process = broadcast.start("simreal.deploy.log_writer", **named)
        answer = self._answer()
        error = "the log's writer did not start" if answer is None else answer["error"]
        if error is not None:
            self._process.communicate()
            raise UserError(str(error).replace(str(path.absolute()), str(path)))

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        try:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError:
            return None
        return answer

    def close(self, timing: Mapping[str, Any] | None = None) -> None:
        """Let the writer write what is left, and the percentiles of the timing. Idempotent."""
        if self._closed:
            return
        self._closed = True
        line = CLOSE + b" " + json.dumps(timing or {}).encode() + b"\n"
        try:
            output, _ = self._process.communicate(line, PATIENCE)
            answer = json.loads(output)
            self.failure = answer["failure"]
            self.lost = self._broadcast.dropped + answer["lost"]
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            self._process.communicate()
            self.failure = "the log's writer was ended from outside, or hangs"
            self.lost = max(1, self._broadcast.dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
