"""The sections of a page on sensitivity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simreal.evaluate import summary_rows
from simreal.evaluation_page import sweep_curves
from simreal.report import COLOUR, Page, new_figure
from simreal.sensitivity.results import Pair, Sensitivity
from simreal.sensitivity.tables import (
    COLUMN_HEADER,
    FAILURE_HEADER,
    PAIR_HEADER,
    column_rows,
    describe,
    failure_rows,
    failure_text,
    label,
    pair_rows,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAT_MAPS_IN_A_ROW = 3


def add_sensitivity(page: Page, result: Sensitivity) -> None:
    """Sections on each column alone, on pairs, and on failures."""
    page.heading(f"Sensitivity of {result.candidate}")
    page.table(("all columns drawn", "value (95 % interval)"), summary_rows(result.base))
    if not result.is_complete:
        page.text("Interrupted: what was known by then.")
    if result.sweeps:
        _add_columns(page, result)
    if result.pairs:
        _add_pairs(page, result)
    page.heading("What explains the failures")
    page.text(failure_text(result))
    if result.attribution.repeated:
        _add_failures(page, result)


def _add_columns(page: Page, result: Sensitivity) -> None:
    page.heading("Each column alone")
    page.text(
        f"Each column held at each value, all others drawn, over the same {result.episodes} episodes. "
        "The drop is from the best value to the worst, chosen by one half of the episodes and judged by "
        "the other: a column without effect comes to 0, but for noise."
    )
    page.table(COLUMN_HEADER, column_rows(result))
    page.text("Success (line, with 95 % intervals) and mean return (dots), worst column first.")
    page.picture(sweep_curves({label(sweep.column): sweep.curve for sweep in result.sweeps}))
    outside = [sweep.column for sweep in result.sweeps if sweep.column.leaves_range]
    if outside:
        page.text(
            "Trained ranges: "
            + ", ".join(
                f"{each.name} {describe(each, each.low)} to {describe(each, each.high)}"
                for each in outside
            ),
            note=True,
        )


def _add_pairs(page: Page, result: Sensitivity) -> None:
    page.heading("The worst columns in pairs")
    page.text(
        "Success in %, in brackets what it would be if the two columns acted independently. Pairs with "
        "the greatest gap between the two first."
    )
    page.table(PAIR_HEADER, pair_rows(result))
    page.picture(heat_maps(result.pairs))


def heat_maps(pairs: Sequence[Pair]) -> "Figure":
    """Success over both columns of each pair."""
    columns = min(HEAT_MAPS_IN_A_ROW, len(pairs))
    figure, axes = new_figure(columns, -(-len(pairs) // columns), height=3.0)
    for axis in axes[len(pairs) :]:
        axis.set_visible(False)
    for axis, pair in zip(axes, pairs, strict=False):
        _heat_map(axis, pair)
    return figure


def _heat_map(axis: Any, pair: Pair) -> None:
    axis.imshow(pair.success, cmap="viridis", vmin=0.0, vmax=1.0, origin="lower", aspect="auto")
    axis.set_xticks(range(len(pair.second_values)), [f"{value:.3g}" for value in pair.second_values])
    axis.set_yticks(range(len(pair.first_values)), [f"{value:.3g}" for value in pair.first_values])
    axis.set_xlabel(label(pair.second), fontsize=8)
    axis.set_ylabel(label(pair.first), fontsize=8)
    axis.tick_params(labelsize=7)
    for (row, column), share in np.ndenumerate(pair.success):
        text = f"{100 * share:.0f}\n({100 * pair.predicted[row, column]:.0f})"
        axis.text(
            column, row, text, ha="center", va="center", fontsize=7, color="w" if share < 0.6 else "k"
        )


def _add_failures(page: Page, result: Sensitivity) -> None:
    page.text(
        "Each was replayed with the same seed and draw, but one column at its nominal value. Where it "
        "then succeeds, the column explains the failure; several may do so. A failure on a knife's edge "
        "goes away with any change: the last row tells how often another start and noise suffice, and "
        "the last column how much more often the column does."
    )
    page.table(FAILURE_HEADER, failure_rows(result))
    page.picture(failure_bars(result))


def failure_bars(result: Sensitivity) -> "Figure":
    """Share of the failures that each column explains, with chance as a line."""
    found = result.attribution
    shares = sorted(found.columns.items(), key=lambda item: item[1].value)
    figure, (axis,) = new_figure(1, width=8.5, height=0.8 + 0.28 * len(shares))
    values = np.array([tuple(share) for _, share in shares])
    errors = np.maximum(0.0, [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]])
    axis.barh([name for name, _ in shares], values[:, 0], xerr=errors, color=COLOUR, capsize=2)
    axis.axvline(found.chance.value, color="k", ls=":", lw=1, label="chance")
    axis.set_xlim(0.0, 1.05)
    axis.set_xlabel("share of the failures that it explains")
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    return figure
