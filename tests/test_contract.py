import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simreal.contract import (
    ActionMapping,
    Actuator,
    Contract,
    Joint,
    ObservationTerm,
    Provenance,
    RobotDescription,
    TrainedRange,
)
from simreal.contract_differences import differences
from simreal.errors import UserError

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=6)
LIMITS = st.none() | FLOATS
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
JOINT_SOURCES = ["joint_position", "joint_position_sin", "joint_position_cos", "joint_velocity"]


@st.composite
def robots(draw: st.DrawFn) -> RobotDescription:
    joints = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    actuators = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return RobotDescription(
        name=draw(NAMES),
        joints=tuple(
            Joint(
                name=name,
                unit=draw(st.sampled_from(["rad", "m"])),
                lower=draw(LIMITS),
                upper=draw(LIMITS),
                velocity_limit=draw(st.none() | POSITIVE),
                default_position=draw(FLOATS),
            )
            for name in joints
        ),
        actuators=tuple(actuator(draw, name, joints) for name in actuators),
    )


def actuator(draw: st.DrawFn, name: str, joints: list[str]) -> Actuator:
    lower, upper = sorted(draw(st.lists(FLOATS, min_size=2, max_size=2, unique=True)))
    return Actuator(
        name=name,
        joint=draw(st.sampled_from(joints)),
        command=draw(st.sampled_from(["voltage", "effort", "position"])),
        unit=draw(st.sampled_from(["V", "N·m", "N", "rad", "m"])),
        lower=lower,
        upper=upper,
    )


@st.composite
def terms(draw: st.DrawFn, joints: tuple[str, ...]) -> ObservationTerm:
    source = draw(st.sampled_from([*JOINT_SOURCES, "previous_action"]))
    subset = st.none() | st.lists(st.sampled_from(joints), min_size=1, unique=True).map(tuple)
    return ObservationTerm(
        source=source,
        joints=None if source == "previous_action" else draw(subset),
        scale=draw(FLOATS),
        clip=draw(st.none() | POSITIVE),
        history=draw(st.integers(1, 1000)),
        fill=draw(st.sampled_from(["first", "zero"])),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    robot = draw(robots())
    number = len(robot.actuators)
    vectors = st.lists(FLOATS, min_size=number, max_size=number).map(tuple)
    ranges = st.builds(
        TrainedRange,
        name=NAMES,
        unit=NAMES,
        operation=st.sampled_from(["absolute", "scale", "add"]),
        low=FLOATS,
        high=FLOATS,
    )
    return Contract(
        robot=robot,
        control_rate=draw(st.floats(min_value=0, exclude_min=True, max_value=10_000)),
        observation=tuple(draw(st.lists(terms(robot.joint_names), min_size=1, max_size=4))),
        action=ActionMapping(scale=draw(vectors), offset=draw(vectors)),
        trained_ranges=tuple(draw(st.lists(ranges, max_size=3))),
        provenance=Provenance(
            task=draw(NAMES),
            agent=draw(NAMES),
            seed=draw(st.integers(-(2**63), 2**63)),
            training_steps=draw(st.integers(0, 2**40)),
            versions=draw(st.dictionaries(NAMES, NAMES, max_size=3)),
        ),
    )


def bits(value: Any) -> Any:
    """The same structure with every float as its exact hexadecimal form, the sign of zero too."""
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [bits(each) for each in value]
    return value.hex() if isinstance(value, float) else value


@settings(max_examples=50)
@given(contracts())
def test_json_keeps_every_bit(contract: Contract) -> None:
    again = Contract.from_json(contract.to_json())
    assert bits(again.model_dump()) == bits(contract.model_dump())
    assert again.to_json() == contract.to_json()
    assert differences(contract, again) == []


@given(FLOATS)
def test_json_keeps_every_bit_of_a_number(number: float) -> None:
    term = ObservationTerm(source="joint_position", scale=number)
    again = ObservationTerm.model_validate_json(term.model_dump_json())
    assert again.scale.hex() == number.hex()
    # Another reader of JSON, such as a robot's, sees the same number.
    assert json.loads(term.model_dump_json())["scale"].hex() == number.hex()


@pytest.fixture
def contract() -> Contract:
    return Contract(
        robot=RobotDescription(
            name="cart",
            joints=(
                Joint(name="rail", unit="m", lower=-1.0, upper=1.0, velocity_limit=2.0),
                Joint(name="pole"),
            ),
            actuators=(
                Actuator(name="belt", joint="rail", command="effort", unit="N", lower=-9.0, upper=9.0),
                Actuator(name="wheel", joint="pole", command="effort", unit="N·m", lower=-1, upper=1),
            ),
        ),
        control_rate=50.0,
        observation=(
            ObservationTerm(source="joint_position", joints=("rail", "pole")),
            ObservationTerm(source="joint_velocity", scale=0.1),
            ObservationTerm(source="previous_action", history=2),
        ),
        action=ActionMapping(scale=(9.0, 1.0), offset=(0.0, 0.0)),
        trained_ranges=(
            TrainedRange(name="mass[cart]", unit="1", operation="scale", low=0.8, high=1.2),
            TrainedRange(name="latency", unit="ms", operation="absolute", low=0.0, high=15.0),
        ),
        provenance=Provenance(
            task="balance", agent="ppo", seed=3, training_steps=1000, versions={"numpy": "2.1"}
        ),
    )


def edited(contract: Contract, edit: Callable[[dict[str, Any]], object]) -> Contract:
    """The contract that comes of a change in its JSON, as another program would make it."""
    data = json.loads(contract.to_json())
    edit(data)
    return Contract.from_json(json.dumps(data))


def swap(items: list[Any]) -> None:
    items[0], items[1] = items[1], items[0]


@pytest.mark.parametrize("version", [0, 2, 17, "1", "two", None, 1.5, [1]])
def test_another_version_is_refused_by_its_number(contract: Contract, version: Any) -> None:
    data = json.loads(contract.to_json()) | {"version": version}
    with pytest.raises(UserError) as caught:
        Contract.from_json(json.dumps(data), "policy.onnx")
    assert str(caught.value).startswith(f"policy.onnx: contract version {version!r}")
    assert "reads version 1" in str(caught.value)


def test_a_later_version_is_told_before_the_keys_that_it_brings(contract: Contract) -> None:
    data = json.loads(contract.to_json()) | {"version": 2, "commands": [], "observation": "new"}
    with pytest.raises(UserError, match="contract version 2"):
        Contract.from_json(json.dumps(data))


def test_the_version_is_written(contract: Contract) -> None:
    assert json.loads(contract.to_json())["version"] == 1


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "3", "null", "{", "{}", b"\xff\xfe\x00"])
def test_what_is_no_contract_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(UserError, match=r"^policy\.onnx: not a contract: \w") as caught:
        Contract.from_json(text, "policy.onnx")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_no_bytes_do_worse_than_a_user_error(text: str | bytes) -> None:
    with pytest.raises(UserError):
        Contract.from_json(text)


