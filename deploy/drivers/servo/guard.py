"""The control process's end of its guardian; see `guardian`."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from simreal.deploy.drivers.servo import guardian

BEATS = 8
"""In its time-out: it trips that much earlier or later than by the last command alone."""
PATIENCE = 1.0
"""s for it to end."""


class Guard:
    """A guardian while it is there.

    Attributes:
        process: the guardian.
    """

    def __init__(self, port: int, timeout: float, frames: Sequence[bytes]) -> None:
        """Start one.

        Args:
            port: open file on which the frames go out.
            timeout: s without a beat, after which they do.
            frames: that make the motors passive.
        """
        theirs, self._pipe = os.pipe()
        script = [str(guardian.__file__), str(port), str(theirs), str(timeout)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", *script, *(frame.hex() for frame in frames)],
            pass_fds=[port, theirs],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for the controller alone
        )
        os.close(theirs)
        self._rare, self._next_beat = timeout / BEATS, 0.0
        os.set_blocking(self._pipe, False)

    def beat(self) -> None:
        """Say that a command was sent, if that was not said just now: each word wakes a process."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + self._rare
            self.tell(guardian.BEAT)

    def rest(self) -> None:
        """Say that the motors are passive."""
        self._next_beat = 0.0
        self.tell(guardian.REST)

    def tell(self, word: bytes) -> None:
        """Say something to it; it may have ended."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, word)

    def close(self) -> None:
        """Let it end in good order; may be called twice."""
        if self.process.poll() is None:
            self.tell(guardian.LEAVE)
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
