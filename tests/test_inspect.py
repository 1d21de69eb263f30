"""What simreal tells about itself."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from simreal.contract import ActionMapping, Command, Contract, ObservationTerm, Provenance
from simreal.inspect import describe_contract, parameter_page
from simreal.randomization.parameters import GROUPS, PARAMETERS
from simreal.robots import load_robot

DOCS = Path(__file__).parent.parent / "docs"


def told(robot: str, *sources: str, **parts: object) -> str:
    """The tables of a policy's contract as text."""
    description = load_robot(robot).description
    count = len(description.actuators)
    contract = Contract(
        robot=description,
        control_rate=50.0,
        observation=tuple(ObservationTerm(source=source) for source in sources),  # type: ignore[arg-type]
        action=ActionMapping(scale=(1.0,) * count, offset=(0.0,) * count),
        provenance=Provenance(task="t", agent="ppo", seed=0, training_steps=0, versions={}),
        **parts,  # type: ignore[arg-type]
    )
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


def test_the_page_of_parameters_is_what_they_declare() -> None:
    assert (DOCS / "parameters.md").read_text("utf-8") == parameter_page(), "run `make docs`"


def test_every_parameter_stands_in_one_group_under_a_name_of_its_own() -> None:
    names = [each.name for group in GROUPS.values() for each in group]
    assert len(names) == len(set(names)) == len(PARAMETERS)