@settings(max_examples=30)
@given(st.data())
def test_a_contract_without_one_of_its_parts_is_refused(data: st.DataObject) -> None:
    whole = json.loads(data.draw(contracts()).to_json())
    lost = data.draw(st.sampled_from(["robot", "control_rate", "observation", "action", "provenance"]))
    del whole[lost]
    with pytest.raises(UserError, match=lost):
        Contract.from_json(json.dumps(whole))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: d["robot"]["joints"][1].update(name="rail"), "stands twice"),
        (lambda d: d["robot"]["actuators"][1].update(name="belt"), "stands twice"),
        (lambda d: d["robot"]["actuators"][0].update(joint="rial"), "did you mean 'rail'"),
        (lambda d: d["robot"]["actuators"][0].update(lower=9.0), "not below"),
        (lambda d: d["robot"].update(joints=[]), "at least 1"),
        (lambda d: d["observation"][0].update(joints=["rail", "pol"]), "did you mean 'pole'"),
        (lambda d: d["observation"][0].update(joints=[]), "at least 1"),
        (lambda d: d["observation"][0].update(history=0), "greater than or equal to 1"),
        (lambda d: d["observation"][2].update(joints=["rail"]), "no joints"),
        (lambda d: d["action"].update(scale=[1.0]), "2 numbers"),
        (lambda d: d["action"].update(offset=[0.0, 0.0, 0.0]), "2 numbers"),
        (lambda d: d.update(control_rate=0.0), "greater than 0"),
        (lambda d: d["robot"].update(control_rat=3), "unknown key"),
    ],
)
def test_a_contract_at_odds_with_itself_is_refused(
    contract: Contract, edit: Callable[[dict[str, Any]], object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        edited(contract, edit)


def test_numbers_in_a_contract_are_finite(contract: Contract) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        text = contract.to_json().replace('"control_rate":50.0', f'"control_rate":{number}')
        with pytest.raises(UserError):
            Contract.from_json(text)


def test_a_contract_cannot_be_changed(contract: Contract) -> None:
    with pytest.raises(ValidationError):
        contract.control_rate = 100.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("edit", "name", "shown"),
    [
        (lambda d: d.update(control_rate=100.0), "control_rate", "50.0 != 100.0"),
        (lambda d: d["robot"].update(name="trolley"), "robot.name", "cart != trolley"),
        (lambda d: d["robot"]["joints"][0].update(upper=0.5), "robot.joints[rail].upper", "1.0 != 0.5"),
        (lambda d: d["robot"]["joints"][1].update(upper=0.5), "robot.joints[pole].upper", "none != 0.5"),
        (lambda d: d["robot"]["actuators"][1].update(unit="N"), "robot.actuators[wheel].unit", "!= N"),
        (lambda d: d["observation"][1].update(scale=1.0), "observation[joint_velocity].scale", "0.1"),
        (lambda d: d["action"].update(offset=[0.0, 0.5]), "action.offset[1]", "0.0 != 0.5"),
        (lambda d: d["trained_ranges"][0].update(high=1.1), "trained_ranges[mass[cart]].high", "1.1"),
        (lambda d: d["provenance"]["versions"].update(numpy="2.2"), "provenance.versions.numpy", "2.2"),
        (lambda d: d["provenance"]["versions"].update(torch="2"), "provenance.versions.torch", "absent"),
    ],
)
def test_one_change_is_one_difference_by_name(
    contract: Contract, edit: Callable[[dict[str, Any]], object], name: str, shown: str
) -> None:
    found = differences(contract, edited(contract, edit))
    assert [each.name for each in found] == [name]
    assert str(found[0]).startswith(f"{name}: ")
    assert shown in str(found[0])
    (back,) = differences(edited(contract, edit), contract)
    assert (back.name, back.left, back.right) == (name, found[0].right, found[0].left)


def test_another_order_is_told_once_as_an_order(contract: Contract) -> None:
    found = differences(contract, edited(contract, lambda d: swap(d["robot"]["joints"])))
    assert [str(each) for each in found] == ["robot.joints (order): rail, pole != pole, rail"]


def test_another_order_of_a_term_is_told(contract: Contract) -> None:
    found = differences(contract, edited(contract, lambda d: swap(d["observation"][0]["joints"])))
    assert found
    assert all(each.name.startswith("observation[joint_position].joints") for each in found)


def test_a_joint_more_is_told_with_the_order_of_the_others(contract: Contract) -> None:
    def edit(data: dict[str, Any]) -> None:
        swap(data["robot"]["joints"])
        data["robot"]["joints"].insert(0, {"name": "extra"})

    found = differences(contract, edited(contract, edit))
    assert [each.name for each in found] == ["robot.joints (order)", "robot.joints[extra]"]
    assert str(found[1]).startswith("robot.joints[extra]: absent != ")


def test_terms_of_one_source_are_told_apart(contract: Contract) -> None:
    def add(scale: float) -> Callable[[dict[str, Any]], object]:
        return lambda d: d["observation"].append({"source": "joint_velocity", "scale": scale})

    found = differences(edited(contract, add(1.0)), edited(contract, add(2.0)))
    assert [str(each) for each in found] == ["observation[joint_velocity#2].scale: 1.0 != 2.0"]


def test_names_that_look_like_counts_hide_nothing(contract: Contract) -> None:
    def rename(upper: float) -> Callable[[dict[str, Any]], object]:
        return lambda d: d["trained_ranges"].extend(
            {"name": name, "unit": "1", "operation": "add", "low": 0, "high": upper}
            for name in ("a#2", "a", "a")
        )

    found = differences(edited(contract, rename(1.0)), edited(contract, rename(2.0)))
    assert len(found) == 3


def leaves(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        return [leaf for key, value in items for leaf in leaves(value, (*at, key))]
    return [at]


@settings(max_examples=50)
@given(contracts(), st.data())
def test_no_changed_number_goes_unnoticed(contract: Contract, data: st.DataObject) -> None:
    content = json.loads(contract.to_json())
    numbers = [leaf for leaf in leaves(content) if isinstance(value_at(content, leaf), float)]
    leaf = data.draw(st.sampled_from(numbers))
    value_at(content, leaf[:-1])[leaf[-1]] = data.draw(st.floats(0.5, 10.0))
    try:
        changed = Contract.from_json(json.dumps(content))
    except UserError:
        return  # such as limits in the wrong order
    found = differences(contract, changed)
    assert bool(found) == (changed != contract)
    assert all(str(leaf[-1]) in each.name for each in found)


def value_at(data: Any, keys: tuple[Any, ...]) -> Any:
    for key in keys:
        data = data[key]
    return data


@settings(max_examples=50)
@given(contracts(), st.randoms())
def test_no_other_order_goes_unnoticed(contract: Contract, random: Any) -> None:
    content = json.loads(contract.to_json())
    random.shuffle(content["robot"]["joints"])
    shuffled = Contract.from_json(json.dumps(content))
    found = differences(contract, shuffled)
    if shuffled == contract:
        assert found == []
    else:
        assert [each.name for each in found] == ["robot.joints (order)"]
