"""Which logs a residual model learns from, and which it is judged by."""

from collections.abc import Sequence

import numpy as np

from simreal.errors import UserError
from simreal.identification.recording import Recording

SHARE_HELD_OUT = 0.25
"""Of the logs, by which the strength is chosen; of the others, by which each member stops."""
FEWEST = 4
"""Recordings, of which that share is one."""


def refuse_too_few(recordings: Sequence[Recording]) -> None:
    """Without torch, so that it is said before that is loaded.

    Raises:
        UserError: fewer than four recordings.
    """
    if len(recordings) < FEWEST:
        raise UserError(f"{len(recordings)} logs: at least four are needed, to hold some out")


def hold_out(recordings: Sequence[Recording], seed: int) -> tuple[list[Recording], list[Recording]]:
    """Recordings to fit, and a fourth to judge by, evenly over the groups."""
    order = np.random.default_rng(seed).permutation(len(recordings))
    ranked = sorted(order, key=lambda place: recordings[place].group)
    judges = set(ranked[1 :: round(1 / SHARE_HELD_OUT)])
    fitted = [each for place, each in enumerate(recordings) if place not in judges]
    return fitted, [recordings[place] for place in sorted(judges)]
