"""How far a command has come: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

from simreal.cli_types import errors

SECONDS_APART = 10.0
"""Between two lines where there is no terminal."""


@contextmanager
def progress(total: int, unit: str = "episodes") -> Iterator[Callable[[str, int], None]]:
    """Tell what is being done, how many of all are done, and how long the rest will take.

    Args:
        total: how many there are.
        unit: what they are.
    """
    began = told_at = time.monotonic()
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def show(what: str, done: int) -> None:
            nonlocal told_at
            bar.update(task, description=what, completed=done)
            now = time.monotonic()
            if not errors.is_terminal and now - told_at >= SECONDS_APART:
                told_at = now
                left = time_left(now - began, done / total)
                errors.print(f"{what}: {done} of {total} {unit}{left}", soft_wrap=True)

        yield show


def time_left(seconds: float, share: float) -> str:
    """How long the rest takes at the pace so far, to be appended; empty if that is not known.

    Args:
        seconds: that have passed.
        share: that is done by now.
    """
    if not 0.0 < share < 1.0:
        return ""
    return to_go(seconds * (1.0 - share) / share)


def to_go(seconds: float) -> str:
    """So many s that are left, to be appended."""
    return f", about {duration_text(seconds)} to go"


def duration_text(seconds: float) -> str:
    """Such as ``2 h 10 min``."""
    minutes = max(1, round(seconds / 60.0))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
