"""A short test of how late this computer wakes a loop, with and without real-time priority."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from simreal.deploy.clock import Clock
from simreal.deploy.histogram import Histogram, Percentiles
from simreal.doctor.diagnosis import Diagnosis
from simreal.doctor.real_time import PRIORITY

RATE = 500.0
"""Hz."""
CYCLES = 500
LATE_MS = 1.0
"""99th percentile beyond which a loop at 100 Hz and more is in trouble."""


def timers(root: Path) -> Iterator[Diagnosis]:
    """Lateness of wake-ups, by scheduling policy."""
    for name, policy in (("SCHED_OTHER", os.SCHED_OTHER), ("SCHED_FIFO", os.SCHED_FIFO)):
        late = lateness(policy)
        check = f"wake-up under {name}"
        if late is None:
            yield Diagnosis("note", check, "not tested: this user may not have it, see above")
            continue
        text = (
            f"late by {late['p50_ms']:.3f} ms (p50), {late['p99_ms']:.3f} ms (p99), "
            f"{late['max_ms']:.3f} ms at most, of {late['count']} at {RATE:g} Hz"
        )
        if late["p99_ms"] <= LATE_MS:
            yield Diagnosis("ok", check, text)
        else:
            yield Diagnosis("warning", check, text, "top -o %CPU  # which programs take the processor?")


def lateness(policy: int, cycles: int = CYCLES) -> Percentiles | None:
    """Of wake-ups of a thread with that scheduling policy; None if it is refused."""
    histogram = Histogram()
    refused = []

    def measure() -> None:
        try:
            # 0 is the calling thread alone.
            os.sched_setscheduler(0, policy, os.sched_param(PRIORITY if policy else 0))
        except PermissionError:
            refused.append(policy)
            return
        clock = Clock(RATE)
        for _ in range(cycles):
            histogram.add(clock.wait() * 1e-9)

    thread = threading.Thread(target=measure, name="wake test")
    thread.start()
    thread.join()
    return None if refused else histogram.percentiles()
