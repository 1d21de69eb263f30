"""A short test of how late this computer wakes a loop, with and without real-time priority."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from simreal.deploy.clock import Clock
from simreal.deploy.histogram import Histogram, Percentiles
from simreal.doctor.diagnosis import Diagnosis, Fitness, Status
from simreal.doctor.real_time import PRIORITY

RATE = 500.0
"""Hz."""
CYCLES = 500
LATE_MS = 1.0
"""99th percentile beyond which a loop at 100 Hz and more is in trouble: a tenth of its period."""
TOO_LATE_MS = 10.0
"""The same for the slowest loop, at 10 Hz."""
GONE_MS = 100.0
"""At most: for so long without a command, a robot goes passive or brakes by itself (`watchdog_ms`)."""
MEND = "top -o %CPU  # which programs take the processor?"


def timers(root: Path) -> Iterator[Diagnosis]:
    """Lateness of wake-ups, by scheduling policy; a loop has SCHED_FIFO, where that is allowed."""
    usual, real_time = lateness(os.SCHED_OTHER), lateness(os.SCHED_FIFO)
    yield judged("wake-up under SCHED_OTHER", usual, is_the_loops=real_time is None)
    yield judged("wake-up under SCHED_FIFO", real_time, is_the_loops=real_time is not None)


def judged(check: str, late: Percentiles | None, is_the_loops: bool) -> Diagnosis:
    """What lateness means for a loop.

    Args:
        check: its name.
        late: None if the scheduling policy was refused.
        is_the_loops: whether a control loop would be scheduled so; else nothing depends on it.
    """
    if late is None:
        return Diagnosis("note", check, "not tested: this user may not have it, see above")
    text = (
        f"late by {late['p50_ms']:.3f} ms (p50), {late['p99_ms']:.3f} ms (p99), "
        f"{late['max_ms']:.3f} ms at most, of {late['count']} at {RATE:g} Hz"
    )
    fit, means = _fitness(late["p99_ms"], late["max_ms"])
    if fit == "real time":
        return Diagnosis("ok", check, text, fit=fit if is_the_loops else None)
    if not is_the_loops:
        return Diagnosis("warning", check, f"{text}: {means}, had it no real-time priority", MEND)
    status: Status = "warning" if fit == "slow rates" else "problem"
    return Diagnosis(status, check, f"{text}: {means}", MEND, fit)


def _fitness(p99_ms: float, max_ms: float) -> tuple[Fitness, str]:
    if max_ms > GONE_MS:
        return (
            "nothing",
            f"a robot would go passive in mid-run, as after {GONE_MS:g} ms unheard",
        )
    if p99_ms > TOO_LATE_MS:
        return "nothing", "too late for any loop"
    if p99_ms > LATE_MS or max_ms > TOO_LATE_MS:
        return "slow rates", "too late for a loop at 100 Hz, bearable at 10 Hz"
    return "real time", ""


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
