import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import ValidationError

from simreal.action import ActionPipeline
from simreal.contract import (
    ActionMapping,
    Actuator,
    Contract,
    Joint,
    ObservationTerm,
    Provenance,
    RobotDescription,
)

NUMBERS = st.floats(-1e6, 1e6)
LIMITS = st.tuples(st.floats(-100, 99), st.floats(0.001, 100)).map(lambda t: (t[0], t[0] + t[1]))


def contract(
    limits: list[tuple[float, float]], scale: tuple[float, ...], offset: tuple[float, ...]
) -> Contract:
    return Contract(
        robot=RobotDescription(
            name="arm",
            joints=(Joint(name="joint"),),
            actuators=tuple(
                Actuator(name=f"m{i}", joint="joint", command="voltage", unit="V", lower=low, upper=high)
                for i, (low, high) in enumerate(limits)
            ),
        ),
        control_rate=100.0,
        observation=(ObservationTerm(source="joint_position"),),
        action=ActionMapping(scale=scale, offset=offset),
        provenance=Provenance(task="t", agent="a", seed=0, training_steps=0, versions={}),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    limits = draw(st.lists(LIMITS, min_size=1, max_size=4))
    numbers = st.tuples(*[NUMBERS] * len(limits))
    return contract(limits, draw(numbers), draw(numbers))


@given(contracts(), st.data())
def test_no_action_leads_beyond_the_limits(made: Contract, data: st.DataObject) -> None:
    pipeline = ActionPipeline(made)
    batch = data.draw(st.sampled_from([(), (3,), (2, 2)]))
    anything = st.floats(allow_nan=False, width=64)
    action = data.draw(npst.arrays(np.float64, (*batch, pipeline.size), elements=anything))
    target = pipeline(action).target
    assert target.shape == action.shape
    assert (target >= [actuator.lower for actuator in made.robot.actuators]).all()
    assert (target <= [actuator.upper for actuator in made.robot.actuators]).all()


@given(contracts(), st.data())
def test_each_robot_of_a_batch_gets_the_command_that_it_would_get_alone(
    made: Contract, data: st.DataObject
) -> None:
    pipeline = ActionPipeline(made)
    elements = st.floats(-2, 2)
    actions = data.draw(npst.arrays(np.float64, (2, 3, pipeline.size), elements=elements))
    together = pipeline(actions).target
    for index in np.ndindex(2, 3):
        assert (together[index] == pipeline(actions[index]).target).all()


@given(st.floats(-1, 1), st.floats(-50, 50), st.floats(-50, 50))
def test_within_the_limits_the_mapping_is_the_one_of_the_contract(
    action: float, scale: float, offset: float
) -> None:
    pipeline = ActionPipeline(contract([(-100.0, 100.0)], (scale,), (offset,)))
    assert pipeline(np.array([action])).target[0] == offset + scale * action


@given(contracts(), st.floats(1, 1e9))
def test_an_action_beyond_one_is_an_action_of_one(made: Contract, size: float) -> None:
    pipeline = ActionPipeline(made)
    ones = np.ones(pipeline.size)
    for sign in (1, -1):
        assert (pipeline(sign * size * ones).target == pipeline(sign * ones).target).all()


@given(contracts(), st.floats(-2, 2), st.floats(-2, 2))
def test_a_positive_scale_keeps_the_order_of_actions(made: Contract, one: float, other: float) -> None:
    pipeline = ActionPipeline(made)
    low, high = (pipeline(np.full(pipeline.size, a)).target for a in sorted((one, other)))
    rising = np.array(made.action.scale) >= 0
    assert (low <= high)[rising].all()
    assert (low >= high)[~rising].all()


def servos(scale: tuple[float, ...], relative_to: str = "previous_target") -> Contract:
    """Two servos within ±1 rad, on the second and the first of three joints."""
    joints = tuple(
        Joint(name=name, default_position=place)
        for name, place in zip("abc", (0.1, 0.2, 9.0), strict=True)
    )
    actuators = tuple(
        Actuator(name=name, joint=name, command="position", unit="rad", lower=-1.0, upper=1.0)
        for name in "ba"
    )
    return Contract(
        robot=RobotDescription(name="arm", joints=joints, actuators=actuators),
        control_rate=25.0,
        observation=(ObservationTerm(source="following_error"),),
        action=ActionMapping.model_validate(
            {"scale": scale, "offset": (0.0, 0.0), "relative_to": relative_to}
        ),
        provenance=Provenance(task="t", agent="a", seed=0, training_steps=0, versions={}),
    )


def test_a_relative_action_is_a_step_from_what_was_told_before() -> None:
    pipeline = ActionPipeline(servos((0.1, 0.5)))
    assert pipeline.target.tolist() == [0.2, 0.1]
    pipeline.begin(np.array([0.3, -0.4, 7.0]))
    assert pipeline.target.tolist() == [-0.4, 0.3]
    np.testing.assert_allclose(pipeline(np.array([1.0, -0.5])).target, [-0.3, 0.05])
    np.testing.assert_allclose(pipeline(np.array([-5.0, 0.5])).target, [-0.4, 0.3])
    assert pipeline(np.zeros(2)).target.tolist() == pipeline.target.tolist()


@given(st.data())
def test_relative_actions_never_wind_up_beyond_the_limits(data: st.DataObject) -> None:
    scale = data.draw(st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 5.0)))
    actions = data.draw(npst.arrays(np.float64, (10, 2), elements=st.floats(-2.0, 2.0)))
    pipeline = ActionPipeline(servos(scale))
    for action in actions:
        assert (np.abs(pipeline(action).target) <= 1.0).all()
    # From wherever they are, one full step back from a limit leaves it.
    pipeline.begin(np.array([3.0, 3.0, 3.0]))
    assert pipeline.target.tolist() == [1.0, 1.0]
    assert (pipeline(-np.ones(2)).target < 1.0).all()


