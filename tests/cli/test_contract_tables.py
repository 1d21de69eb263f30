"""What simreal tells about itself."""

import io
from typing import Any

import pytest
from rich.console import Console

from simreal.cli.contract_tables import describe_contract
from simreal.contract import ActionMapping, Command, Contract, Provenance
from simreal.randomization.parameters import GROUPS, PARAMETERS
from simreal.robots import load_robot


def told(robot: str, *sources: str, **parts: object) -> str:
    """The tables of a policy's contract as text; a source may name its tool after a space."""
    description = load_robot(robot).description
    count = len(description.actuators)
    names = [(each.split(" ")[0], each.partition(" ")[2] or None) for each in sources]
    content: dict[str, Any] = {
        "robot": description,
        "control_rate": 50.0,
        "observation": [{"source": source, "tool": tool} for source, tool in names],
        "action": ActionMapping(scale=(1.0,) * count, offset=(0.0,) * count),
        "provenance": Provenance(task="t", agent="ppo", seed=0, training_steps=0, versions={}),
    }
    contract = Contract.model_validate(content | parts)
    text = io.StringIO()
    console = Console(width=120, file=text)
    for table in describe_contract(contract):
        console.print(table)
    return text.getvalue()


@pytest.mark.parametrize(
    ("robot", "source", "needs"),
    [
        ("qube", "joint_position", "joints alone"),
        ("go2", "projected_gravity", "IMU"),
        ("so101", "object_position", "tracker"),
    ],
)
def test_a_policy_tells_which_sensors_it_needs(robot: str, source: str, needs: str) -> None:
    objects = ("cube",) if needs == "tracker" else ()
    rows = told(robot, source, objects=objects).splitlines()
    assert [each.split("│")[2].strip() for each in rows if "│ needs " in each] == [needs]


def test_a_policy_tells_what_may_be_asked_of_it() -> None:
    asked = Command(name="forward_velocity", unit="m/s", low=-0.5, high=1.25)
    rows = told("qube", "joint_position", commands=(asked,)).splitlines()
    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows]
    assert ["forward_velocity", "m/s", "-0.5", "1.25"] in cells
    assert "asked" not in told("qube", "joint_position")


def test_a_policy_that_steps_does_not_look_as_if_it_gave_targets() -> None:
    action = ActionMapping(scale=(0.1,) * 6, offset=(0.0,) * 6, relative_to="previous_target")
    steps, targets = told("so101", "joint_position", action=action), told("so101", "joint_position")
    assert "a step, added to the previous target" in steps
    assert "step at" in steps
    assert "step" not in targets.replace("0 steps", "")


def test_a_policy_tells_which_tool_it_watches() -> None:
    asked = tuple(Command(name=axis, unit="m", low=0, high=0.3) for axis in "xyz")
    text = told("so101", "tool_to_command grasp", commands=asked)
    (row,) = [each for each in text.splitlines() if "tool_to_command" in each]
    assert "grasp" in row


def test_every_parameter_stands_in_one_group_under_a_name_of_its_own() -> None:
    names = [each.name for group in GROUPS.values() for each in group]
    assert len(names) == len(set(names)) == len(PARAMETERS)
