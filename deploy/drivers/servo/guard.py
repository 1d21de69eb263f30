"""The control process's end of its guardian; see `guardian`."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from simreal.deploy.drivers.driver import DriverError
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
        self._at_rest = True
        os.set_blocking(self._pipe, False)

    def beat(self) -> None:
        """Say that a command is sent, if that was not said just now: each word wakes a process.

        Raises:
            DriverError: the guardian has ended, so that nobody would make the motors passive.
        """
        now = time.monotonic()
        if now >= self._next_beat:
            self._at_rest = False
            if not self._tell(guardian.BEAT):
                raise DriverError(
                    "the guardian has ended, which makes the servos passive if this program dies: "
                    "connect anew"
                )
            self._next_beat = now + self._rare

    def rest(self) -> None:
        """Say that the motors are passive."""
        self._next_beat = 0.0
        self._at_rest = True
        self._tell(guardian.REST)

    def _tell(self, word: bytes) -> bool:
        """Say something to it; whether it is there."""
        try:
            os.write(self._pipe, word)
        except BlockingIOError:  # it is behind, and has enough to read
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let it end; it makes motors passive that are not yet. May be called twice."""
        if self._at_rest:
            self._tell(guardian.LEAVE)
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
