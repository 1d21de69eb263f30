"""Check that a log holds something, and that its file was closed: what was cut off lacks its end."""

from simreal.check_log.finding import Finding
from simreal.check_log.subject import Subject

FEWEST_ROWS, SHORTEST = 20, 0.5
"""Rows, and s, of the longest channel of a sensor, below which most checks would say nothing."""


def whole(subject: Subject) -> Finding:
    """There must be something to check, and a file must end where its writer ended it."""
    lengths = [
        (len(table), float(table.time[-1] - table.time[0])) for table in subject.measured.values()
    ]
    if not lengths:
        had = ", ".join(subject.log.channels) or "none"
        return Finding(
            "whole",
            "fail",
            f"nothing to check: no row of a channel of sensors (channels: {had})",
            advice="which columns are joint_position and the like is said by a mapping (docs/logs.md)",
        )
    if not subject.log.complete:
        ends = [float(table.time[-1]) for table in subject.log.channels.values()]
        return Finding(
            "whole",
            "warn",
            f"the file is cut off or damaged: what is read is whole up to {max(ends):.2f} s",
            {"seconds": subject.log.duration},
            "what is here may be used; copy the file anew if the original is longer. Of a program that "
            "was killed, it is what had been flushed",
        )
    rows, seconds = (max(each) for each in zip(*lengths, strict=True))
    if rows < FEWEST_ROWS or 0 <= seconds < SHORTEST:
        return Finding(
            "whole",
            "warn",
            f"hardly anything to check: {rows} rows in {seconds:.3g} s",
            {"seconds": seconds},
            "what passes here was hardly looked at: record some seconds of motion",
        )
    return Finding("whole", "pass", "the file is not cut off")
