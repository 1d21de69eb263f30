"""Pictures of a schedule: how the drawn ranges moved over the training, against the hand-set limits."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simreal.errors import UserError, missing_extra
from simreal.randomization.schedule_interface import HistoryRow, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR, LIMIT_COLOUR = "#1f6f8b", "#c0562f"
ACROSS = 4


def read_history(path: Path) -> list[HistoryRow]:
    """Read a ``schedule.csv``.

    Raises:
        UserError: there is none, or the file is something else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
        if not lines or tuple(lines[0]) != HistoryRow._fields:
            raise ValueError
        return [
            HistoryRow(int(step), column, float(low), float(high), float(entropy))
            for step, column, low, high, entropy in lines[1:]
        ]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError:
        raise UserError(
            f"{path}: not a schedule's history: expected columns {', '.join(HistoryRow._fields)}"
        ) from None


def schedule_figure(rows: Sequence[HistoryRow], space: Space) -> "Figure":
    """Draw the range of each column over the steps, and the mean entropy.

    Args:
        rows: of `Schedule.history`, from any number of steps.
        space: what the schedule moved in; its limits are drawn as dashed lines, nominal as dots.

    Raises:
        UserError: no rows, or no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "train") from None
    moved = {row.column for row in rows}
    names = [name for name in space.columns if name in moved]
    if not names:
        raise UserError("schedule: no history to draw")
    across = min(ACROSS, len(names) + 1)
    down = -(-(len(names) + 1) // across)
    figure = Figure(figsize=(2.9 * across, 2.2 * down), layout="constrained")
    axes = np.atleast_1d(np.array(figure.subplots(down, across))).ravel().tolist()
    _draw_entropy(axes[0], rows)
    for axis, name in zip(axes[1:], names, strict=False):
        _draw_range(axis, [row for row in rows if row.column == name], space)
    for axis in axes[: len(names) + 1]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    for axis in axes[len(names) + 1 :]:
        axis.set_visible(False)
    return figure


def _draw_entropy(axis: Any, rows: Sequence[HistoryRow]) -> None:
    """The mean over columns; a column of no width, minus infinity, leaves a gap."""
    steps = sorted({row.step for row in rows})
    means = [np.mean([row.entropy for row in rows if row.step == step]) for step in steps]
    axis.plot(steps, means, color=COLOUR, lw=1.2)
    axis.set_title("entropy [nats per column]", fontsize=8)
    axis.set_xlabel("environment steps", fontsize=7)


def _draw_range(axis: Any, rows: Sequence[HistoryRow], space: Space) -> None:
    """One column's range as a band between its limits."""
    column = space.columns.index(rows[0].column)
    steps = [row.step for row in rows]
    low, high = [row.low for row in rows], [row.high for row in rows]
    axis.fill_between(steps, low, high, step="post", color=COLOUR, alpha=0.35, linewidth=0)
    axis.step(steps, low, steps, high, where="post", color=COLOUR, lw=1.2)
    for limit in (space.low[column], space.high[column]):
        axis.axhline(limit, color=LIMIT_COLOUR, lw=0.9, ls="--")
    axis.axhline(space.nominal[column], color="#666", lw=0.9, ls=":")
    if space.logarithmic[column]:
        axis.set_yscale("log")
    axis.set_title(rows[0].column, fontsize=8)
