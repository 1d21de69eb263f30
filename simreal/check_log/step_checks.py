"""Checks of the steps between time stamps: are they even, and is none left out."""

import numpy as np

from simreal.check_log.finding import Finding, verdict_of
from simreal.check_log.pictures import steps_picture
from simreal.check_log.rounded_stamps import Steps, steps_of
from simreal.check_log.subject import Subject
from simreal.logs.robot_log import Channel

GAPS_WARN, GAPS_FAIL = 1e-9, 0.02
"""Share of the samples that is lost."""
LONGEST_GAP = 0.1
"""s, of a gap that spoils every window around it: fail."""
JITTER_WARN, JITTER_FAIL = 0.1, 0.5
"""Steps, between the 1st and the 99th percentile of the steps."""
COUNTED = 4 * float(np.finfo(np.float32).eps)
"""Share of the largest time by which stamps may leave an even grid and still count as counted: what is
left of it when single precision has rounded it."""
FEWEST = 11
"""Rows, whose steps say whether they are even."""


def gaps(subject: Subject) -> Finding:
    """No sample of a sensor may be missing."""
    lost, where, table, worst = 0, "", None, np.array([], dtype=np.int64)
    longest = 0.0
    for name, each in subject.measured.items():
        if len(each) < 2:
            continue
        steps, usual = np.diff(each.time), steps_of(each.time)
        rows = np.flatnonzero(steps > usual.longest)
        missing = int(np.maximum(np.round(steps[rows] / usual.typical) - 1, 0).sum())
        if missing > lost:
            lost, table, worst, longest = missing, each, rows, float(steps.max())
            where = (
                f"{name}, {len(rows)} gaps, the longest {longest * 1e3:.3g} ms at "
                f"{each.time[int(np.argmax(steps))]:.3f} s"
            )
    if table is None:
        return Finding("gaps", "pass", "no sample is missing", {"lost": 0.0})
    share = lost / (lost + len(table))
    return Finding(
        "gaps",
        "fail" if longest > LONGEST_GAP else verdict_of(share, GAPS_WARN, GAPS_FAIL),
        f"{lost} samples are missing ({100 * share:.2g} %): {where}",
        {"lost": float(lost), "share": share, "longest_ms": longest * 1e3},
        "record from a thread of its own and flush rarely; leave windows with a gap out of a fit",
        steps_picture(table, worst),
    )


def jitter(subject: Subject) -> Finding:
    """Steps between samples must be even, beyond what rounding of their stamps makes of them."""
    told = {name: table for name, table in subject.measured.items() if len(table) >= FEWEST}
    if not told:
        return Finding("jitter", "skip", "too few samples")
    found = {name: steps_of(table.time) for name, table in told.items()}
    name = max(found, key=lambda each: found[each].uneven / found[each].typical)
    steps, table = found[name], told[name]
    share, rate = steps.uneven / steps.typical, _rate(table, steps)
    numbers = {"rate_hz": 1 / steps.typical, "jitter_ms": 1e3 * steps.uneven, "share": share}
    if steps.unit:
        numbers["rounded_to_ms"] = 1e3 * steps.unit
    verdict = verdict_of(share, JITTER_WARN, JITTER_FAIL)
    if verdict == "pass":
        return Finding("jitter", "pass", f"even steps of {rate}", numbers)
    text = f"steps of {name} vary by {1e3 * steps.uneven:.3g} ms (1st to 99th percentile) at {rate}"
    advice = "read sensors on absolute deadlines, with real-time priority; stamp at the sensor"
    return Finding("jitter", verdict, text, numbers, advice, steps_picture(table, np.array([], int)))


def _rate(table: Channel, steps: Steps) -> str:
    """A channel's rate, and how its stamps were made."""
    rate = f"{1 / steps.typical:.4g} Hz"
    if steps.unit:
        to = f"{1e3 * steps.unit:g} ms"
        beside = f"beside what rounding stamps to {to} does"
        return f"{rate}, {beside if steps.uneven else f'as far as stamps rounded to {to} tell'}"
    grid = np.linspace(table.time[0], table.time[-1], len(table))
    counted = np.abs(table.time - grid).max() <= COUNTED * np.abs(table.time).max()
    return f"{rate}, stamps counted rather than measured" if counted else rate
