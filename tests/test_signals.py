"""Signals as flags, one within another."""

import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simreal.signals import LEAVES_MOTORS, Interrupt, interrupt_flag


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


def test_what_begins_after_a_signal_is_asked_to_end_from_its_beginning() -> None:
    """As the last flight of a session in which Ctrl-C came between two of them."""
    with interrupt_flag() as session:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        with interrupt_flag() as loop:
            assert loop.requested
    with interrupt_flag() as another:
        assert session.requested and not another.requested


ON_A_TERMINAL = """
import sys, time
from pathlib import Path
from simreal.signals import interrupt_flag
with interrupt_flag() as flag:
    print("ready", flush=True)
    while not flag.requested:
        time.sleep(0.01)
    for output in (sys.stdout, sys.stderr):
        print("over", file=output, flush=True)
    Path(sys.argv[1]).write_text("the books are kept")
"""


def test_to_print_on_a_terminal_that_was_closed_is_no_fault(tmp_path: Path) -> None:
    done = tmp_path / "done"
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", ON_A_TERMINAL, str(done)])
    assert b"ready" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitpid(child, 0)[1] == 0
    assert done.read_text() == "the books are kept"


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


def test_a_flag_within_another_may_hear_more_signals() -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with interrupt_flag() as session:
        assert signal.getsignal(signal.SIGTSTP) is before
        with interrupt_flag(LEAVES_MOTORS) as loop:
            os.kill(os.getpid(), signal.SIGTSTP)
            time.sleep(0.01)
            assert loop.requested and session.requested
        assert signal.getsignal(signal.SIGTSTP) is before


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
