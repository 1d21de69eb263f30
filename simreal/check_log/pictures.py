"""Pictures of the stretch in which a check found something."""

import numpy as np

from simreal.check_log.finding import Picture
from simreal.check_log.subject import Rows
from simreal.logs.robot_log import Channel
from simreal.state import FloatArray

REACH = 1.0
"""s to either side of what is shown."""


def around(table: Channel, column: int, row: int) -> Picture:
    """One column about a row, which is marked."""
    at = float(table.time[row])
    rows = np.abs(table.time - at) <= REACH
    curve = table.time[rows], table.values[rows, column]
    return Picture(table.units[column], {table.names[column]: curve}, [(at, at)])


def fastest_stretch(
    time: FloatArray, curves: dict[str, FloatArray], unit: str, of: FloatArray
) -> Picture:
    """Curves where another one is largest.

    Args:
        time: (n,) s.
        curves: label to (n,) values.
        unit: theirs.
        of: (n,) by whose magnitude the place is chosen.
    """
    at = float(time[int(np.nanargmax(np.abs(of)))])
    rows = np.abs(time - at) <= REACH
    return Picture(unit, {label: (time[rows], values[rows]) for label, values in curves.items()})


def steps_picture(table: Channel, rows: Rows) -> Picture:
    """The steps between a channel's stamps, in ms; those that begin at some rows are marked."""
    steps = np.diff(table.time) * 1e3
    spans = [(float(table.time[row]), float(table.time[row + 1])) for row in rows[:50]]
    return Picture("step, ms", {"step": (table.time[1:], steps)}, [(min(s), max(s)) for s in spans])
