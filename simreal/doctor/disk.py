"""Room for runs and logs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from simreal.doctor.diagnosis import Diagnosis

SCARCE = 2e9
"""Bytes: some training runs, or a day of logs at 50 Hz."""


def disk(root: Path) -> Iterator[Diagnosis]:
    """Free space where one stands now."""
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / 1e9:.1f} GB free here"
    if free < SCARCE:
        mend = "du -xh . | sort -h | tail  # what is large here?"
        yield Diagnosis("warning", "disk", f"{text}: a log ends when the disk is full", mend)
    else:
        yield Diagnosis("ok", "disk", text)
