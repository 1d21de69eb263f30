"""Whether logs told what was asked of them: what a reader must know before any number."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simreal.column_names import parameter_of
from simreal.identification.identify import Identification
from simreal.identification.unknowns import Asked, Unknown
from simreal.identification.windows import Windows

HARDLY = 0.5
"""Share of what its bounds leave, above which an unknown's deviation says that logs hardly tell it."""
REST = 0.05
"""Share of its motion in all recordings, below which a joint counts as at rest within a window."""
MOST_RESTING = 0.75
"""Share of the windows in which all joints rest, beyond which a log tells of one posture alone."""
LEAST_TOLD = 0.75
"""Share of the unknowns that must be told for a file to be worth training with."""
LEADING = 0.5
"""Part in a combination that no log tells, in deviations of the bounds, from which on an unknown counts
as one of those that it leaves untold."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the logs tell.

    Attributes:
        unknowns: how many there are.
        at_bounds: names whose search wanted further: all others made up for it.
        hardly_told: names that the logs leave about where their bounds did.
        confounded: names that only act together with others.
        resting: share of the windows in which all joints rest, of those fitted or those held out,
            whichever is larger.
    """

    unknowns: int
    at_bounds: tuple[str, ...]
    hardly_told: tuple[str, ...]
    confounded: tuple[str, ...]
    resting: float = 0.0

    @property
    def untold(self) -> tuple[str, ...]:
        """Names that the logs do not tell enough of, each once."""
        return tuple(dict.fromkeys((*self.at_bounds, *self.hardly_told, *self.confounded)))

    @property
    def sound(self) -> bool:
        """Whether enough is told to train with."""
        told = self.unknowns - len(self.untold)
        return not self.at_bounds and told >= LEAST_TOLD * self.unknowns and self.resting <= MOST_RESTING

    def describe(self) -> str:
        """For people; empty where all is told."""
        share = f"{100 * self.resting:.0f} %"
        rest = (
            f"all joints rest in {share} of the windows: these logs tell little but one posture, "
            "whatever the deviations below say"
            if self.resting > MOST_RESTING
            else ""
        )
        if not self.untold:
            return rest
        reasons = dict.fromkeys(self.confounded, "not to be told from others")
        reasons |= dict.fromkeys(self.hardly_told, "hardly told")
        reasons |= dict.fromkeys(self.at_bounds, "at a bound")
        listed = "; ".join(
            f"{why}: {', '.join(name for name, each in reasons.items() if each == why)}"
            for why in dict.fromkeys(reasons.values())
        )
        count = f"{len(self.untold)} of the {self.unknowns} unknowns"
        shifted = "; what is at a bound shifts the others, which are not to be trusted either"
        return (
            f"{rest}{'; ' if rest else ''}these logs do not tell enough of {count} ({listed})"
            f"{shifted if self.at_bounds else ''}"
        )


def verdict(found: Identification) -> Verdict:
    """Of the model that is offered."""
    known = found.uncertainty
    names = found.best.fitted.simulator.names
    told = np.sqrt(np.diag(known.bounded_covariance))
    loose = [each for each in known.combinations if not each.identified]
    confounded = {name for each in loose for name, share in each.shares.items() if abs(share) >= LEADING}
    return Verdict(
        len(names),
        tuple(found.best.fitted.at_bounds),
        tuple(
            name
            for name, own, prior in zip(names, told, known.prior, strict=True)
            if own > HARDLY * prior
        ),
        tuple(name for name in names if name in confounded),
        _resting(found),
    )


def wider(found: Identification) -> tuple[Asked, ...]:
    """What the offered model was asked for, with more room for what is at a bound."""
    stopped = found.best.fitted.at_bounds
    unknowns = [each for each in found.best.fitted.simulator.unknowns if each.name in stopped]
    return tuple(_with_room(each, unknowns) for each in found.best.asked)


def _with_room(asked: Asked, stopped: list[Unknown]) -> Asked:
    label = f"{asked.name}[{asked.pattern}]"
    own = [
        each.wider
        for each in stopped
        if (parameter_of(each.name) == asked.name if asked.pattern is None else each.name == label)
    ]
    if not own:
        return asked
    return replace(asked, bounds=(min(low for low, _ in own), max(high for _, high in own)))


def _resting(found: Identification) -> float:
    """Share of the windows in which no joint moves, of those fitted or held out."""
    parts = found.best.fitted.simulator.windows, found.best.prediction.windows
    moved = [_spans(windows) for windows in parts]
    whole = np.max([np.ptp(each.position, axis=0) for part in parts for each in part.recordings], axis=0)
    return max(float(np.mean((each <= REST * whole).all(axis=1))) for each in moved)


def _spans(windows: Windows) -> NDArray[np.float64]:
    """(windows, joints) by how much each joint moves within each window."""
    valid = windows.valid[..., None]
    high = np.where(valid, windows.position, -np.inf).max(axis=1)
    low = np.where(valid, windows.position, np.inf).min(axis=1)
    return np.asarray(high - low)
