"""The benchmark of learning on a hidden robot, whole and tiny; and that it is not done twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from simreal.adapt.online_session import OnlineConfig
from simreal.bench.robot_tuning import Plan, tune_on_hidden
from simreal.errors import UserError

TINY = OnlineConfig(updates_per_s=10, critic_width=8, batch_size=16)


@pytest.mark.long
def test_a_hidden_robot_is_learned_on_and_judged_and_that_is_kept(tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan(tmp_path, "qube", "c", 2_000, 15.0, 4, TINY, told.append)
    found = tune_on_hidden(plan, [0])
    [seed] = found["seeds"]
    assert 0.0 < seed["robot_seconds"] <= 15.0  # a policy of 2,000 steps may fall four times in a row
    assert seed["commands_beyond_range"] == 0
    assert {each["name"] for each in seed["measures"]} == {"success", "not ended early", "return"}
    assert (tmp_path / "qube/c/seed0/run/robot/episode_00000.mcap").is_file()
    assert seed["better"] is False and "base policy" in seed["trial"]
    count = len(told)
    assert tune_on_hidden(plan, [0]) == found
    assert len(told) == count + 1
    with pytest.raises(UserError, match="made with other numbers: give another --folder"):
        tune_on_hidden(replace(plan, seconds=20.0), [0])


def test_a_target_that_is_none_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no target 'x'"):
        tune_on_hidden(Plan(tmp_path, "qube", "x", 2_000, 15.0, 4, TINY, print), [0])
    assert list(tmp_path.iterdir()) == []
