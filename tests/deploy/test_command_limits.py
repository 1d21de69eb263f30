from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.command_limits import CommandLimits, within_effort, within_range, within_rate
from simreal.state import FloatArray
from tests.deploy.two_joints import SAFETY, SERVOS

LIMITS = CommandLimits(SERVOS, SAFETY)
RATE = np.array([30.0, 20.0])
wild = st.floats(allow_nan=False, allow_infinity=True)
wild_pairs = st.tuples(wild, wild).map(np.array)
near = st.floats(-3.0, 3.0)
pairs = st.tuples(near, near).map(np.array)
seconds = st.floats(1e-4, 0.1)


@given(wild_pairs)
def test_a_range_is_kept_and_changes_nothing_within(desired: FloatArray) -> None:
    lower, upper = np.array([-1.0, 0.0]), np.array([2.0, 0.5])
    found = within_range(desired, lower, upper)
    assert ((found >= lower) & (found <= upper)).all()
    inside = (desired >= lower) & (desired <= upper)
    np.testing.assert_array_equal(found[inside], desired[inside])


@given(wild_pairs, pairs, seconds)
def test_a_rate_is_kept_from_the_previous_command(
    desired: FloatArray, previous: FloatArray, dt: float
) -> None:
    found = within_rate(desired, previous, RATE, dt)
    assert (np.abs(found - previous) <= RATE * dt * (1 + 1e-12) + 1e-15).all()
    # As near to the desired command as that allows.
    near_enough = np.abs(desired - previous) <= RATE * dt * (1 - 1e-12)
    np.testing.assert_allclose(found[near_enough], desired[near_enough], rtol=1e-12, atol=1e-15)


@given(wild_pairs, pairs, pairs)
def test_an_effort_is_kept_by_the_law_of_the_servo(
    desired: FloatArray, position: FloatArray, velocity: FloatArray
) -> None:
    stiffness, damping, effort = 20.0, 1.0, 5.0
    target = within_effort(
        desired, position, velocity, np.full(2, damping / stiffness), np.full(2, effort / stiffness)
    )
    asked = stiffness * (target - position) - damping * velocity
    assert (np.abs(asked) <= effort * (1 + 1e-9)).all()


@given(wild_pairs, pairs, pairs, st.none() | pairs, seconds)
def test_together_the_range_is_never_left_and_effort_weighs_more_than_rate(
    desired: FloatArray,
    position: FloatArray,
    velocity: FloatArray,
    previous: FloatArray | None,
    dt: float,
) -> None:
    if previous is not None:
        previous = np.clip(previous, -1.0, 1.5)
    _, found = LIMITS.in_order(desired, position, velocity, previous, dt)[-1]
    assert ((found >= LIMITS.lower) & (found <= LIMITS.upper)).all()
    asked = 20.0 * (found[0] - position[0]) - velocity[0]
    reachable = -1.0 + 0.25 <= position[0] + velocity[0] / 20.0 <= 1.5 - 0.25
    assert not reachable or abs(asked) <= 5.0 * (1 + 1e-9)
    if previous is not None:  # the forearm has no limit of effort
        assert abs(found[1] - previous[1]) <= 20.0 * dt * (1 + 1e-9) + 1e-12


def test_a_robot_without_limits_keeps_its_ranges_alone() -> None:
    from simreal.robots.safety import SafetyConfig

    limits = CommandLimits(SERVOS, SafetyConfig())
    zero = np.zeros(2)
    _, found = limits.in_order(np.array([9.0, -9.0]), zero, zero, zero, 1e-3)[-1]
    np.testing.assert_array_equal(found, [1.5, -1.0])


@given(pairs, pairs, pairs, pairs)
def test_a_command_that_was_changed_has_causes(
    desired: FloatArray, position: FloatArray, velocity: FloatArray, previous: FloatArray
) -> None:
    seen = desired, position, velocity, previous, 0.01
    left = LIMITS.in_order(*seen)
    changed = not np.array_equal(left[-1][1], desired)
    causes = LIMITS.causes(desired, left)
    # What one limit takes, another one may give back.
    assert causes or not changed
    assert {each.partition(" of ")[0] for each in causes} <= {"command_rate", "command_effort", "range"}


def test_what_limits_a_command_is_named_by_limit_and_actuator() -> None:
    def causes_of(desired: FloatArray, *seen: Any) -> list[str]:
        return LIMITS.causes(desired, LIMITS.in_order(desired, *seen))

    zero = np.zeros(2)
    assert causes_of(np.array([0.01, 9.0]), zero, zero, None, 0.01) == [
        f"range of {SERVOS.actuator_names[1]}"
    ]
    strong = causes_of(np.array([1.0, 0.0]), zero, zero, None, 0.01)
    assert strong == [f"command_effort of {SERVOS.actuator_names[0]}"]
    assert causes_of(np.array([0.01, -0.01]), zero, zero, zero, 0.01) == []
