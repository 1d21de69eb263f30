import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.statistics import mean_interval, paired_interval, share_interval


@pytest.mark.parametrize(
    ("hits", "number", "low", "high"),
    # Newcombe (1998), table I, method 3: Wilson's score interval.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_have_wilsons_interval(hits: int, number: int, low: float, high: float) -> None:
    found = share_interval(hits, number)
    assert found.value == hits / number
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(number=st.integers(1, 10_000), data=st.data())
def test_an_interval_of_a_share_contains_it_and_stays_a_share(number: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, number))
    share = share_interval(hits, number)
    assert 0 <= share.low <= share.value + 1e-12
    assert share.value - 1e-12 <= share.high <= 1
    mirrored = share_interval(number - hits, number)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((share.low, share.high), abs=1e-9)


def test_a_95_percent_interval_holds_the_truth_95_times_of_100() -> None:
    rng = np.random.default_rng(0)
    samples = rng.exponential(2.0, (2000, 100))
    intervals = [mean_interval(row.tolist()) for row in samples]
    assert np.mean([each.low <= 2.0 <= each.high for each in intervals]) == pytest.approx(0.94, abs=0.02)
    hits = rng.binomial(50, 0.9, 2000)
    shares = [share_interval(int(number), 50) for number in hits]
    assert np.mean([each.low <= 0.9 <= each.high for each in shares]) == pytest.approx(0.96, abs=0.02)


def test_few_values_leave_bounds_open() -> None:
    assert all(map(math.isnan, mean_interval([])))
    assert all(map(math.isnan, share_interval(0, 0)))
    value, low, high = mean_interval([3.0])
    assert value == 3.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_mean_interval_is_the_textbooks() -> None:
    found = mean_interval([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(5 / 3) / 2)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_a_paired_interval_holds_the_truth_also_near_zero() -> None:
    rng = np.random.default_rng(0)
    for shares in ([0.02, 0.02], [0.3, 0.1], [0.01, 0.4]):
        both = rng.multinomial(1, [*shares, 1 - sum(shares)], (2000, 60))
        differences = both[..., 0] - both[..., 1]
        found = [paired_interval(row.tolist()) for row in differences]
        truth = shares[0] - shares[1]
        assert np.mean([each.low <= truth <= each.high for each in found]) > 0.94
    nothing = paired_interval([0.0] * 60)
    assert nothing.value == 0.0
    assert nothing.low < 0.0 < nothing.high < 0.06  # the rule of three says 0.05
    assert all(map(math.isnan, paired_interval([])))


@given(differences=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=50))
def test_a_paired_interval_contains_its_value_and_turns_round(differences: list[float]) -> None:
    value, low, high = paired_interval(differences)
    assert -1.0 <= low <= value <= high <= 1.0
    turned = paired_interval([-each for each in differences])
    assert turned == pytest.approx((-value, -high, -low))
