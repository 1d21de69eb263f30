from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.randomization.adr import Adr, AdrConfig
from simreal.randomization.schedule_interface import NO_TAG, Space
from simreal.state import FloatArray

Goal = Callable[[FloatArray], NDArray[np.bool_]]


def space_of(
    low: list[float], high: list[float], nominal: list[float], logarithmic: bool = False
) -> Space:
    limits = np.array(low), np.array(high)
    return Space(
        columns=tuple(f"column {place}" for place in range(len(low))),
        low=limits[0],
        high=limits[1],
        nominal=np.array(nominal),
        logarithmic=np.full(len(low), logarithmic),
        held=np.zeros(len(low), dtype=np.bool_),
        quantile=lambda uniform: limits[0] + (limits[1] - limits[0]) * uniform,
    )


def train(adr: Adr, goal: Goal, episodes: int, seed: int = 0, batch: int = 50) -> list[FloatArray]:
    """Run; the ranges after each update."""
    random = np.random.default_rng(seed)
    course = []
    for step in range(0, episodes, batch):
        size = (batch, len(adr.space.columns))
        drawn = adr.draw(random.random(size), random.random((batch, 2)))
        adr.record(drawn.tags, drawn.values, goal(drawn.values))
        adr.update(step)
        course.append(np.stack(adr.ranges()))
    return course


def box(values: FloatArray) -> NDArray[np.bool_]:
    """Succeeds for mass in [0.8, 1.4] and latency up to 20 ms; the third column does not matter."""
    mass, latency, _ = values.T
    return (mass >= 0.8) & (mass <= 1.4) & (latency <= 20.0)


def world_space() -> Space:
    return space_of([0.5, 0.0, -1.0], [2.0, 50.0, 3.0], [1.0, 0.0, 0.0])


@pytest.mark.parametrize("start_share", [0.1, 1.0], ids=["from inside", "from outside"])
@pytest.mark.parametrize("seed", range(3))
def test_ends_settle_at_the_edge_of_what_the_policy_can_do(start_share: float, seed: int) -> None:
    adr = Adr(AdrConfig(start_share=start_share), world_space())
    settled = np.array(train(adr, box, 6000, seed)[-40:])
    mass_low, mass_high = settled[:, 0, 0], settled[:, 1, 0]
    # Steps are a tenth of the way to the limits: 0.05, 0.1 and 5 ms.
    assert mass_low.min() >= 0.8 - 0.051
    assert mass_low.max() <= 0.8 + 0.101
    assert mass_high.min() >= 1.4 - 0.201
    assert mass_high.max() <= 1.4 + 0.101
    assert settled[:, 1, 1].min() >= 20 - 10.01
    assert settled[:, 1, 1].max() <= 20 + 5.01
    np.testing.assert_array_equal(settled[-1, :, 2], (-1.0, 3.0))  # exactly: whole steps add up


def test_a_useless_policy_ends_at_nominal_and_never_past_it() -> None:
    adr = Adr(AdrConfig(start_share=0.5), world_space())
    course = np.array(train(adr, lambda values: np.zeros(len(values), dtype=np.bool_), 3000))
    np.testing.assert_array_equal(course[-1], np.stack((adr.space.nominal,) * 2))
    assert (course[:, 0] <= adr.space.nominal).all()
    assert (course[:, 1] >= adr.space.nominal).all()
    assert adr.entropy == -np.inf
    recovered = train(adr, lambda values: np.ones(len(values), dtype=np.bool_), 6000)[-1]
    np.testing.assert_array_equal(recovered, np.stack((adr.space.low, adr.space.high)))


