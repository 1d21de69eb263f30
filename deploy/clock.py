"""A fixed rate on absolute deadlines: lateness of one cycle does not move the next."""

import time


def next_deadline(previous: int, period: int, now: int) -> tuple[int, int]:
    """The deadline after `previous`; where it has passed already, whole periods are skipped.

    Args:
        previous: ns.
        period: ns.
        now: ns.

    Returns:
        The deadline in ns, and how many periods were skipped; the phase is kept.
    """
    deadline = previous + period
    if now <= deadline:
        return deadline, 0
    missed = -((deadline - now) // period)
    return deadline + missed * period, missed


class Clock:
    """Wakes at multiples of a period.

    Attributes:
        deadline: ns on the monotonic clock, of the current cycle.
        overruns: periods skipped so far.
    """

    def __init__(self, rate: float) -> None:
        """Begin now, at `rate` Hz."""
        self.period = round(1e9 / rate)
        self.deadline = time.monotonic_ns()
        self.overruns = 0

    def wait(self) -> int:
        """Sleep until the next deadline.

        Returns:
            ns by which the wake-up came late.
        """
        self.deadline, missed = next_deadline(self.deadline, self.period, time.monotonic_ns())
        self.overruns += missed
        # Python sleeps on CLOCK_MONOTONIC and goes on sleeping after a signal.
        remaining = self.deadline - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining * 1e-9)
        return time.monotonic_ns() - self.deadline
