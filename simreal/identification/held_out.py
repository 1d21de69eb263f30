"""What identification fits to, and what it holds out: by excitation and day, never at random."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from simreal.errors import UserError, nearest
from simreal.identification.recording import Recording

LAST_PART = 0.7
"""Of a single recording, the share that is fitted to; the rest is held out."""


@dataclass(frozen=True, slots=True)
class Split:
    """What is fitted to, and what is held out to judge by: never a random choice of windows.

    Attributes:
        fitted: recordings to fit.
        held_out: recordings to predict.
        between: shares of those within which predicted windows lie.
        how: in words.
    """

    fitted: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    between: tuple[float, float]
    how: str


def split(recordings: Sequence[Recording], hold_out: Sequence[str]) -> Split:
    """Hold out whole groups of recordings, of an excitation and a day, by patterns of their names.

    Without patterns: the last group; of one group, its last recording; of one recording, its end.

    Raises:
        UserError: a pattern that matches nothing, or everything.
    """
    groups = list(dict.fromkeys(each.group for each in recordings))
    if hold_out:
        chosen = [each for each in recordings if _matches(each, hold_out)]
        for pattern in hold_out:
            if not any(_matches(each, [pattern]) for each in recordings):
                known = [*groups, *(each.name for each in recordings)]
                raise UserError(f"--hold-out {pattern}: no such log: {nearest(pattern, known)}")
        if len(chosen) == len(recordings):
            raise UserError("--hold-out: holds out every log; at least one is needed to fit to")
        how = "held out: " + ", ".join(dict.fromkeys(each.group for each in chosen))
    elif len(groups) > 1:
        chosen = [each for each in recordings if each.group == groups[-1]]
        how = f"held out: {groups[-1]}"
    elif len(recordings) > 1:
        chosen = [recordings[-1]]
        how = f"held out: {recordings[-1].name}, the last log; all are of one excitation and day"
    else:
        one = recordings[0]
        part = round(LAST_PART * len(one.time))
        velocity = None if one.velocity is None else one.velocity[:part]
        first = replace(one, time=one.time[:part], position=one.position[:part], velocity=velocity)
        return Split((first,), (one,), (LAST_PART, 1.0), f"held out: the last 30 % of {one.name}")
    rest = tuple(each for each in recordings if all(each is not other for other in chosen))
    return Split(rest, tuple(chosen), (0.0, 1.0), how)


def _matches(recording: Recording, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(text, pattern) or pattern in text
        for pattern in patterns
        for text in (recording.group, recording.name)
    )
