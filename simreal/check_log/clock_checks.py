"""Check of time stamps: do they run, and on one clock."""

import numpy as np

from simreal.check_log.command_clock import ONE_CLOCK, command_clock
from simreal.check_log.finding import Finding
from simreal.check_log.following import seconds_ahead, seconds_behind
from simreal.check_log.pictures import steps_picture
from simreal.check_log.subject import Subject
from simreal.state import FloatArray

LONG = 3.0
"""Median steps, from which on a step may be a jump."""
FITS = 3.0
"""Misfit of places and speeds across a long step, over that of 95 % of the short ones, up to which
joints move on as if nothing had been left out."""
BY_CHANCE = 0.03
"""Share of the places in a log at which as much could be left out unnoticed: then nothing is known."""
SLOWEST = 0.9
"""s between two readings, from which on times are not believed to be in s."""
FINER_UNITS = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
LIKELY = 0.2
"""s between two readings, below which they may well be in that unit."""
APART_WARN = 0.05
"""Share of the duration by which channels may begin or end apart."""


def clock(subject: Subject) -> Finding:
    """Time stamps must grow, must not jump, and those of all channels must go together."""
    channels = subject.clocked
    for name, table in channels.items():
        steps = np.diff(table.time)
        if len(steps) and steps.min() <= 0:
            row = int(np.argmax(steps <= 0)) + 1
            back = "stands still" if steps[row - 1] == 0 else f"goes back by {-steps[row - 1]:.4g} s"
            return Finding(
                "clock",
                "fail",
                f"the time of {name} {back} in row {row}, at {table.time[row]:.3f} s",
                {"rows": float(np.sum(steps <= 0)), "largest_s": float(-steps.min())},
                "stamp samples with a monotonic clock; cut the log there, or sort it if rows are "
                "swapped",
                steps_picture(table, np.flatnonzero(steps <= 0)),
                blocks=True,
            )
    broken = slow(subject) or _jump(subject)
    if broken is not None:
        return broken
    starts = {name: float(table.time[0]) for name, table in channels.items() if len(table)}
    ends = {name: float(table.time[-1]) for name, table in channels.items() if len(table)}
    duration = max((ends[name] - starts[name] for name in starts), default=0.0)
    late = max(starts, key=starts.__getitem__, default="")
    early = min(ends, key=ends.__getitem__, default="")
    # Commands begin when somebody commands, and end when nobody does; sensors run all the time.
    sensors = [name for name in starts if name in subject.measured]
    first, last = (sorted(sensors, key=each.__getitem__) for each in (starts, ends))
    apart = max(
        (starts[first[-1]] - starts[first[0]], ends[last[-1]] - ends[last[0]]) if sensors else (0.0,)
    )
    numbers = {"duration": duration, "apart": apart}
    if starts and starts[late] > ends[early]:
        text = (
            f"{late} begins at {starts[late]:.6g} s, after {early} ends at {ends[early]:.6g} "
            "s: two clocks"
        )
        return Finding("clock", "fail", text, numbers, "record all channels on one clock", blocks=True)
    apart_told = command_clock(subject) or late_commands(subject) or _early_commands(subject)
    if apart_told is not None:
        return apart_told
    if apart > APART_WARN * duration:
        where = f"{first[-1]} last to begin, {last[0]} first to end"
        text = f"sensors begin or end {apart:.3g} s apart ({where})"
        advice = "start and stop all channels together; if they always differ, one of the clocks is off"
        return Finding("clock", "warn", text, numbers, advice)
    return Finding("clock", "pass", f"times grow over {duration:.4g} s", numbers)


