"""A copy of the test's process, for what that must not do itself; a fresh one imports torch anew.

A copy has none of the process's other threads, and may wait for ever for what one of them held. Tests
keep torch at one thread, so that there is none that holds anything.
"""

import multiprocessing
from collections.abc import Callable

PATIENCE = 100.0
"""s, on a busy machine."""


def in_a_copy(do: Callable[[], str]) -> tuple[int | None, str]:
    """Let a copy of this process do something.

    Returns:
        The copy's exit status, and what it said: nothing if it was killed, or raised (status 1).
    """
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: there.send(do()))
    process.start()
    there.close()
    try:
        if here.poll(PATIENCE):
            said = here.recv()
        else:
            process.kill()
            said = "it hangs"
    except EOFError:
        said = ""
    process.join(PATIENCE)
    process.kill()
    process.join()
    return process.exitcode, said