def test_rows_of_a_batch_begin_and_go_on_apart() -> None:
    made, start = servos((0.1, 0.5)), np.array([[0.0, 0.5, 0.0], [0.3, -0.4, 0.0]])
    batch, alone = ActionPipeline(made, (3,)), ActionPipeline(made)
    batch.begin(start, np.array([0, 2]))
    alone.begin(start[1])
    action = np.array([0.3, -0.7])
    assert (batch(np.tile(action, (3, 1))).target[2] == alone(action).target).all()
    other = ActionPipeline(made, (2,))
    other.take(np.array([1]), batch, np.array([2]))
    assert (other(np.tile(action, (2, 1))).target[1] == alone(action).target).all()
    assert other.target[0].tolist() == [0.2 + 0.1 * 0.3, 0.1 - 0.5 * 0.7]


def test_an_absolute_mapping_begins_with_what_the_action_zero_means() -> None:
    pipeline = ActionPipeline(servos((0.1, 0.5), "zero"))
    pipeline.begin(np.array([0.3, -0.4, 7.0]))
    assert pipeline.target.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("part", ["action", "observation"])
def test_only_position_servos_have_a_target_to_step_from(part: str) -> None:
    data = servos((0.1, 0.5)).model_dump()
    for actuator in data["robot"]["actuators"]:
        actuator.update(command="effort", unit="N·m")
    if part == "action":
        data["observation"] = [{"source": "joint_position"}]
    else:
        data["action"]["relative_to"] = "zero"
    with pytest.raises(ValidationError, match=rf"{part}.*actuator b takes effort, not a position"):
        Contract.model_validate(data)


def test_the_action_given_stays_as_it_was() -> None:
    pipeline = ActionPipeline(contract([(-1.0, 1.0)], (4.0,), (0.0,)))
    action = np.array([[3.0], [-0.5]])
    assert pipeline(action).target.tolist() == [[1.0], [-1.0]]
    assert action.tolist() == [[3.0], [-0.5]]
