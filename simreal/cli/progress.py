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
    """Tell what is being done, and how many of all are done.

    Args:
        total: how many there are.
        unit: what they are.
    """
    told_at = time.monotonic()
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def show(what: str, done: int) -> None:
            nonlocal told_at
            bar.update(task, description=what, completed=done)
            now = time.monotonic()
            if not errors.is_terminal and now - told_at >= SECONDS_APART:
                told_at = now
                errors.print(f"{what}: {done} of {total} {unit}", soft_wrap=True)

        yield show
