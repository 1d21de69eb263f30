"""The guardian in its process, at the other end of a wire on which only its frames come."""

import socket
import time
from collections.abc import Iterator

import pytest

from simreal.deploy.drivers import DriverError
from simreal.deploy.drivers.servo.guard import Guard
from simreal.deploy.drivers.servo.guardian import REPEATS

TIMEOUT = 0.3
"""s between beats."""
FRAME = b"let go"
PATIENCE = 20.0
"""s until a test gives up."""


class Watched:
    """A guard, and the wire that its guardian sends on."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.wire = ours
        self.guard = Guard(theirs.fileno(), TIMEOUT, [FRAME])

    def control(self, seconds: float = 2.0 * TIMEOUT) -> None:
        """Send commands for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.guard.beat()
            time.sleep(0.01)

    def let_go(self) -> None:
        """Wait until it has made the servos passive, and expect no more than that."""
        self.wire.settimeout(PATIENCE)
        heard = b""
        while len(heard) < REPEATS * len(FRAME):
            heard += self.wire.recv(100)
        assert heard == REPEATS * FRAME
        self.is_silent()

    def is_silent(self, seconds: float = 2.0 * TIMEOUT) -> None:
        """Expect nothing for a while."""
        self.wire.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.wire.recv(100)


@pytest.fixture
def watched() -> Iterator[Watched]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        found = Watched(ours, theirs)
        yield found
        found.guard.close()


def test_it_acts_each_time_that_the_beats_stop(watched: Watched) -> None:
    watched.is_silent()
    for _ in range(3):
        watched.control()
        watched.let_go()
    watched.control()
    watched.guard.rest()
    watched.is_silent()


def test_it_ends_without_a_word_when_the_servos_are_at_rest(watched: Watched) -> None:
    watched.control()
    watched.guard.rest()
    watched.guard.close()
    watched.is_silent(0.2)
    assert watched.guard.process.returncode == 0


@pytest.mark.parametrize("has_acted", [False, True])
def test_it_acts_at_the_end_when_nothing_says_that_the_servos_are_at_rest(
    watched: Watched, has_acted: bool
) -> None:
    watched.control()
    if has_acted:
        watched.let_go()
    watched.guard.close()
    watched.let_go()
    assert watched.guard.process.returncode == 0


def test_a_beat_that_nobody_hears_is_an_error_each_time(watched: Watched) -> None:
    watched.control()
    watched.guard.process.kill()
    watched.guard.process.wait()
    watched.guard.rest()
    for _ in range(2):
        with pytest.raises(DriverError, match="the guardian has ended"):
            watched.guard.beat()
