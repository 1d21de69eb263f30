"""Signals as flags, one within another."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simreal.signals import Interrupt, interrupt_flag


@pytest.fixture
def usual() -> Iterator[Any]:
    """As in a program of its own: what runs tests may ignore signals, as `nohup` does."""
    own = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = [(number, signal.signal(number, handler)) for number, handler in own.items()]
    yield signal.default_int_handler
    for number, handler in before:
        signal.signal(number, handler)


def test_the_first_signal_raises_all_flags_and_the_second_acts_as_usual(usual: Any) -> None:
    """As of a loop that lands its robot within a session: who asks twice does not want to wait."""
    with pytest.raises(KeyboardInterrupt), interrupt_flag() as session, interrupt_flag() as loop:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert loop.requested and session.requested
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)
    assert signal.getsignal(signal.SIGINT) is usual


def test_a_flag_that_was_not_raised_leaves_the_one_around_it_in_place() -> None:
    usual = signal.getsignal(signal.SIGTERM)
    with interrupt_flag() as session:
        with interrupt_flag() as loop:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert session.requested and not loop.requested
    assert signal.getsignal(signal.SIGTERM) is usual


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_that_is_closed_asks_to_end_and_then_a_second_signal_unwinds(second: int) -> None:
    """Motors are made passive as the stack unwinds: no signal but SIGKILL may skip that."""
    before = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), interrupt_flag() as flag:
        for _ in range(2):  # of the kernel, and of the shell
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert flag.requested
        os.kill(os.getpid(), second)
        time.sleep(1.0)
    assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)] == before


def test_what_nohup_started_survives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt_flag() as flag:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            assert not flag.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_a_flag_stays_down() -> None:
    found: list[Interrupt] = []

    def look() -> None:
        with interrupt_flag() as flag:
            found.append(flag)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert not found[0].requested and signal.getsignal(signal.SIGINT) is before
