"""What the figures of identification share: where real logs lie, and small change."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from simreal.errors import UserError, nearest
from simreal.identification.unknowns import Asked, read_asked
from simreal.state import FloatArray

LOGS_VARIABLE = "SIMREAL_REAL_LOGS"


def real_logs(folder: Path | None) -> Path:
    """The folder of real logs.

    Raises:
        UserError: it is not there.
    """
    named = folder or os.environ.get(LOGS_VARIABLE)
    if not named or not Path(named).is_dir():
        raise UserError(
            f"{named or 'nowhere'}: no real logs; name their folder by --data or {LOGS_VARIABLE} "
            "(which logs: docs/development.md)"
        )
    return Path(named)


def asked_of(names: Sequence[str], by_group: Sequence[str] = ()) -> list[Asked]:
    """Unknowns by their names, as `simreal identify --parameters` reads them.

    Args:
        names: of the unknowns.
        by_group: of them, those that differ by group of logs.

    Raises:
        UserError: one of those is no unknown here, or cannot differ.
    """
    labels = [name.partition("=")[0].partition("@")[0] for name in names]
    for wanted in by_group:
        if wanted not in labels:
            raise UserError(f"--by-group {wanted}: {nearest(wanted, labels)}")
        if "@log" in names[labels.index(wanted)]:
            raise UserError(f"--by-group {wanted}: it differs by log already")
    return [
        read_asked(name.replace(label, f"{label}@group", 1) if label in by_group else name)
        for name, label in zip(names, labels, strict=True)
    ]


def refuse_unknown_parts(option: str, parts: Iterable[str], names: Sequence[str]) -> None:
    """What is to be held out must be there: nothing would be judged by a misspelt day.

    Args:
        option: that the parts were given by.
        parts: of names.
        names: of logs, or of groups of them.

    Raises:
        UserError: a part that is in no name.
    """
    words = {word.strip(",") for name in names for word in name.split()}
    for part in parts:
        if not any(part in name for name in names):
            raise UserError(f"{option} {part}: {nearest(part, words)}")


def rounded(values: FloatArray, digits: int = 4) -> list[float]:
    """Numbers for people."""
    return [round(float(value), digits) for value in values]
