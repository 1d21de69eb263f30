"""The ledger of what a robot has done: it adds up, survives the disk, and forgets no episode."""

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.adapt.action_bounds import BoundsState
from simreal.adapt.robot_budget import Budget, FlownEpisode, Ledger, cut_short_in_a_row
from simreal.errors import UserError

FALLS = ("arm_beyond_limit", "supervisor: tilt")
ENDS = (*FALLS, "duration", "interrupt", "killed", "supervisor: stale_state")
EPISODE = st.builds(
    FlownEpisode,
    number=st.integers(0, 99),
    kind=st.sampled_from(["base", "explore"]),
    seconds=st.floats(0, 60),
    steps=st.integers(0, 6000),
    mean_reward=st.none() | st.floats(-9, 9),
    ended_by=st.sampled_from(ENDS),
    width=st.floats(0, 2),
    furthest=st.floats(0, 2),
    filtered=st.integers(0, 99),
    recovered=st.integers(0, 99),
    limited=st.integers(0, 99),
    beyond_range=st.just(0),
    beyond_limits=st.integers(0, 9),
    reset=st.booleans(),
)
EPISODES = st.lists(EPISODE, max_size=8)


@settings(deadline=None, max_examples=40)
@given(EPISODES, st.none() | EPISODE)
def test_what_was_written_is_read_again_and_a_flight_without_return_counts(
    episodes: list[FlownEpisode], in_flight: FlownEpisode | None
) -> None:
    ledger = Ledger(BoundsState(0.1, 3.0, 2, 1), episodes, in_flight, ["sim"])
    with tempfile.TemporaryDirectory() as folder:
        ledger.write(Path(folder) / "ledger.json")
        again = Ledger.read(Path(folder) / "ledger.json")
    assert again == ledger
    before = again.seconds
    assert again.close_killed() is (in_flight is not None)
    assert abs(again.seconds - before) < 1e-9
    assert len(again.episodes) == len(episodes) + (in_flight is not None)
    assert again.in_flight is None


@given(EPISODES)
def test_falls_resets_and_seconds_each_use_up_their_budget(episodes: list[FlownEpisode]) -> None:
    ledger = Ledger(BoundsState(0.1), episodes)
    falls = sum(each.ended_by in FALLS for each in episodes)
    assert ledger.falls == falls
    plenty = Budget(ledger.seconds + 100.0)
    assert ledger.spent(plenty, 1.0) is None
    assert "used up" in str(ledger.spent(Budget(ledger.seconds + 0.5), 1.0))
    assert (ledger.spent(replace(plenty, falls=falls + 1), 1.0)) is None
    if falls:
        assert "--max-falls" in str(ledger.spent(replace(plenty, falls=falls), 1.0))
    if ledger.resets:
        assert "--max-resets" in str(ledger.spent(replace(plenty, resets=ledger.resets), 1.0))


def test_those_cut_short_in_a_row_are_those_at_the_end() -> None:
    made = FlownEpisode(0, "base", 1, 100, 0.0, "duration", 0, 0, 0, 0, 0, 0, 0, False)
    fall = replace(made, ended_by="supervisor: tilt")
    silent = replace(made, ended_by="supervisor: stale_state")
    ledger = Ledger(BoundsState(0.1), [fall, made, fall, silent, fall])
    assert (ledger.falls, cut_short_in_a_row(ledger.episodes)) == (3, 3)


FLYING: dict[str, Any] = asdict(
    FlownEpisode(0, "base", 2.0, 0, None, "killed", 0, 0, 0, 0, 0, 0, 0, False)
)


@pytest.mark.parametrize(
    "change",
    [
        {"in_flight": FLYING | {"seconds": -1e3}},
        {"in_flight": FLYING | {"seconds": float("nan")}},
        {"in_flight": "a while"},
        {"in_flight": True},
        {"in_flight": -1e3},
        {"in_flight": 2.0, "bounds": {"width": "wide"}, "episodes": None},
        {"in_flight": FLYING | {"mean_reward": float("nan")}},
        {"in_flight": FLYING | {"steps": -1}},
        {"bounds": {"width": "wide"}},
        {"bounds": {"width": 5.0}},
        {"bounds": {"width": float("nan")}},
        {"bounds": {"width": -1.0}},
        {"bounds": {"width": 0.1, "safe_s": float("inf")}},
        {"bounds": {"width": 0.1, "ceiling": 9.0}},
        {"episodes": [{"number": 0}]},
        {"episodes": None},
    ],
)
def test_a_ledger_that_was_edited_to_nonsense_is_one_message(
    change: dict[str, object], tmp_path: Path
) -> None:
    """Seconds below zero, or none at all, would let a robot move for ever."""
    path = tmp_path / "ledger.json"
    Ledger(BoundsState(0.1), [], FlownEpisode(**FLYING), ["sim"]).write(path)
    Ledger.read(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"ledger\.json: cannot be read \(.*begin another --run"):
        Ledger.read(path)


@pytest.mark.parametrize("seconds", [6, 5.5])
def test_a_ledger_of_before_counts_what_was_in_flight_as_killed(seconds: float, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    flown = FlownEpisode(0, "base", 2.0, 200, 0.5, "duration", 0, 0, 0, 0, 0, 0, 0, False)
    Ledger(BoundsState(0.1), [flown], None, ["sim"]).write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"in_flight": seconds}))
    ledger = Ledger.read(path)
    assert ledger.seconds == 2.0 + seconds and ledger.close_killed()
    killed = ledger.episodes[1]
    assert (killed.number, killed.kind, killed.ended_by) == (1, "explore", "killed")
    assert (killed.seconds, killed.width, killed.tells) == (seconds, 0.1, False)
    ledger.write(path)
    assert Ledger.read(path) == ledger
