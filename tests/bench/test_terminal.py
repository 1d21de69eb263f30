"""A watch over a pseudo-terminal."""

import time

from simreal.bench.terminal import longest_wait


def test_what_a_byte_takes_through_a_pseudo_terminal_is_told() -> None:
    with longest_wait(1) as end:
        time.sleep(0.1)
        waited = end()
    assert 0.0 < waited < 0.1 + 60.0  # s, and not ms or ns
