"""Tells what a run is in, a line each time that changes, where no terminal shows it live.

Started by `phase_lines` as ``python -m simreal.deploy.phase_lines``.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from simreal.deploy.broadcast import Attached, Broadcast, attach
from simreal.deploy.cycle import Event, event_of
from simreal.deploy.supervisor import Phase

PERIOD = 0.1
"""s between two looks."""
TOLD = {phase.value for phase in (Phase.RISING, Phase.RUNNING, Phase.HOLDING, Phase.DAMPING)}
"""A fault is told with its reason, when the run is over."""


@contextmanager
def phase_lines(broadcast: Broadcast) -> Iterator[None]:
    """Tell of a run on standard error while the context lasts."""
    process = broadcast.start("simreal.deploy.phase_lines")
    try:
        yield
    finally:
        process.communicate()


def line_of(event: Event) -> str | None:
    """What is told of an event; most are not."""
    if event.kind == "start":
        return "connected"
    return event.text if event.kind == "phase" and event.text in TOLD else None


def _tell(attached: Attached) -> None:
    for record in attached.events.take():
        if (line := line_of(event_of(record))) is not None:
            print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Tell of what standard input names, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    standard_input = os.fdopen(0, "rb", buffering=0)
    attached = attach(standard_input)
    while not select.select([standard_input], [], [], PERIOD)[0]:
        _tell(attached)
    _tell(attached)


if __name__ == "__main__":
    main()
