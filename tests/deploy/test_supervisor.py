import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.deploy.supervisor import Supervisor, state_fault
from simreal.robots.loader import SafetyConfig
from simreal.state import RobotCommand, RobotState

ROBOT = RobotDescription(
    name="two",
    joints=(Joint(name="shoulder"), Joint(name="elbow")),
    actuators=(
        Actuator(name="upper", joint="shoulder", command="effort", unit="N·m", lower=-2.0, upper=1.0),
        Actuator(name="fore", joint="elbow", command="effort", unit="N·m", lower=-0.5, upper=3.0),
    ),
)
SAFETY = SafetyConfig(
    joint_position={"elbow": (-1.0, 0.5)},
    joint_velocity={"shoulder": 4.0},
    stale_state_ms=50.0,
)
NOW = 100.0
LOWER, UPPER = np.array([-2.0, -0.5]), np.array([1.0, 3.0])

anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
near = st.floats(-6.0, 6.0)
numbers = st.one_of(near, anything)
pairs = st.tuples(numbers, numbers)
times = st.one_of(st.floats(NOW - 0.2, NOW + 0.2), anything)


def _state(
    position: tuple[float, float] = (0.0, 0.0),
    velocity: tuple[float, float] = (0.0, 0.0),
    time: float = NOW,
) -> RobotState:
    return RobotState(time, np.array(position), np.array(velocity))


def _command(*target: float) -> RobotCommand:
    return RobotCommand(np.array(target))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (_state(time=NOW - 0.08), ["80 ms old", "50 ms"]),
        (_state(time=NOW + 10.0), ["old"]),
        (_state(time=math.nan), ["old"]),
        (_state(position=(math.nan, 0.0)), ["shoulder", "nan"]),
        (_state(velocity=(0.0, math.inf)), ["elbow", "inf"]),
        (_state(position=(9.0, 0.51)), ["elbow", "0.51", "-1", "0.5"]),
        (_state(position=(0.0, -1.01)), ["elbow", "-1.01"]),
        (_state(velocity=(-4.5, 0.0)), ["shoulder", "-4.5", "4"]),
    ],
)
def test_each_check_of_a_state_names_what_is_wrong(state: RobotState, words: list[str]) -> None:
    reason = state_fault(state, NOW, ROBOT, SAFETY)
    assert reason is not None
    assert all(word in reason for word in words), reason


@pytest.mark.parametrize(
    "state",
    [
        _state(),
        _state(time=NOW - 0.049),
        _state(position=(1e6, 0.5), velocity=(4.0, -1e6)),
        _state(position=(0.0, -1.0), velocity=(-4.0, 0.0)),
    ],
)
def test_a_state_on_its_bounds_passes(state: RobotState) -> None:
    assert state_fault(state, NOW, ROBOT, SAFETY) is None


@given(pairs, pairs, times)
def test_a_state_passes_exactly_if_it_is_fresh_finite_and_within_bounds(
    position: tuple[float, float], velocity: tuple[float, float], time: float
) -> None:
    safe = (
        all(map(math.isfinite, (*position, *velocity, time)))
        and abs(1e3 * (NOW - time)) <= 50.0
        and -1.0 <= position[1] <= 0.5
        and -4.0 <= velocity[0] <= 4.0
    )
    supervisor = Supervisor(ROBOT, SAFETY)
    assert supervisor.state_allows(_state(position, velocity, time), NOW) is safe
    assert (supervisor.fault is None) is safe


@given(pairs, pairs)
def test_nothing_beyond_limits_ever_passes(
    action: tuple[float, float], target: tuple[float, float]
) -> None:
    sent = Supervisor(ROBOT, SAFETY).allowed(np.array(action), _command(*target))
    finite = all(map(math.isfinite, (*action, *target)))
    assert (sent is not None) is finite
    if sent is not None:
        assert np.all((sent.target >= LOWER) & (sent.target <= UPPER))
        np.testing.assert_array_equal(sent.target, np.clip(target, LOWER, UPPER))


@given(
    st.lists(
        st.one_of(
            st.builds(_state, pairs, pairs, times),
            st.tuples(pairs, pairs),
        ),
        max_size=20,
    )
)
def test_the_first_fault_is_latched_whatever_comes_after(history: list[object]) -> None:
    supervisor = Supervisor(ROBOT, SAFETY)
    first = None
    for event in history:
        if isinstance(event, RobotState):
            passed = supervisor.state_allows(event, NOW)
        else:
            action, target = event
            passed = supervisor.allowed(np.array(action), _command(*target)) is not None
        assert first is None or not passed
        assert passed is (supervisor.fault is None)
        first = first or supervisor.fault
        assert supervisor.fault == first
    if first is not None:
        assert not supervisor.state_allows(_state(), NOW)
        assert supervisor.allowed(np.zeros(2), _command(0.0, 0.0)) is None


def test_the_policys_actuator_is_named() -> None:
    supervisor = Supervisor(ROBOT, SAFETY)
    assert supervisor.allowed(np.array([0.0, math.nan]), _command(0.0, 0.0)) is None
    assert "fore" in str(supervisor.fault)
    assert "nan" in str(supervisor.fault)
