"""The parts of a recording in which its commands acted in full: the others teach nothing of a robot.

While a servo's authority grows it gives less than its command asks for, and a robot that is damped, held
or switched off obeys something that is not in the log.
"""

from collections.abc import Iterable
from dataclasses import replace

from simreal.adapt.recording import Recording, make_recording
from simreal.contract import RobotDescription
from simreal.errors import UserError
from simreal.logs.authority import Span, full_authority
from simreal.logs.robot_log import RobotLog

SHORTEST = 0.5
"""s of a part that is worth a recording of its own."""


def acting_recordings(
    logs: Iterable[RobotLog], robot: RobotDescription, channel: str | None
) -> tuple[list[Recording], list[str]]:
    """Recordings of logs without what did not act in full, and what was left out."""
    recordings: list[Recording] = []
    left_out = []
    for log in logs:
        parts, said = acting_parts(log, make_recording(log, robot, channel))
        recordings += parts
        left_out += [said] if said else []
    return recordings, left_out


def acting_parts(log: RobotLog, recording: Recording) -> tuple[list[Recording], str]:
    """Parts of a recording in which commands acted in full.

    Args:
        log: that it was made from.
        recording: whole.

    Returns:
        Recordings, and what was left out, for people; the whole one and nothing if the log does not tell
        authority, or all of it acted.

    Raises:
        UserError: no command acted in full for long enough.
    """
    spans = full_authority(log)
    if spans is None:
        return [recording], ""
    parts = [_part(recording, span) for span in spans]
    kept = [part for part in parts if len(part.time) > 1 and part.time[-1] - part.time[0] >= SHORTEST]
    if not kept:
        raise UserError(
            f"{log.source}: no command acted with full authority for {SHORTEST:g} s: nothing to fit to"
        )
    if sum(len(part.time) for part in kept) == len(recording.time):
        return [recording], ""
    if len(kept) > 1:
        kept = [replace(part, name=f"{part.name} {_said(part)}") for part in kept]
    whole = recording.time[-1] - recording.time[0]
    left = whole - sum(part.time[-1] - part.time[0] for part in kept)
    return kept, (
        f"{log.source}: {', '.join(_said(part) for part in kept)} alone; left out are {left:.1f} of "
        f"{whole:.1f} s in which commands did not act with full authority (it rose, or was damped, "
        "held or left alone)"
    )


def _part(recording: Recording, span: Span) -> Recording:
    """Measurements within a span; commands stay whole, since those before it may act in it, too."""
    rows = (recording.time >= span[0]) & (recording.time <= span[1])
    return replace(
        recording,
        time=recording.time[rows],
        position=recording.position[rows],
        velocity=None if recording.velocity is None else recording.velocity[rows],
    )


def _said(part: Recording) -> str:
    return f"{part.time[0]:.1f} to {part.time[-1]:.1f} s"
