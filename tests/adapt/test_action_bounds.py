"""Bounds around a base policy: never left, widened by safe time alone, closed by violations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.adapt.action_bounds import ActionBounds, BoundsConfig, BoundsState
from simreal.adapt.online_session import OnlineConfig
from simreal.config import override, parse

numbers = st.lists(st.floats(-1, 1), min_size=3, max_size=3)
events = st.lists(st.one_of(st.just("violation"), st.floats(0.01, 30.0)), max_size=60)


@given(numbers, st.lists(st.floats(-5, 5), min_size=3, max_size=3), events)
def test_no_action_leaves_the_width_or_the_range(
    base: list[float], wanted: list[float], happened: list[object]
) -> None:
    config = BoundsConfig()
    bounds = ActionBounds(config)
    for event in happened:
        bounds.violated() if event == "violation" else bounds.elapsed(float(event))  # type: ignore[arg-type]
        action = bounds(np.array(base), np.array(wanted))
        assert np.abs(action).max() <= 1.0
        assert np.abs(action - base).max() <= bounds.state.width + 1e-12
        assert bounds.state.width <= config.largest
    assert bounds.state.violations == happened.count("violation")


def test_safe_time_widens_and_a_violation_halves_and_begins_anew() -> None:
    bounds = ActionBounds(BoundsConfig(first=0.1, evidence_s=10.0, growth=1.5, largest=0.3))
    bounds.elapsed(9.9)
    assert bounds.state.width == 0.1
    bounds.elapsed(0.2)
    assert bounds.state.width == pytest.approx(0.15)
    bounds.elapsed(9.0)
    bounds.violated()
    assert bounds.state == BoundsState(pytest.approx(0.075), 0.0, 1, 1)
    for _ in range(10):
        bounds.elapsed(10.0)
    assert bounds.state.width == 0.3 and not bounds.closed
    for _ in range(10):
        bounds.violated()
    assert bounds.closed


def test_a_session_goes_on_where_it_stopped() -> None:
    config, first = BoundsConfig(), ActionBounds(BoundsConfig())
    first.elapsed(25.0)
    first.elapsed(7.0)
    again = ActionBounds(config, first.state)
    for each in (first, again):
        each.elapsed(14.0)
    assert first.state == again.state


def test_widths_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="smallest <= first <= largest"):
        BoundsConfig(first=0.6, largest=0.5)


def test_where_exploration_was_worse_they_go_back_a_step_and_never_that_far_again() -> None:
    bounds = ActionBounds(BoundsConfig(first=0.1, growth=1.5, evidence_s=10.0))
    for _ in range(2):
        bounds.elapsed(10.0)
    assert bounds.state.width == pytest.approx(0.225)
    bounds.worsened()
    assert bounds.state.width == pytest.approx(0.15)
    for _ in range(5):
        bounds.elapsed(10.0)
    assert bounds.state.width == pytest.approx(0.15)
    for _ in range(5):
        bounds.worsened()
    assert bounds.state.width == pytest.approx(0.1)  # where they began
    assert not bounds.closed


def test_one_bound_that_is_given_leaves_the_others_as_they_are() -> None:
    learning = OnlineConfig().bounds
    given = parse(OnlineConfig, override({}, ["bounds.largest=0.25"])).bounds
    assert given == learning.model_copy(update={"largest": 0.25})
    assert (learning.first, learning.largest, learning.evidence_s, learning.growth) == (
        0.2,
        0.3,
        12,
        1.25,
    )


def test_no_state_goes_on_wider_than_the_largest_width() -> None:
    bounds = ActionBounds(BoundsConfig(first=0.1, largest=0.3), BoundsState(1.5))
    assert bounds.state.width == 0.3
