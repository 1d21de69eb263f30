import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.randomization.delay_line import DelayLine

COUNT, CHANNELS = 3, 2


def numbered(first: int, substeps: int) -> np.ndarray:
    """Samples that all differ, (substeps, 2, CHANNELS, COUNT)."""
    size = 2 * COUNT * CHANNELS
    return np.arange(1.0 + first * size, 1.0 + (first + substeps) * size).reshape(
        substeps, 2, CHANNELS, COUNT
    )


@given(st.integers(0, 12), st.lists(st.integers(1, 9), max_size=8), st.data())
def test_it_remembers_what_a_plain_list_would(
    longest: int, pushes: list[int], data: st.DataObject
) -> None:
    line = DelayLine(longest, 2, CHANNELS, COUNT)
    samples = [np.zeros((2, CHANNELS, COUNT))] * (longest + 1)
    for fresh in pushes:
        block = numbered(len(samples), fresh)
        line.push(block)
        samples += list(block)
    np.testing.assert_array_equal(line.read(), samples[-1])
    steps = st.lists(st.integers(0, longest), min_size=COUNT * CHANNELS, max_size=COUNT * CHANNELS)
    age = np.array(data.draw(steps)).reshape(CHANNELS, COUNT)
    found, together = line.read(age), line.read(age[:1])
    for row in range(COUNT):
        for channel in range(CHANNELS):
            at = (slice(None), channel, row)
            assert (found[at] == samples[-1 - age[channel, row]][at]).all()
            assert (together[at] == samples[-1 - age[0, row]][at]).all()


@pytest.mark.parametrize("age", [[[5]], [[-1]]])
def test_nothing_is_read_beyond_what_it_holds(age: list[list[int]]) -> None:
    line = DelayLine(4, 2, 1, 1)
    line.read(np.array([[4]]))
    with pytest.raises(UserError, match="4 are remembered"):
        line.read(np.array(age))


def test_a_past_moves_between_lines_that_are_at_different_places() -> None:
    source, target = (DelayLine(6, 2, CHANNELS, COUNT) for _ in range(2))
    source.push(numbered(0, 9))
    target.push(numbered(100, 5))
    untouched = [target.read(np.full((1, COUNT), age))[..., 1] for age in range(7)]
    target.take(np.array([0, 2]), source, np.array([1, 0]))
    for age in range(7):
        steps = np.full((1, COUNT), age)
        assert (target.read(steps)[..., [0, 2]] == source.read(steps)[..., [1, 0]]).all()
        assert (target.read(steps)[..., 1] == untouched[age]).all()


def test_a_reading_is_a_copy() -> None:
    line = DelayLine(2, 2, CHANNELS, COUNT)
    for age in (None, np.zeros((1, COUNT), dtype=np.int64)):
        line.read(age)[:] = 9.0
        assert (line.read(age) == 0.0).all()
