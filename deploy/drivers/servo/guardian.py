"""A watchdog outside of the control process, for servos that have none of their own.

It is a process that shares the open port and hears a beat with each command. When the beats stop, or
the control process dies (by SIGKILL, too), it sends the frames that make the servos passive. It cannot
help where the computer itself dies, or the cable is pulled out. It imports nothing but the standard
library, so that it is there within some 20 ms.

Started as ``python guardian.py PORT_FD PIPE_FD TIMEOUT_S FRAME...`` with frames in hexadecimal digits.
"""

import contextlib
import os
import select
import sys
import time

BEAT, REST, LEAVE = b"b", b"r", b"l"
"""A command was sent; the motors are passive; the control process ends in good order."""
REPEATS, PAUSE = 4, 0.01
"""Frames are not acknowledged: they are sent so often, s apart."""


def watch(pipe: int, timeout: float) -> bool:
    """Wait for the end; whether the servos must be made passive.

    Args:
        pipe: on which beats arrive.
        timeout: s between beats.
    """
    armed = False
    while True:
        ready, _, _ = select.select([pipe], [], [], timeout if armed else None)
        said = os.read(pipe, 4096) if ready else b""
        if not ready:
            return True
        if not said:
            return armed
        if said.endswith(LEAVE):
            return False
        armed = said.endswith(BEAT)


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
    if watch(int(pipe), float(timeout)):
        make_passive(int(port), [bytes.fromhex(frame) for frame in frames])


if __name__ == "__main__":
    main()
