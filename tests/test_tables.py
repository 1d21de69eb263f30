"""What is too wide for a terminal goes on in the next line."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from simreal.cli.contract_tables import describe_contract
from simreal.cli.main import cli
from simreal.deploy.policy import load_policy
from simreal.robots.policies import shipped_policies
from simreal.tables import folded_table, keep_names_whole


def shown(table: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 48])
def test_no_letter_of_a_name_is_lost(width: int) -> None:
    names = [f"joint_frictionloss[{joint}]" for joint in ("shoulder", "elbow")]
    table = folded_table("parameter", "value", "deviation", "bounds", "")
    for name in names:
        table.add_row(
            name, "0.01151 N·m times nominal", "± 0.00052", "0 to 0.6", "at its bound: not credible"
        )
    text = shown(table if width < 80 else keep_names_whole(table), width)
    assert "…" not in text
    if width == 80:
        assert all(name in text for name in names)


def test_actuators_of_a_policy_are_named_whole() -> None:
    contract = load_policy(shipped_policies()["so101_reach"]).contract
    text = "".join(shown(table) for table in describe_contract(contract))
    assert "…" not in text
    assert all(name in shown(describe_contract(contract)[2]) for name in contract.robot.actuator_names)


def test_a_task_of_dm_control_is_one_line() -> None:
    lines = CliRunner().invoke(cli, ["list", "dm_control"], env={"COLUMNS": "80"}).output.splitlines()
    assert sum("dm_control/" in line for line in lines) + 4 == len(lines)
