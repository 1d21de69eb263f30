"""Whether what was learned on a robot is better there than what it began from: episodes in pairs.

One episode of each policy, without exploration, under the same commands; each is the first in turn.
Episodes with exploration say nothing of a policy, and critics would be judges in their own cause: robot
time is set aside for this.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from simreal.adapt.robot_budget import FlownEpisode
from simreal.statistics import Interval, student_interval

FEWEST = 3
"""Pairs of which an interval says something."""
CONFIDENCE = 0.95
"""With which the gain must be more than nothing: of policies that are as good, one in twenty passes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What pairs of episodes came to.

    Attributes:
        pairs: that were flown to their end, or to one that a policy answers for.
        gain: of the mean reward of a control step, with the bounds below and above which it lies with
            `CONFIDENCE` each.
        falls: of what was learned, and of the base policy: with more of them nothing is better.
    """

    pairs: int
    gain: Interval
    falls: tuple[int, int] = (0, 0)

    @property
    def better(self) -> bool:
        """Whether what was learned has been shown to be better."""
        return self.pairs >= FEWEST and self.gain.low > 0.0 and self.falls[0] <= self.falls[1]

    def __str__(self) -> str:
        if not self.pairs:
            return "not tried beside its base policy: what was learned is not used"
        told = f"mean reward {self.gain.value:+.3g} ({self.gain.low:.3g} to {self.gain.high:.3g})"
        shown = "better than" if self.better else "not shown to be better than"
        if any(self.falls):
            told += f", {self.falls[0]} falls against {self.falls[1]}"
        used = "" if self.better else ", which stays in use"
        return f"{shown} its base policy in {self.pairs} pairs of episodes: {told}{used}"


def trial_of(episodes: Sequence[FlownEpisode], updates: int) -> Trial:
    """The trial of a policy after so many updates of its learner."""
    pairs: dict[int, dict[str, FlownEpisode]] = {}
    for each in episodes:
        if each.pair is not None and each.updates == updates and each.tells:
            pairs.setdefault(each.pair, {})[each.kind] = each
    whole = [(both["learned"], both["base"]) for both in pairs.values() if len(both) == 2]
    gains = [
        learned.mean_reward - base.mean_reward
        for learned, base in whole
        if learned.mean_reward is not None and base.mean_reward is not None
    ]
    falls = sum(learned.fell for learned, _ in whole), sum(base.fell for _, base in whole)
    return Trial(len(gains), student_interval(gains, CONFIDENCE), falls)


def shows_nothing(seconds: float, share: float, episode: float) -> str | None:
    """Why a budget is too small for a trial to show anything, for people; None if it is not.

    Args:
        seconds: of the whole budget, s.
        share: of it that is the trial's.
        episode: how long one lasts, s.
    """
    needed = 2 * FEWEST * episode
    before = math.ceil((1.0 - share) * seconds / episode) * episode  # the last runs into the share
    left = max(0.0, seconds - before)
    if left >= needed:
        return None
    told = (
        f"nothing that is learned will be used: a trial takes {FEWEST} pairs of episodes, {needed:g} s"
    )
    if share == 0.0:
        return f"{told}, and trial_share is 0"
    told += f", and has {left:g} s of the budget"
    return f"{told}; --budget-seconds {math.ceil((needed + episode) / share)} would do"


class Next(NamedTuple):
    """An episode of a trial: number of its pair, what flies it, how many it takes to end the pair."""

    pair: int
    kind: str
    episodes: int


def next_in_trial(episodes: Sequence[FlownEpisode], updates: int) -> Next:
    """What a trial goes on with, of a policy after so many updates of its learner."""
    halves: dict[int, set[str]] = {}
    for each in episodes:  # one that tells nothing of who flew it is flown again
        if each.pair is not None and each.updates == updates and each.tells:
            halves.setdefault(each.pair, set()).add(each.kind)
    pair = next(number for number in count() if len(halves.get(number, ())) < 2)
    order = ("base", "learned") if pair % 2 else ("learned", "base")
    left = [kind for kind in order if kind not in halves.get(pair, ())]
    return Next(pair, left[0], len(left))