def test_half_of_the_episodes_put_one_column_exactly_on_its_end() -> None:
    adr = Adr(AdrConfig(start_share=0.37, boundary_share=0.5), world_space())
    random = np.random.default_rng(1)
    drawn = adr.draw(random.random((20_000, 3)), random.random((20_000, 2)))
    ends = np.stack(adr.ranges())
    probes = drawn.tags != NO_TAG
    assert probes.mean() == pytest.approx(0.5, abs=0.02)
    tags = drawn.tags[probes]
    values = drawn.values[probes, tags // 2]
    np.testing.assert_array_equal(values, ends[tags % 2, tags // 2])
    # The low end of the latency stands on its limit: nothing is to be found out there.
    found, counts = np.unique(tags, return_counts=True)
    assert found.tolist() == [0, 1, 3, 4, 5]
    assert (np.abs(counts / len(tags) - 0.2) < 0.02).all()
    inner = drawn.values[~probes]
    np.testing.assert_allclose(inner.mean(axis=0), ends.mean(axis=0), atol=0.2)
    assert ((inner > ends[0]) & (inner < ends[1])).mean() > 0.999


def probes(adr: Adr, end: int, success: list[bool]) -> None:
    """Record probes of an end as it stands."""
    column, side = divmod(end, 2)
    values = np.tile(adr.space.nominal, (len(success), 1))
    values[:, column] = adr.ranges()[side][column]
    adr.record(np.full(len(success), end), values, np.array(success))


@pytest.mark.parametrize(("successes", "expected"), [(8, 1.2), (7, 1.1), (6, 1.1), (5, 1.0), (0, 1.0)])
def test_a_full_queue_decides_on_its_own_end_only(successes: int, expected: float) -> None:
    adr = Adr(AdrConfig(), world_space())
    before = np.stack(adr.ranges())
    probes(adr, 1, [True] * successes + [False] * (9 - successes))
    assert not adr.update(0)
    probes(adr, 1, [False])
    assert adr.update(0) == (expected != 1.1)
    after = np.stack(adr.ranges())
    assert after[1, 0] == pytest.approx(expected)
    before[1, 0] = after[1, 0]
    np.testing.assert_array_equal(after, before)
    probes(adr, 1, [True] * 9)  # the queue began anew
    assert not adr.update(0)


def test_whole_steps_add_up_to_the_limit_and_back_to_nominal() -> None:
    adr = Adr(AdrConfig(), world_space())
    latency = 3  # its high end: nominal 0, limit 50 ms
    for succeeds, steps, expected in ((True, 9, 50.0), (False, 10, 0.0)):
        for _ in range(steps):
            assert adr.ranges()[1][1] != expected
            probes(adr, latency, [succeeds] * 10)
            adr.update(0)
        assert adr.ranges()[1][1] == expected


def test_several_full_queues_are_all_decided_on() -> None:
    adr = Adr(AdrConfig(), world_space())
    probes(adr, 0, [True] * 10)
    probes(adr, 1, [True] * 10)
    assert adr.update(0)
    assert [float(end[0]) for end in adr.ranges()] == pytest.approx([0.9, 1.2])


def test_a_probe_of_where_an_end_stood_before_does_not_count() -> None:
    adr = Adr(AdrConfig(), world_space())
    old = np.tile(adr.space.nominal, (10, 1))
    old[:, 0] = adr.ranges()[1][0]
    probes(adr, 1, [True] * 10)
    adr.update(0)
    now = adr.ranges()[1][0]
    adr.record(np.full(10, 1), old, np.ones(10, dtype=np.bool_))
    assert not adr.update(0)
    assert adr.ranges()[1][0] == now


def test_other_episodes_do_not_count() -> None:
    adr = Adr(AdrConfig(), world_space())
    values = np.tile(adr.ranges()[1], (100, 1))
    adr.record(np.full(100, NO_TAG), values, np.ones(100, dtype=np.bool_))
    assert not adr.update(0)


def test_logarithmic_ranges_grow_by_factors() -> None:
    adr = Adr(AdrConfig(start_share=0.5), space_of([0.01], [100.0], [1.0], logarithmic=True))
    low, high = adr.ranges()
    assert (low[0], high[0]) == pytest.approx((0.1, 10.0))
    uniform = np.random.default_rng(2).random((20_000, 1))
    values = adr.draw(uniform, np.ones((20_000, 2))).values
    assert np.median(values) == pytest.approx(1.0, rel=0.05)
    assert (values < 10**-0.5).mean() == pytest.approx(0.25, abs=0.01)
    assert adr.entropy == pytest.approx(np.log(0.5))


def test_entropy_follows_the_published_formula_in_shares_of_the_limits() -> None:
    adr = Adr(AdrConfig(start_share=0.2), world_space())
    low, high = adr.ranges()
    shares: Any = (high - low) / (adr.space.high - adr.space.low)
    assert adr.entropy == pytest.approx(np.log(shares).mean())
    assert adr.entropies()[1] == pytest.approx(np.log(0.2))
