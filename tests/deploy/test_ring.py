import os
import subprocess
import sys
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.ring import Ring, RingReader

DTYPE = np.dtype([("sequence", "<i8"), ("value", "<f8"), ("many", "<f8", (50,))])


def _put(ring: Ring, value: float) -> None:
    place = ring.claim()
    if place is not None:
        ring.records["value"][place] = value
        ring.records["many"][place] = value
        ring.publish()


@given(st.lists(st.integers(0, 30), max_size=20))
def test_a_keeper_gets_everything_that_was_not_counted_as_dropped(bursts: list[int]) -> None:
    ring = Ring(DTYPE, 16, kept=True)
    reader = RingReader(ring.fileno(), DTYPE, keeper=True)
    put, got = 0, []
    for burst in bursts:
        for _ in range(burst):
            _put(ring, put)
            put += 1
        got += reader.take()["value"].tolist()
    assert len(got) + ring.dropped == put
    assert ring.dropped == reader.dropped == sum(max(0, burst - 16) for burst in bursts)
    assert reader.missed == 0
    assert got == sorted(got)
    ring.close()


def test_one_who_looks_on_misses_and_never_hinders() -> None:
    ring = Ring(DTYPE, 16)
    reader = RingReader(ring.fileno(), DTYPE)
    for value in range(100):
        _put(ring, value)
    assert reader.take()["value"].tolist() == list(range(84, 100))
    assert (reader.missed, ring.dropped) == (84, 0)
    assert len(reader.take()) == 0
    ring.close()
    ring.close()


def test_records_read_during_writing_are_whole() -> None:
    ring = Ring(DTYPE, 8)
    reader = RingReader(ring.fileno(), DTYPE)
    ended = threading.Event()
    seen = 0

    def write() -> None:
        for value in range(20_000):
            _put(ring, value)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not ended.is_set():
        for record in reader.take():
            assert (record["many"] == record["value"]).all()
            seen += 1
    thread.join()
    rest = len(reader.take())
    assert seen + rest + reader.missed == 20_000
    ring.close()


READER = """
import sys
import numpy as np
from simreal.deploy.ring import RingReader
dtype = np.dtype([("sequence", "<i8"), ("value", "<f8"), ("many", "<f8", (50,))])
print(RingReader(int(sys.argv[1]), dtype).take()["value"].tolist())
"""


def test_another_process_reads_it() -> None:
    ring = Ring(DTYPE, 8)
    for value in range(5):
        _put(ring, value)
    found = subprocess.run(
        [sys.executable, "-P", "-c", READER, str(ring.fileno())],
        pass_fds=[ring.fileno()],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert found.stdout == "[0.0, 1.0, 2.0, 3.0, 4.0]\n"
    ring.close()
