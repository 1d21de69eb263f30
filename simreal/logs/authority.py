"""When the commands in a log acted in full: neither while authority grows, nor while it is damped."""

import numpy as np

from simreal.logs.robot_log import RobotLog

AUTHORITY = "authority"
"""Channel: share of gains or effort with which each cycle's command acted; 0 where none was followed.

Of motors that are no servos it is 1 from the first command on: what was logged is what acted.
"""
FULL = 1.0 - 1e-6

Span = tuple[float, float]


def full_authority(log: RobotLog) -> list[Span] | None:
    """Begin and end, in s, of each stretch in which commands acted in full; None if the log is silent.

    Each lasts to the first cycle whose command does not, or to the end of the log.
    """
    if AUTHORITY not in log:
        return None
    table = log[AUTHORITY]
    full = np.concatenate(([False], table.values[:, 0] >= FULL, [False]))
    changes = np.flatnonzero(np.diff(full.astype(np.int8)))
    ends = np.append(table.time, np.inf)
    return [(float(ends[first]), float(ends[last])) for first, last in changes.reshape(-1, 2)]
