"""Whether logs support what was learned from them: a policy may only change to what was tried.

Critics that never saw an action say anything of it. So a change is held against what the logs hold, on
steps that were kept from the learning: how far the actions move, how near to recorded ones they stay,
how much the critics differ over them, and whether all of them think it a gain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from simreal.adapt.offline import Critics
from simreal.adapt.transitions import Transitions

FEWEST = 2_000
"""Transitions to learn from: 20 s at 100 Hz."""
HELD_OUT = 0.2
"""Share of each unbroken stretch, at its end, that is kept from the learning."""
LARGEST_MOVE = 1.5
"""By how much actions may move, in shares of what recorded ones left the policy by (both RMS)."""
LARGEST_FAR_SHARE = 0.15
"""Of steps whose new action lies further from recorded ones than 95 % of the kept ones do."""
LARGEST_DISAGREEMENT = 1.5
"""Spread of the critics over new actions, in shares of that over recorded ones."""
QUERIES, NEIGHBOURS = 2_000, 20_000
"""Most steps that are asked, and that are searched for what is nearest."""
LEAST_SPREAD = 1e-3
"""Of actions in [-1, 1]; less is no exploration."""

Act = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of support.

    Attributes:
        name: of it.
        found: the number.
        bound: the most of it that is allowed, or the least.
        passed: whether it holds.
        text: what is wrong where it does not.
    """

    name: str
    found: float
    bound: float
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """All conditions."""

    checks: tuple[Check, ...]

    @property
    def objections(self) -> list[str]:
        """What speaks against the change; nothing where the logs support it."""
        return [f"{check.name}: {check.text}" for check in self.checks if not check.passed]


def split(data: Transitions) -> tuple[Transitions, Transitions]:
    """What is learned from, and what is kept from it: the end of each unbroken stretch."""
    kept = np.zeros(len(data), dtype=bool)
    for run in np.unique(data.run):
        rows = np.flatnonzero(data.run == run)
        kept[rows[len(rows) - round(HELD_OUT * len(rows)) :]] = True
    return data.rows(~kept), data.rows(kept)


def amount(learned: Transitions) -> Check:
    """Whether there is enough to learn from at all."""
    number = len(learned)
    left_out = {
        "since a limit stood between action and command": learned.limited,
        "since the next one is not in the logs": learned.broken,
    }
    told = "".join(f", {count} left out {why}" for why, count in left_out.items() if count)
    text = f"{number} steps to learn from{told}; at least {FEWEST} are needed: record longer"
    return Check("amount", number, FEWEST, number >= FEWEST, text)


def exploration(learned: Transitions, base: Act) -> Check:
    """Whether the logs hold other actions than the policy's own."""
    spread = tried(learned, base)
    text = (
        f"recorded actions leave the policy's by {spread:.2g} in root mean square: what else it could "
        "do is not in the logs; record with another policy, or with noise on this one"
    )
    return Check("exploration", spread, LEAST_SPREAD, spread >= LEAST_SPREAD, text)


def tried(data: Transitions, base: Act) -> float:
    """Root mean square by which recorded actions leave a policy's."""
    with torch.no_grad():
        difference = base(torch.from_numpy(data.observation)).numpy() - data.action
    return float(np.sqrt(np.mean(difference**2)))


def support(learned: Transitions, kept: Transitions, base: Act, new: Act, critics: Critics) -> Coverage:
    """Hold a change against what was recorded.

    Args:
        learned: what it was learned from, observations normalised.
        kept: what was kept from the learning.
        base: the policy before.
        new: the policy after.
        critics: that it was learned with.
    """
    chosen = np.random.default_rng(0).permutation(len(kept))[:QUERIES]
    observation = torch.from_numpy(kept.observation[chosen])
    recorded = torch.from_numpy(kept.action[chosen])
    with torch.no_grad():
        before, after = base(observation), new(observation)
        values = {
            name: critics(observation, action)
            for name, action in (("before", before), ("after", after), ("recorded", recorded))
        }
    move = float((after - before).square().mean().sqrt())
    bound = LARGEST_MOVE * tried(learned, base)
    far = _far_share(learned, observation, recorded, after)
    spreads = {name: float(value.std(dim=0).mean()) for name, value in values.items()}
    disagreement = spreads["after"] / max(spreads["recorded"], 1e-9)
    gain = float((values["after"] - values["before"]).mean(dim=1).min())
    return Coverage(
        (
            Check(
                "move",
                move,
                bound,
                move <= bound,
                f"actions move by {move:.2g} in root mean square, and the logs tried {bound:.2g} "
                f"({LARGEST_MOVE:g} times what they left the policy by)",
            ),
            Check(
                "neighbours",
                far,
                LARGEST_FAR_SHARE,
                far <= LARGEST_FAR_SHARE,
                f"{100 * far:.0f} % of the new actions lie further from recorded ones than those do "
                f"from each other, at most {100 * LARGEST_FAR_SHARE:g} % may",
            ),
            Check(
                "disagreement",
                disagreement,
                LARGEST_DISAGREEMENT,
                disagreement <= LARGEST_DISAGREEMENT,
                f"the critics differ {disagreement:.2g} times as much over new actions as over recorded "
                f"ones, at most {LARGEST_DISAGREEMENT:g} times",
            ),
            Check(
                "gain",
                gain,
                0.0,
                gain > 0.0,
                f"one of the critics thinks the change no gain ({gain:.2g} of reward a step)",
            ),
        )
    )


def _far_share(
    learned: Transitions, observation: torch.Tensor, recorded: torch.Tensor, after: torch.Tensor
) -> float:
    """Share of new actions that lie further from what was learned from than recorded ones do."""
    rows = np.random.default_rng(1).permutation(len(learned))[:NEIGHBOURS]
    spread = np.maximum(learned.action.std(axis=0), LEAST_SPREAD)
    scale = torch.from_numpy(spread.astype(np.float32))
    width = torch.from_numpy(np.maximum(learned.observation.std(axis=0), 1e-3))
    known = torch.cat(
        (
            torch.from_numpy(learned.observation[rows]) / width,
            torch.from_numpy(learned.action[rows]) / scale,
        ),
        dim=1,
    )

    def nearest(action: torch.Tensor) -> NDArray[np.float32]:
        asked = torch.cat((observation / width, action / scale), dim=1)
        found: NDArray[np.float32] = torch.cdist(asked, known).min(dim=1).values.numpy()
        return found

    return float(np.mean(nearest(after) > np.quantile(nearest(recorded), 0.95)))
