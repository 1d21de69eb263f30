"""A copy of the test's process, for what that must not do itself; a fresh one imports torch anew."""

import multiprocessing
from collections.abc import Callable

PATIENCE = 100.0
"""s, on a busy machine."""


def in_a_copy(do: Callable[[], str]) -> tuple[int | None, str]:
    """Let a copy of this process do something.

    Returns:
        The copy's exit status, and what it said; an empty text of one that was killed.
    """
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: there.send(do()))
    process.start()
    there.close()
    try:
        said = here.recv() if here.poll(PATIENCE) else "it hangs"
    except EOFError:
        said = ""
    process.join(PATIENCE)
    process.kill()
    process.join()
    return process.exitcode, said
