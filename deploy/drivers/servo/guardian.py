"""A watchdog outside of the control process, for servos that have none of their own.

It is a process that shares the open port and hears a beat with each command. When the beats stop, or
the control process dies (by SIGKILL, too), it sends the frames that make the servos passive. Beats may
stop more than once: who was stopped goes on later, and gives the servos power anew. It cannot help where
the computer itself dies, or the cable is pulled out. It imports nothing but the standard library, so
that it is there within some 20 ms.

Started as ``python guardian.py PORT_FD PIPE_FD TIMEOUT_S FRAME...`` with frames in hexadecimal digits.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable

BEAT, REST, LEAVE = b"b", b"r", b"l"
"""A command was sent; the motors are passive; the control process ends in good order."""
REPEATS, PAUSE = 4, 0.01
"""Frames are not acknowledged: they are sent so often, s apart."""


def watch(pipe: int, timeout: float, let_go: Callable[[], None]) -> None:
    """Make the servos passive each time that they must be, until the control process ends.

    Args:
        pipe: on which beats arrive.
        timeout: s between beats.
        let_go: makes the servos passive.
    """
    beats, at_rest = False, True
    while True:
        ready, _, _ = select.select([pipe], [], [], timeout if beats else None)
        said = os.read(pipe, 4096) if ready else b""
        if said.endswith(LEAVE):
            return
        if said:
            beats = said.endswith(BEAT)
            at_rest = not beats
            continue
        if not at_rest:
            let_go()
        if ready:  # the end of the pipe
            return
        beats = False


def make_passive(port: int, frames: list[bytes]) -> None:
    """Send frames, again and again."""
    for _ in range(REPEATS):
        for frame in frames:
            with contextlib.suppress(OSError):
                os.write(port, frame)
        time.sleep(PAUSE)


def main() -> None:
    """Watch over one control process."""
    port, pipe, timeout, *frames = sys.argv[1:]
    passive = [bytes.fromhex(frame) for frame in frames]
    watch(int(pipe), float(timeout), lambda: make_passive(int(port), passive))


if __name__ == "__main__":
    main()
