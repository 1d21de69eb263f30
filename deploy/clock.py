"""A fixed rate on absolute deadlines: lateness of one cycle does not move the next."""

import time


class Time:
    """In which a robot lives: the wall's, of this computer's monotonic clock."""

    def now(self) -> int:
        """What time it is, ns."""
        return time.monotonic_ns()

    def sleep(self, duration: int) -> None:
        """Let ns pass."""
        # Python sleeps on CLOCK_MONOTONIC and goes on sleeping after a signal.
        time.sleep(duration * 1e-9)


class SteppedTime(Time):
    """That of a simulated robot which moves with commands alone: nothing but sleeping lets it pass.

    So the loop takes as long as it computes, and is never late.
    """

    def __init__(self, start: int = 0) -> None:
        """Begin at ns."""
        self._now = start

    def now(self) -> int:
        """See `Time`."""
        return self._now

    def sleep(self, duration: int) -> None:
        """See `Time`."""
        self._now += duration


WALL_TIME = Time()


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

    def __init__(self, rate: float, time_source: Time = WALL_TIME) -> None:
        """Begin now, at `rate` Hz."""
        self._time = time_source
        self.period = round(1e9 / rate)
        self.deadline = time_source.now()
        self.overruns = 0

    def wait(self) -> int:
        """Sleep until the next deadline.

        Returns:
            ns by which the wake-up came late.
        """
        self.deadline, missed = next_deadline(self.deadline, self.period, self._time.now())
        self.overruns += missed
        remaining = self.deadline - self._time.now()
        if remaining > 0:
            self._time.sleep(remaining)
        return self._time.now() - self.deadline
