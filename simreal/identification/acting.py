"""The parts of a recording in which its commands acted in full: the others teach nothing of a robot.

While a servo's authority grows it gives less than its command asks for, and a robot that is damped, held
or switched off obeys something that is not in the log. So does one before the first command and after
the last; and across a gap nothing says what became of it.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from simreal.contract import RobotDescription
from simreal.errors import UserError
from simreal.identification.recording import Recording, make_recording
from simreal.logs.authority import AUTHORITY, Span, full_authority
from simreal.logs.robot_log import RobotLog

SHORTEST = 0.5
"""s of a part that is worth a recording of its own, and of one that is worth leaving out."""
TOLD = 0.05
"""s that are left out, of which people hear: of a cycle or two, nobody needs to."""
LONGEST_GAP, GAP_PERIODS = 0.1, 3.0
"""s, and usual steps, between two measurements, beyond which both that part a recording."""


def acting_recordings(
    logs: Iterable[RobotLog], robot: RobotDescription, channel: str | None
) -> tuple[list[Recording], list[str]]:
    """Recordings of logs without what did not act in full or was not measured, and what was left out."""
    recordings: list[Recording] = []
    left_out = []
    for log in logs:
        recording = make_recording(log, robot, channel)
        if recording.repeated:
            left_out.append(
                f"{log.source}: {recording.repeated} rows of joint_position are dropped: they repeat "
                "the one before, stamp and all, since no answer came"
            )
        parts, said = acting_parts(log, recording)
        recordings += parts
        left_out += [said] if said else []
    return recordings, left_out


def acting_parts(log: RobotLog, recording: Recording) -> tuple[list[Recording], str]:
    """Parts of a recording in which commands acted in full and measurements came.

    Args:
        log: that it was made from.
        recording: whole.

    Returns:
        Recordings, and what was left out, for people; the whole one and nothing if all of it acted. A
        log that does not tell authority counts from its first command to its last.

    Raises:
        UserError: no command acted in full for long enough.
    """
    spans = full_authority(log)
    why = "commands did not act with full authority (it rose, or was damped, held or left alone)"
    if spans is None:
        spans, why = [_commanded(recording)], "nothing was commanded"
    acted = [_part(recording, span) for span in spans]
    whole_acted = sum(len(part.time) for part in acted) == len(recording.time)
    if whole_acted:  # but for a cycle here and there, in which nothing was measured
        acted = [recording]
    parts = [piece for part in acted for piece in _without_gaps(part)]
    kept = [part for part in parts if _is_worth_it(part)]
    if not kept:
        raise UserError(
            f"{log.source}: no command acted with full authority for {SHORTEST:g} s: nothing to fit to"
            if AUTHORITY in log and not any(map(_is_worth_it, acted))
            else f"{log.source}: nowhere are there {SHORTEST:g} s with commands and without a gap"
        )
    if len(kept) == 1 and len(kept[0].time) == len(recording.time):
        return [recording], ""
    if len(kept) > 1:
        kept = [replace(part, name=f"{part.name} {_said(part)}", of_log=part.name) for part in kept]
    whole = recording.time[-1] - recording.time[0]
    left = whole - sum(part.time[-1] - part.time[0] for part in kept)
    if left < TOLD:
        return kept, ""
    reasons = [] if whole_acted else [why]
    reasons += ["measurements are missing, or few between gaps"] if len(parts) > len(acted) else []
    return kept, (
        f"{log.source}: {', '.join(_said(part) for part in kept)} alone; left out are {left:.1f} of "
        f"{whole:.1f} s in which {', or '.join(reasons)}"
    )


def _is_worth_it(part: Recording) -> bool:
    return len(part.time) > 1 and bool(part.time[-1] - part.time[0] >= SHORTEST)


def _commanded(recording: Recording) -> Span:
    """From the first command to as long after the last as one has held; a short rest is not cut off."""
    sent, time = recording.command_time, recording.time
    begin, end = float(sent[0]), float(sent[-1] + np.diff(sent).max())
    return (
        begin if begin - time[0] > SHORTEST else float(time[0]),
        end if time[-1] - end > SHORTEST else float(time[-1]),
    )


def _without_gaps(part: Recording) -> list[Recording]:
    """A part, parted where measurements are missing."""
    steps = np.diff(part.time)
    if not len(steps):
        return [part]
    longest = max(LONGEST_GAP, GAP_PERIODS * float(np.median(steps)))
    after = np.flatnonzero(steps > longest) + 1
    edges = [0, *map(int, after), len(part.time)]
    return [_rows(part, slice(*pair)) for pair in pairwise(edges)]


def _part(recording: Recording, span: Span) -> Recording:
    first, last = (
        np.searchsorted(recording.time, span[0]),
        np.searchsorted(recording.time, span[1], "right"),
    )
    return _rows(recording, slice(int(first), int(last)))


def _rows(recording: Recording, rows: slice) -> Recording:
    """Some measurements; commands stay whole, since those before may act in them, too."""
    return replace(
        recording,
        time=recording.time[rows],
        position=recording.position[rows],
        velocity=None if recording.velocity is None else recording.velocity[rows],
    )


def _said(part: Recording) -> str:
    return f"{part.time[0]:.1f} to {part.time[-1]:.1f} s"
