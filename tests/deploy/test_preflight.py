import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from simreal.contract import Contract, ObservationTerm
from simreal.deploy.loop import deploy
from simreal.deploy.policy import GOLDEN_KEY, load_policy
from simreal.deploy.preflight import contract_objections, objections
from simreal.errors import UserError
from simreal.robots import load_robot

WriteFile = Callable[..., Path]
QUBE = load_robot("qube").description


def _contract(contract: Contract, change: Callable[[dict[str, Any]], object]) -> Contract:
    data = contract.model_dump(mode="json")
    change(data["robot"])
    return Contract.model_validate(data)


def test_a_policy_of_this_robot_has_no_objection_against_it(policy_file: WriteFile) -> None:
    assert objections(load_policy(policy_file()), QUBE) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda robot: robot["joints"][0].update(upper=1.5), ["joints[arm].upper", "1.5", "2.094"]),
        (
            lambda robot: robot["joints"][1].update(unit="m"),
            ["joints[pendulum].unit", "expects m,", "has rad"],
        ),
        (lambda robot: robot["joints"][1].update(default_position=0.1), ["joints[pendulum].default"]),
        (lambda robot: robot["joints"].reverse(), ["joints (order)", "pendulum"]),
        (
            lambda robot: robot["actuators"][0].update(upper=5.0),
            ["actuators[motor].upper", "5.0", "4.0"],
        ),
        (lambda robot: robot["actuators"][0].update(command="effort"), ["actuators[motor].command"]),
        (lambda robot: robot["joints"][0].update(upper=None), ["joints[arm].upper", "expects none,"]),
        (lambda robot: robot["actuators"][0].update(name="drive"), ["actuators[drive]", "not have it"]),
        (lambda robot: robot["actuators"][0].update(name="drive"), ["actuators[motor]", "not know it"]),
    ],
)
def test_every_difference_is_named_with_both_values(
    contract: Contract, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    found = contract_objections(_contract(contract, change), QUBE)
    assert any(all(word in objection for word in words) for objection in found), found


def test_of_another_robot_only_that_is_said(contract: Contract) -> None:
    def change(robot: dict[str, Any]) -> None:
        robot.update(name="cartpole")
        robot["joints"][0]["upper"] = 1.5

    found = contract_objections(_contract(contract, change), QUBE)
    assert found == ["the policy is for robot cartpole, this is qube"]


def test_all_differences_are_listed_not_the_first(contract: Contract) -> None:
    def change(robot: dict[str, Any]) -> None:
        robot["joints"][0]["upper"] = 1.5
        robot["actuators"][0]["lower"] = -1.0

    assert len(contract_objections(_contract(contract, change), QUBE)) == 2


def test_golden_vectors_that_do_not_come_out_are_an_objection(policy_file: WriteFile) -> None:
    path = policy_file()
    golden = next(each.value for each in onnx.load(path).metadata_props if each.key == GOLDEN_KEY)
    vectors = json.loads(golden)
    vectors["action"][3][0] += 0.1
    path = policy_file(metadata={GOLDEN_KEY: json.dumps(vectors)})
    [objection] = objections(load_policy(path), QUBE)
    assert objection.startswith("golden vectors: step 3: action[motor]: expected 0.1")


def test_a_policy_that_sees_objects_is_refused_before_anything_moves(
    policy_file: WriteFile, witnessed_driver: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, driver = load_policy(policy_file()), witnessed_driver()
    observation = (*policy.contract.observation, ObservationTerm(source="object_position"))
    policy.contract = policy.contract.model_copy(
        update={"observation": observation, "objects": ("cube",)}
    )
    monkeypatch.setattr(policy, "golden_mismatch", lambda: None)
    with pytest.raises(UserError, match="sees cube, which needs a tracker"):
        deploy(policy, driver, 1.0)
    assert "write" not in driver.asked
    assert driver.left_off
