"""Checks of single columns: numbers that are none, constant, repeated, clipped, coarse."""

import numpy as np
from numpy.typing import NDArray

from simreal.check_log.finding import Finding, Picture, verdict_of
from simreal.check_log.pictures import around
from simreal.check_log.subject import Rows, Subject
from simreal.logs.robot_log import JOINT_CHANNELS, Channel, describe_unbelievable, is_believable
from simreal.state import FloatArray

REPEATS_WARN, REPEATS_FAIL = 0.01, 0.1
"""Share of the samples in motion that merely repeat the one before."""
MOVING = 3.0
"""Quanta per sample, of the speed around a sample from which on it should differ from the one before."""
LEAP = 0.6
"""Share of the way missed that a reading catches up with after it was stale."""
STALE_WARN, STALE_FAIL = 0.05, 0.25
"""s that a moving joint's readings may stand still."""
CLIP_RUN = 4
"""Samples in a row at the very extreme of a column, to count as a flat top."""
OVERSHOOT = 0.04
"""Share of a column's range that the slopes beside a flat top lead beyond it, if it was cut off."""
CLIP_WARN, CLIP_FAIL = 1e-9, 0.02
"""Share of the samples on flat tops."""
FEW_STEPS = 40
"""Encoder steps within a joint's range of motion: fewer are too few to fit."""
BY_CHANCE = 20
"""Different values, below which all may be multiples of one that is itself several encoder steps."""
RESOLUTION_TOLERANCE = 0.02
"""By which share the step found may differ from that of the robot's description."""
SPARSE = 0.3
"""Share of rows without a number, from which on nobody thinks of readings that failed."""
MANY_LEVELS = 0.9
"""Different values per sample: with more, a column is not quantized as far as can be seen."""


def values(subject: Subject) -> Finding:
    """Sensors and commands must have rows, each value must be a number, and measured ones must vary."""
    constant: list[str] = []
    unasked: list[str] = []
    picture = None
    for name, table in subject.log.channels.items():
        faulty = ~is_believable(table.values)
        if faulty.any() and (name in subject.measured or name in subject.commanded):
            row, column = (int(index[0]) for index in np.nonzero(faulty))
            told = describe_unbelievable(table.values[row, column])
            return Finding(
                "values",
                "fail",
                f"{name} of {table.names[column]} is {told} in row {row}, at {table.time[row]:.3f} s "
                f"({int(faulty.sum())} such values)",
                {"not_numbers": float(faulty.sum())},
                _advice_for_faulty(faulty),
                around(table, column, row),
                blocks=True,
            )
        if name in subject.measured and len(table) > 1:
            still = np.ptp(table.values, axis=0) == 0
            if picture is None and still.any():
                column = int(np.argmax(still))
                picture = Picture(
                    table.units[column],
                    {f"{name} of {table.names[column]}": (table.time, table.values[:, column])},
                )
            for joint in (joint for joint, rests in zip(table.names, still, strict=True) if rests):
                held = name in JOINT_CHANNELS and joint in subject.unasked
                (unasked if held else constant).append(f"{name} of {joint}")
    numbers = {"constant": float(len(constant)), "rowless": float(len(subject.rowless))}
    single = [name for name, table in subject.measured.items() if len(table) == 1]
    faults = [f"not a single row: {', '.join(subject.rowless)}"] if subject.rowless else []
    faults += [f"one row alone: {', '.join(single)}"] if single else []
    if unasked and not constant and not faults:
        return Finding(
            "values",
            "warn",
            f"constant, like their commands: {_first_few(unasked)}",
            numbers,
            "a joint that rests says nothing of itself, not even whether its sensor works",
            picture,
        )
    if not constant and not faults:
        return Finding("values", "pass", "all numbers are finite, all readings vary", numbers)
    advice = "was it recorded? What shall not be looked at is better left out of the log's mapping"
    if constant:
        faults.append(f"constant from beginning to end: {_first_few(constant)}")
        advice = (
            "is the sensor connected? A joint that shall rest is better left out of the log's mapping"
        )
    if subject.faults:
        advice = f"the log tells of a fault: {subject.faults[0]}: mend that, and record anew"
    text = "; ".join(faults)
    return Finding("values", "fail", text, numbers, advice, picture, blocks=bool(single))


def _advice_for_faulty(faulty: NDArray[np.bool_]) -> str:
    if faulty.all(axis=1).mean() > SPARSE:
        return "is it recorded at another rate? Give it a file or an array of its own, with its own time"
    return "a reading that failed must be left out or marked; cut it out, or let the reader fill it"


