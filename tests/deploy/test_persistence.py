import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.bounds import Violation
from simreal.deploy.persistence import Persistence, held_for, mismatch_after, misses_after
from simreal.state import FloatArray, RobotState
from tests.deploy.two_joints import MOTORS, SAFETY, state

DT = 0.01
FULL = np.array([0.9, 0.0])


def _after(
    states: list[RobotState], sent: FloatArray | None, rate: float = 100.0
) -> tuple[Violation | None, int]:
    """What is found, and after how many states."""
    persistence = Persistence(MOTORS, SAFETY)
    for number, measured in enumerate(states):
        measured.time = number / rate
        if found := persistence.of_state(measured, sent, 1.0 / rate):
            return found, number
    return None, len(states)


@given(st.lists(st.booleans(), max_size=50))
def test_a_condition_is_counted_while_it_holds_without_a_break(history: list[bool]) -> None:
    held = np.zeros(1)
    for value in history:
        held = held_for(np.array([value]), held, DT)
    run = 0
    for value in reversed(history):
        if not value:
            break
        run += 1
    assert held[0] == pytest.approx(run * DT)


def test_contradictions_add_up_and_fade() -> None:
    found = np.zeros(1)
    for _ in range(2000):
        found = mismatch_after(found, np.zeros(1), np.array([2.0]), 1e-3, 0.2)
    assert found[0] == pytest.approx(-2.0 * 0.2, rel=0.01)
    faded = mismatch_after(found, np.zeros(1), np.zeros(1), 0.2, 0.2)
    assert faded[0] == pytest.approx(found[0] / math.e)


def test_skipped_periods_count_for_about_a_second() -> None:
    misses = 0.0
    for _ in range(1000):
        misses = misses_after(misses, 1, 0.1)
    assert misses == pytest.approx(10.0, rel=0.1)
    assert misses_after(misses, 0, 5.0) < 0.1


@pytest.mark.parametrize("rate", [50.0, 1000.0])
def test_a_joint_that_stands_still_under_a_command_is_stalled(rate: float) -> None:
    rng = np.random.default_rng(0)
    states = [state(position=tuple(1e-4 * rng.normal(size=2))) for _ in range(int(rate))]
    found, number = _after(states, FULL, rate)
    assert found is not None
    assert found.check == "stall" and "shoulder" in found.reason and "0.9 N·m" in found.reason
    assert 0.3 <= number / rate <= 0.4
    moving = [state(position=(0.1 * n / rate, 1e-6 * n), velocity=(0.1, 0.0)) for n in range(int(rate))]
    assert _after(moving, FULL, rate)[0] is None
    weak = [state(position=tuple(1e-4 * rng.normal(size=2))) for _ in range(int(rate))]
    assert _after(weak, 0.4 * FULL, rate)[0] is None


@pytest.mark.parametrize("rate", [100.0, 500.0])
def test_the_same_to_the_last_bit_is_frozen_where_something_was_commanded(rate: float) -> None:
    states = [state(position=(0.3, 0.1)) for _ in range(int(rate))]
    found, number = _after(states, np.array([0.1, 0.0]), rate)
    assert found is not None
    assert found.check == "frozen_state" and "same to the last bit" in found.reason
    assert 0.1 <= number / rate <= 0.15
    assert _after(states, None, rate)[0] is None
    assert _after(states, np.zeros(2), rate)[0] is None


def test_positions_that_do_not_follow_velocities_are_a_contradiction() -> None:
    frozen = [state(position=(0.3, 0.0), velocity=(3.0, 0.0)) for _ in range(100)]
    found, number = _after(frozen, None)
    assert found is not None and found.check == "inconsistent_state" and "shoulder" in found.reason
    assert number < 15
    flipped = [state(position=(-0.03 * n, 0.0), velocity=(3.0, 0.0)) for n in range(100)]
    assert _after(flipped, None)[1] < 8
    honest = [
        state(position=(math.sin(0.2 * n), 0.0), velocity=(20.0 * math.cos(0.2 * n), 0.0))
        for n in range(300)
    ]
    assert _after(honest, None)[0] is None


def test_an_action_that_stays_at_its_end_is_saturated_and_bang_bang_too() -> None:
    for actions in ([np.array([0.0, 1.0])] * 100, [np.array([0.0, (-1.0) ** n]) for n in range(100)]):
        persistence = Persistence(MOTORS, SAFETY)
        found = [persistence.of_action(action, DT) for action in actions]
        first = next(number for number, each in enumerate(found) if each is not None)
        assert first in (49, 50)
        assert "fore" in str(found[first])
    persistence = Persistence(MOTORS, SAFETY)
    often = [np.array([0.0, 1.0 if n % 20 else 0.99]) for n in range(200)]
    assert all(persistence.of_action(action, DT) is None for action in often)