def slow(subject: Subject) -> Finding | None:
    """Sensors that are read about once a second or more seldom: nobody does, but times in ms look so."""
    steps = {
        name: float(np.median(np.diff(table.time)))
        for name, table in subject.measured.items()
        if len(table) > 2
    }
    name = max(steps, key=steps.__getitem__, default="")
    if not name or steps[name] < SLOWEST:
        return None
    step = steps[name]
    unit = next((unit for unit, of in FINER_UNITS.items() if step * of < LIKELY), "ns")
    return Finding(
        "clock",
        "fail",
        f"{name} comes every {step:.4g} s: are its times in {unit}? That would be "
        f"{1 / (step * FINER_UNITS[unit]):.4g} Hz",
        {"step_s": step},
        f"say it in the mapping, as time: {{..., unit: {unit}}}; a motion that is really seen so seldom "
        "tells nothing",
        steps_picture(subject.measured[name], np.array([], int)),
        blocks=True,
    )


def late_commands(subject: Subject) -> Finding | None:
    """Position commands that are stamped after the motion that they cause."""
    ahead = seconds_ahead(subject)
    if ahead is None:
        return None
    text = f"all joints move {ahead:.2g} s before they are told: two clocks, or commands stamped late"
    return _stamped_apart(text, {"ahead_s": ahead})


def _early_commands(subject: Subject) -> Finding | None:
    """Position commands that are stamped long before the motion that they cause."""
    behind = seconds_behind(subject)
    if behind is None:
        return None
    text = (
        f"all joints move {behind:.2g} s after they are told: two clocks, or commands that wait in a "
        "queue after they are stamped"
    )
    return _stamped_apart(text, {"behind_s": behind})


def _stamped_apart(text: str, numbers: dict[str, float]) -> Finding:
    return Finding("clock", "fail", text, numbers, ONE_CLOCK, blocks=True)


def _jump(subject: Subject) -> Finding | None:
    """A long step across which all joints move on as across a short one.

    After a gap of that length joints would go on elsewhere, or at other speeds: how often they happen to
    fit, the rest of the log tells.
    """
    if "joint_position" not in subject.log or len(subject.log["joint_position"]) < 50:
        return None
    table = subject.log["joint_position"]
    steps = np.diff(table.time)
    usual = float(np.median(steps))
    for row in np.flatnonzero(steps > LONG * usual):
        if not 2 <= row < len(steps) - 2:
            continue
        missing = min(round(float(steps[row]) / usual), len(table) // 2)
        fits = _continuity(table.values, 1)[row - 2]
        by_chance = float(np.mean(_continuity(table.values, missing) <= max(fits, 1.0)))
        if fits < FITS and by_chance < BY_CHANCE:
            return Finding(
                "clock",
                "fail",
                f"the clock jumps by {steps[row]:.4g} s at {table.time[row]:.3f} s: all joints "
                "move on as if "
                f"it were one step; after so long, {100 * by_chance:.1f} % of them would by chance",
                {"jump_s": float(steps[row]), "at_s": float(table.time[row]), "by_chance": by_chance},
                "stamp samples with a monotonic clock that nothing sets; cut the log there",
                steps_picture(table, np.array([row])),
                blocks=True,
            )
    return None


def _continuity(position: FloatArray, missing: int) -> FloatArray:
    """How badly joints' places and speeds fit across `missing` steps, as if they were one.

    Args:
        position: (n, joints).
        missing: steps between the sample before and the one after.

    Returns:
        (n - missing - 4,) of the worst joint, for each row from 2 on; 1 is what 95 % of the single steps
        of the log stay below.
    """

    def misfits(apart: int) -> FloatArray:
        before = (position[2:] - position[:-2]) / 2  # at rows 2 and on
        first, last = before[: len(before) - apart - 2], before[apart + 2 :]
        here, there = position[2 : -apart - 2], position[2 + apart : -2]
        way = there - here - (first + last) / 2
        return np.stack([np.abs(way), np.abs(last - first)])

    usual = np.quantile(misfits(1), 0.95, axis=1, keepdims=True) + 1e-12
    return np.asarray(np.max(misfits(missing) / usual, axis=(0, 2)))