def _first_few(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{', '.join(names[:4])}{more}"


def repeats(subject: Subject) -> Finding:
    """A joint in motion must not report one position twice: such a reading is stale."""
    if "joint_position" not in subject.log:
        return Finding("repeats", "skip", "no joint_position")
    table = subject.log["joint_position"]
    share, joint, longest, worst_rows = 0.0, "", 0, np.array([], dtype=np.int64)
    for name, position in zip(table.names, table.values.T, strict=True):
        rows, moving = _repeated(position)
        found, run = len(rows) / max(moving, 1), _longest_run(rows)
        if moving >= 20 and (found, run) > (share, longest):
            share, joint, longest, worst_rows = found, name, run, rows
    step = float(np.median(np.diff(table.time))) if len(table) > 1 else 0.0
    again = max(subject.again.values(), default=0.0)
    numbers = {"share": share, "longest_ms": 1e3 * longest * step, "again": again}
    if again > max(share, REPEATS_WARN):
        return Finding(
            "repeats",
            verdict_of(again, REPEATS_WARN, REPEATS_FAIL),
            f"{100 * again:.2g} % of the rows repeat the one before, stamp and all: nothing new came",
            numbers,
            "the robot answers more slowly than it is asked, or the link stalls; log readings once",
        )
    verdict = max(
        verdict_of(share, REPEATS_WARN, REPEATS_FAIL),
        verdict_of(longest * step, STALE_WARN, STALE_FAIL),
        key=("pass", "warn", "fail").index,
    )
    if verdict == "pass":
        return Finding("repeats", "pass", "readings are new while joints move", numbers)
    return Finding(
        "repeats",
        verdict,
        f"{joint} repeats {100 * share:.2g} % of its readings while it moves, for up to "
        f"{1e3 * longest * step:.3g} ms",
        numbers,
        "log each reading once, with the time at which it came; ask the bus faster than the log, or log "
        "more slowly",
        _position_picture(table, joint, worst_rows),
    )


def _repeated(position: FloatArray) -> tuple[Rows, int]:
    """Rows that repeat the one before though the joint moves, and the number of rows in motion.

    A run of equal readings is stale if the joint moves on both sides of it, one way, and catches up
    after it with the way that it seemed to rest. A joint that does rest for a moment does not leap.
    """
    if len(position) < 12:
        return np.array([], dtype=np.int64), 0
    quantum = quantum_of(position)
    floor = MOVING * quantum if quantum else 1e-4 * float(np.ptp(position)) + 1e-12
    moving = int(np.sum(np.abs(position[4:] - position[:-4]) / 4 > floor))
    edges = np.flatnonzero(np.diff(position) != 0)
    first, last = edges[:-1] + 1, edges[1:]  # of each run of equal readings
    inside = (last > first) & (first >= 2) & (last + 3 < len(position))
    first, last = first[inside], last[inside]
    into = (position[first] - position[first - 2]) / 2
    out = (position[last + 3] - position[last + 1]) / 2
    leap = position[last + 1] - position[last]
    missed = 0.5 * (into + out) * (last - first + 1)
    stale = (
        (into * out > 0)
        & (np.minimum(np.abs(into), np.abs(out)) > floor)
        & (leap * np.sign(missed) > LEAP * np.abs(missed))
    )
    rows = [np.arange(start + 1, end + 1) for start, end in zip(first[stale], last[stale], strict=True)]
    return np.concatenate(rows) if rows else np.array([], dtype=np.int64), moving


def _longest_run(rows: Rows) -> int:
    if len(rows) == 0:
        return 0
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return max(len(run) for run in runs)


def clipping(subject: Subject) -> Finding:
    """A sensor's reading must not stand at its extreme while the slopes beside it lead beyond."""
    share, where, shown = 0.0, "", None
    for name, table in subject.measured.items():
        for column, series in zip(table.names, table.values.T, strict=True):
            rows = _flat_tops(series)
            if len(rows) / len(series) > share:
                share = len(rows) / len(series)
                where = (
                    f"{name} of {column} at {series[rows[0]]:.4g} "
                    f"{table.units[table.names.index(column)]}"
                )
                spans = [(float(table.time[row]), float(table.time[row])) for row in rows[:200]]
                shown = Picture(name, {column: (table.time, series)}, spans)
    if shown is None:
        return Finding("clipping", "pass", "no reading stands at its extreme", {"share": 0.0})
    return Finding(
        "clipping",
        verdict_of(share, CLIP_WARN, CLIP_FAIL),
        f"{where} is cut off in {100 * share:.2g} % of its samples",
        {"share": share},
        "widen the sensor's range, or excite less; a hard stop was hit if the joint's position "
        "is cut off",
        shown,
    )


def _flat_tops(series: FloatArray) -> Rows:
    """Rows on flat tops: runs at the extreme that steep slopes lead into and out of."""
    span = float(np.ptp(series)) if len(series) > 8 else 0.0
    if span == 0.0:
        return np.array([], dtype=np.int64)
    found = []
    for extreme, sign in ((series.max(), 1.0), (series.min(), -1.0)):
        rows = np.flatnonzero(series == extreme)
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            first, last = int(run[0]), int(run[-1])
            if len(run) < CLIP_RUN or first < 3 or last > len(series) - 4:
                continue
            into = sign * (series[first - 1] - series[first - 3]) / 2
            out = sign * (series[last + 1] - series[last + 3]) / 2
            # Where two slopes meet halfway, if they went on.
            if min(into, out) * len(run) / 2 > OVERSHOOT * span:
                found.append(run)
    return np.concatenate(found) if found else np.array([], dtype=np.int64)


def encoder(subject: Subject) -> Finding:
    """The steps of a joint's encoder must be those of the robot, and small beside its motion."""
    if "joint_position" not in subject.log:
        return Finding("encoder", "skip", "no joint_position")
    table = subject.log["joint_position"]
    expected = subject.robot.config.sensing.encoder_resolution if subject.robot else 0.0
    numbers, coarse = {}, []
    for name, position in zip(table.names, table.values.T, strict=True):
        step = quantum_of(position)
        numbers[f"step_{name}"] = step
        if step and expected and abs(step / expected - 1) > RESOLUTION_TOLERANCE:
            ratio = step / expected
            whole = abs(ratio - round(ratio)) < RESOLUTION_TOLERANCE * ratio
            if whole and len(np.unique(position)) < BY_CHANCE:
                continue  # a joint that moved little need not have met every count
            hint = "; in degrees?" if abs(ratio * np.pi / 180 - 1) < RESOLUTION_TOLERANCE else ""
            return Finding(
                "encoder",
                "fail",
                f"{name} moves in steps of {step:.4g} rad, the robot's encoder in {expected:.4g}{hint}",
                numbers,
                "mend the unit or scale in the mapping, or the robot's encoder_resolution",
                _steps_picture(table, name, step),
            )
        if step and np.ptp(position) < FEW_STEPS * step:
            coarse.append(f"{name} ({np.ptp(position) / step:.0f} steps)")
    if coarse:
        text = f"few encoder steps in the whole motion: {', '.join(coarse)}"
        return Finding("encoder", "warn", text, numbers, "record with larger motions of these joints")
    steps = [step for name, step in numbers.items() if step]
    text = f"steps of {min(steps):.4g} rad" if steps else "no steps within the numbers' precision"
    return Finding("encoder", "pass", text + (", as described" if steps and expected else ""), numbers)


def quantum_of(series: FloatArray) -> float:
    """The step between the values that occur, or 0 if a column does not look quantized.

    The smallest distance of which nearly all others are whole multiples; float32 recordings blur it.
    """
    levels = np.unique(series[np.isfinite(series)])
    if not 3 <= len(levels) <= MANY_LEVELS * len(series):
        return 0.0
    blur = 1e-6 * float(np.abs(levels).max())
    distances = np.diff(levels)
    distances = distances[distances > 4 * blur]
    if len(distances) == 0:
        return 0.0
    step = float(np.median(distances[distances < 1.5 * distances.min()]))
    rest = np.abs(distances / step - np.round(distances / step))
    return step if np.mean(rest < 0.1 + 4 * blur / step) > 0.9 else 0.0


def _steps_picture(table: Channel, joint: str, step: float) -> Picture:
    """Where the joint goes some ten steps of its encoder."""
    position = table.column(joint)
    middle = int(np.argmin(np.abs(position - np.median(position))))
    away = np.abs(position - position[middle]) <= 10 * step
    first, last = middle, middle
    while first > 0 and away[first - 1] and middle - first < 200:
        first -= 1
    while last + 1 < len(position) and away[last + 1] and last - middle < 200:
        last += 1
    return Picture("rad", {joint: (table.time[first : last + 1], position[first : last + 1])})


def _position_picture(table: Channel, joint: str, rows: Rows) -> Picture:
    spans = [(float(table.time[max(row - 1, 0)]), float(table.time[row])) for row in rows[:200]]
    return Picture("rad", {joint: (table.time, table.column(joint))}, spans)
