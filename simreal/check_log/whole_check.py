"""Check that a log's file was closed: what was cut off lacks its end, and nobody knows how much."""

from simreal.check_log.finding import Finding
from simreal.check_log.subject import Subject


def whole(subject: Subject) -> Finding:
    """A file must end where its writer ended it."""
    if subject.log.complete:
        return Finding("whole", "pass", "the file is not cut off")
    ends = [float(table.time[-1]) for table in subject.log.channels.values() if len(table)]
    return Finding(
        "whole",
        "warn",
        f"the file is cut off or damaged: what is read is whole up to {max(ends, default=0.0):.2f} s",
        {"seconds": subject.log.duration},
        "what is here may be used; copy the file anew if the original is longer. Of a program that was "
        "killed, it is what had been flushed",
    )
