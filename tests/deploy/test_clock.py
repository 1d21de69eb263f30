import signal
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.clock import Clock, SteppedTime, next_deadline

PERIODS = st.integers(1, 10**10)
TIMES = st.integers(0, 10**18)


@given(TIMES, PERIODS, st.integers(-(10**12), 10**12))
def test_next_deadline_keeps_the_phase_and_is_the_first_that_is_not_past(
    previous: int, period: int, later: int
) -> None:
    now = previous + later
    deadline, missed = next_deadline(previous, period, now)
    assert deadline == previous + (1 + missed) * period
    assert deadline >= now
    assert missed >= 0
    # No deadline that could still be met is skipped.
    assert missed == 0 or deadline - period < now


@given(TIMES, PERIODS, st.lists(st.integers(0, 10**11), max_size=30))
def test_cycles_and_missed_periods_add_up_to_the_time_that_passed(
    start: int, period: int, delays: list[int]
) -> None:
    now = deadline = start
    cycles = missed_in_all = 0
    for delay in delays:
        deadline, missed = next_deadline(deadline, period, now)
        cycles += 1
        missed_in_all += missed
        now = deadline + delay
    assert deadline - start == (cycles + missed_in_all) * period


def test_clock_never_wakes_early_and_skips_the_periods_that_passed() -> None:
    clock = Clock(200.0)
    begin = clock.deadline
    time.sleep(0.02)
    for _ in range(20):
        before = clock.deadline
        late = clock.wait()
        assert time.monotonic_ns() >= clock.deadline
        assert late >= 0
        assert (clock.deadline - before) % 5_000_000 == 0
    assert clock.overruns >= 3
    assert clock.deadline - begin == (20 + clock.overruns) * 5_000_000


def test_a_signal_does_not_shorten_the_sleep() -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        clock = Clock(5.0)
        thread = threading.Timer(0.05, signal.raise_signal, (signal.SIGUSR1,))
        thread.start()
        clock.wait()
        assert time.monotonic_ns() >= clock.deadline
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_a_stepped_time_nothing_passes_but_what_is_slept() -> None:
    stepped = SteppedTime(7)
    clock, began = Clock(100.0, stepped), time.monotonic()
    for _ in range(100_000):
        assert clock.wait() == 0
    assert stepped.now() == clock.deadline == 7 + 100_000 * 10_000_000
    assert clock.overruns == 0
    assert time.monotonic() - began < 100.0
