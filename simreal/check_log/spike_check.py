"""Checks of leaps: single readings where a joint cannot have been, and angles that wrap."""

import numpy as np

from simreal.check_log.finding import Finding, verdict_of
from simreal.check_log.pictures import around
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import Rows, Subject
from simreal.state import FloatArray

LONGEST = 0.05
"""s that a spike lasts: a joint may have been elsewhere for longer."""
MOST_ROWS = 3
"""Rows of one spike."""
AROUND = 10
"""Steps before a spike, and after it, that tell how far the joint goes in a step."""
HEIGHT = 8.0
"""Of a spike, over 3 in 4 of those steps, and over the changes of speed in 9 in 10 steps of the log."""
QUANTA = 8.0
"""Encoder steps that a spike is high, at least: an encoder itself may miss a few."""
FINEST = 0.01
"""Share of a joint's motion that a spike is high, at least."""
BACK = 0.3
"""Share of a spike's height by which the joint may be elsewhere after it."""
SPIKES_WARN, SPIKES_FAIL = 1e-9, 0.01
"""Share of the readings of the joint that has most."""
TURN_TOLERANCE = 0.5
"""rad by which a leap may differ from a turn: what the joint goes by meanwhile."""
SLOW_STEPS = 1.0
"""rad: if joints go further in a step, nothing tells a wrapped angle from a fast one."""


def wrapped(subject: Subject) -> Finding:
    """An angle must go on past half a turn: a leap of a whole turn is one that was wrapped."""
    if "joint_position" not in subject.log:
        return Finding("wrapped", "skip", "no joint_position")
    table = subject.log["joint_position"]
    for column, (joint, position) in enumerate(zip(table.names, table.values.T, strict=True)):
        rows = wraps_of(position) if table.units[column] == "rad" else np.array([], dtype=np.int64)
        if not len(rows):
            continue
        return Finding(
            "wrapped",
            "fail",
            f"{joint} leaps by a whole turn at {table.time[rows[0]]:.3f} s ({len(rows)} such leaps): "
            f"its angle is wrapped into {position.min():.3g} to {position.max():.3g} rad",
            {"wraps": float(len(rows))},
            "unwrap it before it is logged (numpy.unwrap does so), or log the encoder's own count",
            around(table, column, int(rows[0])),
            blocks=True,
        )
    return Finding("wrapped", "pass", "no angle leaps by a whole turn", {"wraps": 0.0})


def wraps_of(position: FloatArray) -> Rows:
    """Rows at which (n,) positions, rad, come out at the other side of a turn."""
    steps = np.abs(np.diff(position))
    turned = np.abs(steps - 2 * np.pi) < TURN_TOLERANCE
    if not turned.any() or np.ptp(position) > 2 * np.pi + 1e-3:
        return np.array([], dtype=np.int64)
    slow = turned.all() or steps[~turned].max() < SLOW_STEPS
    return np.flatnonzero(turned) + 1 if slow else np.array([], dtype=np.int64)


def spikes(subject: Subject) -> Finding:
    """No position may leap away and be back after a sample or a few: no joint does."""
    if "joint_position" not in subject.log:
        return Finding("spikes", "skip", "no joint_position")
    table = subject.log["joint_position"]
    found = {name: spikes_of(table.time, table.column(name)) for name in table.names}
    joint = max(found, key=lambda name: len(found[name]), default="")
    total = sum(len(rows) for rows in found.values())
    numbers = {"spikes": float(total), "share": len(found.get(joint, ())) / max(1, len(table))}
    if not total:
        return Finding("spikes", "pass", "no reading leaps away and back", numbers)
    rows, series = found[joint], table.column(joint)
    heights = np.abs(series[rows] - np.median(_around(series, rows), axis=1))
    highest = int(heights.argmax())
    zeros = int(np.sum(series[rows] == 0.0))
    count = f"{len(rows)} readings" if len(rows) > 1 else "one reading"
    text = f"{joint} leaps away and back in {count}, as no joint can: the most, by "
    text += f"{heights[highest]:.3g} rad, at {table.time[rows[highest]]:.3f} s"
    text += f"; {zeros} of them read 0" if zeros else ""
    text += f"; {total} such readings of all joints" if total > len(rows) else ""
    return Finding(
        "spikes",
        verdict_of(numbers["share"], SPIKES_WARN, SPIKES_FAIL),
        text,
        numbers,
        "readings that failed: let the driver leave them out or repeat them; check cable and bus",
        around(table, table.names.index(joint), int(rows[highest])),
    )


def _around(series: FloatArray, rows: Rows) -> FloatArray:
    """(rows, n) values within a few samples of each row."""
    near = rows[:, None] + np.arange(-AROUND, AROUND + 1)
    return np.asarray(series[np.clip(near, 0, len(series) - 1)])


def spikes_of(time: FloatArray, position: FloatArray) -> Rows:
    """Rows at which a position has leapt away from where it was just before and is just after.

    Args:
        time: (n,) s.
        position: (n,) rad.
    """
    steps = np.diff(position)
    if len(steps) < 4 * AROUND:
        return np.array([], dtype=np.int64)
    padded = np.pad(np.abs(steps), AROUND, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, AROUND)
    usual = np.quantile(np.abs(np.diff(steps)), 0.9)
    floor = max(HEIGHT * usual, QUANTA * quantum_of(position), FINEST * float(np.ptp(position)))
    found = set[int]()
    for length in range(1, MOST_ROWS + 1):
        first = np.arange(1, len(position) - length)
        away, back = steps[first - 1], steps[first + length - 1]
        height = np.minimum(np.abs(away), np.abs(back))
        apart = np.abs(position[first + length] - position[first - 1])
        around = np.concatenate([windows[first - 1], windows[first + length + AROUND]], axis=1)
        local = np.quantile(around, 0.75, axis=1)
        sudden = (
            (away * back < 0) & (height > np.maximum(floor, HEIGHT * local)) & (apart < BACK * height)
        )
        # All of it is far away, and for too short a time to have gone there.
        inside = [np.abs(position[first + row] - position[first]) for row in range(length)]
        sudden &= np.max(inside, axis=0) < BACK * height
        sudden &= (length == 1) | (time[first + length] - time[first - 1] < LONGEST)
        for row in _strays(position, first[sudden], length):
            found.update(range(row, row + length))
    return np.array(sorted(found), dtype=np.int64)


def _strays(position: FloatArray, first: Rows, length: int) -> Rows:
    """Those of the rows `first` from which on readings are further off than on either side of them.

    Between two spikes it is the sound readings that seem to leap away and back.
    """
    ends = np.stack([first - 1, first, first + length])
    away = np.abs(position[ends] - np.median(_around(position, first), axis=1))
    return np.asarray(first[away[1] > np.maximum(away[0], away[2])])
