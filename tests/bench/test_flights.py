"""Flights of a policy on emulated hardware, as `simreal bench flights` makes them."""

from pathlib import Path

import pytest

from simreal.bench.flights import EMULATIONS, Plan, flights
from simreal.deploy.policy import load_policy
from simreal.errors import UserError
from simreal.robots.policies import find_policy
from simreal.tasks import find_task


@pytest.mark.parametrize("driver", ["feetech", "dynamixel", "unitree"])
def test_a_policy_of_another_robot_is_refused_before_anything_starts(driver: str) -> None:
    with pytest.raises(UserError, match=EMULATIONS[driver][0]):
        flights(Path("can_leg_posture"), driver, 1, 1.0, 0, {}, print)


def test_an_emulator_is_told_seed_task_and_parameters() -> None:
    contract = load_policy(find_policy(Path("can_leg_posture"))).contract
    name = contract.provenance.task
    task = find_task(name, "can_leg")
    plan = Plan(contract, task, 7, {"mass": 1.2}, {}, 4.0)
    assert plan.options == ["--seed", "7", "--task", name, "--set=mass=1.2"]


@pytest.mark.long
def test_a_flight_over_can_is_judged_and_held_against_evaluation() -> None:
    told: list[str] = []
    found = flights(Path("can_leg_posture"), "can", 1, None, 0, {"mass": 1.1}, told.append)
    [row] = found["flights"]
    assert len(told) == 1 and found["parameters"] == {"mass": 1.1}
    assert row["terminal_ms"] > 0.0
    assert found["success_in_evaluation"] > 0.5
    if row["fault"] is None:  # a busy machine may end it
        assert row["success"] is (row["goal_share"] >= 0.9)
