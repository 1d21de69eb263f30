"""A watch over a pseudo-terminal."""

import os
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from simreal.bench import terminal


def test_what_a_byte_takes_through_a_pseudo_terminal_is_told() -> None:
    begun = time.monotonic()
    with terminal.longest_wait(1) as end:
        waited = end()
    assert 0.0 < waited < time.monotonic() - begun


def test_of_several_bytes_the_longest_wait_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, ends, told = iter([0.0, 0.05, 0.0]), iter([False, False, True]), list[float]()
    read = os.read

    def late(file: int, count: int) -> bytes:
        time.sleep(next(waits))
        return read(file, count)

    monkeypatch.setattr(terminal, "hurry", lambda priority: None)
    monkeypatch.setattr(os, "read", late)
    pipe = SimpleNamespace(poll=lambda seconds: next(ends), send=told.append)
    terminal._measure(cast(Any, pipe), 1)
    assert told[0] >= 0.05
    assert next(waits, None) is None
