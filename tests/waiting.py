"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable

PATIENCE = 60.0
"""s, on a busy machine."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Until it holds, or the test has failed."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
