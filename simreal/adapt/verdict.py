"""Whether logs told what was asked of them: what a reader must know before any number."""

from dataclasses import dataclass

import numpy as np

from simreal.adapt.identify import Identification

HARDLY = 0.5
"""Share of what its bounds leave, above which an unknown's deviation says that logs hardly tell it."""
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
        at_bounds: names whose search wanted further.
        hardly_told: names that the logs leave about where their bounds did.
        confounded: names that only act together with others.
    """

    unknowns: int
    at_bounds: tuple[str, ...]
    hardly_told: tuple[str, ...]
    confounded: tuple[str, ...]

    @property
    def untold(self) -> tuple[str, ...]:
        """Names that the logs do not tell enough of, each once."""
        return tuple(dict.fromkeys((*self.at_bounds, *self.hardly_told, *self.confounded)))

    @property
    def sound(self) -> bool:
        """Whether enough is told to train with."""
        return self.unknowns - len(self.untold) >= LEAST_TOLD * self.unknowns

    def describe(self) -> str:
        """For people; empty where all is told."""
        if not self.untold:
            return ""
        reasons = dict.fromkeys(self.confounded, "not to be told from others")
        reasons |= dict.fromkeys(self.hardly_told, "hardly told")
        reasons |= dict.fromkeys(self.at_bounds, "at a bound")
        listed = "; ".join(
            f"{why}: {', '.join(name for name, each in reasons.items() if each == why)}"
            for why in dict.fromkeys(reasons.values())
        )
        count = f"{len(self.untold)} of the {self.unknowns} unknowns"
        return f"these logs do not tell enough of {count} ({listed})"


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
    )
