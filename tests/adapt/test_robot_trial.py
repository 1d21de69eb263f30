"""Trials on a robot: pairs, who flies next, and what they show."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.adapt.robot_budget import FlownEpisode
from simreal.adapt.robot_trial import CONFIDENCE, FEWEST, next_in_trial, shows_nothing, trial_of


def flown(
    kind: str, reward: float | None, pair: int | None, updates: int = 7, ended: str = "duration"
) -> FlownEpisode:
    return FlownEpisode(
        0, kind, 6.0, 600, reward, ended, 0.1, 0.1, 0, 0, 0, 0, 0, False, updates=updates, pair=pair
    )


def pairs(gains: list[float]) -> list[FlownEpisode]:
    return [
        flown(kind, 0.5 + place * 0.1 + (gain if kind == "learned" else 0.0), place)
        for place, gain in enumerate(gains)
        for kind in ("learned", "base")
    ]


def test_turns_are_taken_and_a_pair_that_was_begun_is_ended() -> None:
    episodes: list[FlownEpisode] = [flown("explore", 0.1, None), flown("base", 0.5, None)]
    kinds, left = [], []
    for _ in range(6):
        pair, kind, episodes_left = next_in_trial(episodes, 7)
        episodes.append(flown(kind, 0.5, pair))
        kinds.append((pair, kind))
        left.append(episodes_left)
    assert kinds == [
        (0, "learned"), (0, "base"), (1, "base"), (1, "learned"), (2, "learned"), (2, "base")
    ]  # fmt: skip
    assert left == [2, 1, 2, 1, 2, 1]
    assert next_in_trial(episodes, 8) == (0, "learned", 2)  # of what has been learned since


@pytest.mark.parametrize("ended", ["supervisor: stale_state", "killed", "interrupt"])
def test_what_a_computer_or_a_person_ended_is_flown_again(ended: str) -> None:
    first = flown("learned", 0.5, 0, ended=ended)
    assert next_in_trial([first], 7) == (0, "learned", 2)
    second = [flown("learned", 0.5, 0), flown("base", 0.5, 0, ended=ended)]
    assert next_in_trial(second, 7) == (0, "base", 1)
    again = [*second, flown("base", 0.4, 0)]
    assert next_in_trial(again, 7) == (1, "base", 2)
    assert trial_of(again, 7).gain.value == pytest.approx(0.1)


def test_a_budget_that_can_show_nothing_is_told_with_one_that_can() -> None:
    assert shows_nothing(72.0, 0.5, 6.0) is None
    told = shows_nothing(60.0, 0.5, 6.0)
    assert told is not None and "36 s, and has 30 s of the budget; --budget-seconds 84 would do" in told
    assert "trial_share is 0" in str(shows_nothing(1e3, 0.0, 6.0))


@given(st.floats(0.01, 0.99), st.floats(0.5, 60.0), st.floats(0.0, 1.0))
def test_the_budget_that_is_told_does_however_long_the_episodes_before_were(
    share: float, episode: float, first: float
) -> None:
    told = shows_nothing(1.0, share, episode)
    assert told is not None
    budget = float(re.findall(r"--budget-seconds (\d+) would do", told)[0])
    assert shows_nothing(budget, share, episode) is None
    flown = first * episode  # as a fall cuts one short
    while flown < (1.0 - share) * budget:  # as `Session` decides
        flown += episode
    assert budget - flown >= 2 * FEWEST * episode * (1.0 - 1e-9)


def test_an_episode_that_runs_into_the_trial_s_share_is_counted() -> None:
    """At 0.45 of 80 s, the trial's 36 s begin at 44 s, but the eighth episode ends at 48 s."""
    assert "36 s, and has 32 s of the budget" in str(shows_nothing(80.0, 0.45, 6.0))
    assert shows_nothing(84.0, 0.45, 6.0) is None


def test_a_gain_that_is_larger_than_its_spread_is_one() -> None:
    found = trial_of(pairs([0.05, 0.04, 0.06, 0.05]), 7)
    assert found.better and found.pairs == 4
    assert found.gain.value == pytest.approx(0.05)
    assert "better than its base policy in 4 pairs" in str(found)


@pytest.mark.parametrize("gains", [[], [0.1], [0.1, 0.1], [0.1, -0.2, 0.1, 0.05], [-0.1, -0.1, -0.11]])
def test_what_is_not_shown_is_not_claimed(gains: list[float]) -> None:
    found = trial_of(pairs(gains), 7)
    assert not found.better
    assert ("not shown to be better" in str(found)) == bool(gains)
    assert "not used" in str(found) or "stays in use" in str(found)


def test_other_policies_explorers_and_what_was_broken_off_do_not_count() -> None:
    others = [
        flown("explore", 9.0, None),
        flown("base", 0.0, None),
        flown("learned", 9.0, 0, updates=6),
        flown("learned", 9.0, 5),
        flown("base", 0.0, 5, ended="killed"),
    ]
    assert trial_of(others + pairs([-0.1, -0.1, -0.1]), 7) == trial_of(pairs([-0.1, -0.1, -0.1]), 7)


def test_a_gain_with_more_falls_is_none() -> None:
    gained = pairs([0.05, 0.04, 0.06, 0.05])
    fell = replace(gained[0], ended_by="supervisor: joint_velocity")
    found = trial_of([fell, *gained[1:]], 7)
    assert found.gain.low > 0.0 and not found.better
    assert "1 falls against 0, which stays in use" in str(found)
    # As many as the base policy's are no objection.
    base = replace(gained[1], ended_by="supervisor: joint_velocity")
    assert trial_of([fell, base, *gained[2:]], 7).better


def test_an_episode_of_no_whole_step_is_no_gain_but_its_fall_counts() -> None:
    gained = pairs([0.05, 0.04, 0.06, 0.05])
    nothing = [flown("learned", None, 4, ended="supervisor: tilt"), flown("base", -9.0, 4)]
    found = trial_of(gained + nothing, 7)
    assert (found.pairs, found.gain, found.falls) == (4, trial_of(gained, 7).gain, (1, 0))


def test_a_policy_that_is_as_good_passes_as_seldom_as_said() -> None:
    random = np.random.default_rng(0)
    passed = np.mean([trial_of(pairs(list(random.normal(0.0, 0.1, 7))), 7).better for _ in range(2000)])
    assert passed == pytest.approx(1.0 - CONFIDENCE, abs=0.02)


def test_a_silent_robot_speaks_neither_for_nor_against_who_flew_it() -> None:
    silent = [flown("learned", 0.0, 4, ended="supervisor: stale_state"), flown("base", 0.9, 4)]
    found = trial_of(pairs([0.05, 0.04, 0.06, 0.05]) + silent, 7)
    assert found.better and (found.pairs, found.falls) == (4, (0, 0))
    stopped = [flown("learned", 0.0, 4, ended="supervisor: tilt"), flown("base", 0.9, 4)]
    assert trial_of(pairs([0.05, 0.04, 0.06, 0.05]) + stopped, 7).falls == (1, 0)
