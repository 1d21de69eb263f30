"""The report of an identification: what was found, how sure it is, and how well it predicts."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simreal import latencies
from simreal.column_names import parameter_of
from simreal.identification.identify import (
    Identification,
    describe_pushes,
    describe_widening,
    errors_by_joint,
)
from simreal.identification.torque_scale import torque_scales
from simreal.identification.verdict import HARDLY, verdict
from simreal.report import COLOUR, SECOND_COLOUR, Page, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_WINDOWS = 3
NO_BETTER = (
    "No model predicts what was held out better than the one as it is, by more than a standard error: "
    "keep that one. Parameters and bands below are of the best that was tried, for looking into it."
)
LEAST_SHOWN = 0.01
"""rad or m, that a vertical axis spans at least: what a joint does at rest is no motion."""
LAGS = 60
"""Samples, of the residuals' correlation."""


def rounded(deviation: float) -> str:
    """Two figures, never as a power of ten where a few zeros say it."""
    return f"{deviation:.2g}" if deviation < 100.0 else f"{float(f'{deviation:.2g}'):.0f}"


def plus_minus(value: float, deviation: float) -> str:
    """A value as far as its deviation lets it be known."""
    if deviation <= 0.0:
        return f"{value:.3g} ± 0"
    places = 1 - math.floor(math.log10(deviation))
    return f"{round(value, places):.{max(0, places)}f} ± {rounded(deviation)}"


def parameter_rows(found: Identification) -> list[tuple[str, str, str, str, str]]:
    """Name, value, deviation, bounds and a remark for each unknown of the chosen model."""
    best = found.best
    rows = []
    told = np.sqrt(np.diag(found.uncertainty.bounded_covariance))
    for unknown, value, deviation, own, prior in zip(
        best.fitted.simulator.unknowns,
        best.fitted.fit.values,
        found.deviations,
        told,
        found.uncertainty.prior,
        strict=True,
    ):
        remark = ""
        if parameter_of(unknown.name) in latencies.ALL:
            half = 0.5e3 * best.fitted.simulator.timestep
            remark = f"the robot's own may be up to {half:.2g} ms less: half a physics step"
        if own > HARDLY * prior:
            remark = "hardly told by these logs"
        if unknown.name in best.fitted.at_ends:
            remark = "at its end: these logs need none of it"
        if unknown.name in best.fitted.at_bounds:
            remark = "at its bound: not credible"
        elif best.fitted.at_bounds:
            remark = "not to be trusted: another one is at its bound"
        unit = "" if unknown.unit == "1" else f" {unknown.unit}"
        kind = {"scale": "times nominal", "add": "added", "absolute": ""}[unknown.operation]
        rows.append(
            (
                unknown.name,
                f"{value:.4g}{unit} {kind}".strip(),
                f"± {rounded(deviation)}",
                f"{unknown.low:g} to {unknown.high:g}",
                remark,
            )
        )
    return rows


def nominal_row(found: Identification) -> tuple[str, str, str, str]:
    """The same of the model as it is."""
    error = errors_by_joint(found, found.nominal.root_mean_square()[0])
    score, deviation = found.nominal_score
    excess = plus_minus(score - min(each.score for each in found.candidates), deviation)
    offered = "offered: no other is better" if found.nominal_suffices else ""
    return "0: the model as it is", error, excess, offered


def model_rows(found: Identification) -> list[tuple[str, str, str, str]]:
    """What each nested model adds, its score, and which is offered."""
    rows = []
    known: set[str] = set()
    best = min(each.score for each in found.candidates)
    for index, each in enumerate(found.candidates):
        names = {unknown.name for unknown in each.fitted.simulator.unknowns}
        added = [u.name for u in each.fitted.simulator.unknowns if u.name not in known]
        known = names
        shown = ", ".join(added[:6]) + (f" and {len(added) - 6} more" if len(added) > 6 else "")
        error = errors_by_joint(found, each.prediction.root_mean_square()[0])
        excess = plus_minus(each.score - best, each.standard_error)
        offered = index == found.chosen and not found.nominal_suffices
        chosen = "offered: the simplest within one standard error" if offered else ""
        rows.append((f"{len(names)}: + {shown}", error, excess, chosen))
    return rows


def combination_lines(found: Identification) -> list[str]:
    """What the logs cannot tell apart, a line for each."""
    return [
        f"not identifiable: {each.describe()} (singular value {each.singular_value:.2g})"
        for each in found.uncertainty.combinations
        if not each.identified
    ]


def write_page(found: Identification, path: Path) -> None:
    """Write the HTML report."""
    page = Page(f"Identification of {found.setup.robot.name}")
    best = found.best
    windows = best.fitted.simulator.windows
    page.text(
        f"{len(windows)} windows of {windows.length:g} s fitted, "
        f"{len(best.prediction.windows)} predicted; {found.split.how}."
    )
    if said := verdict(found).describe():
        page.text(f"Mind that {said}.")
    for line in (*(each.describe() for each in torque_scales(found)), *describe_pushes(found)):
        page.text(line)
    page.heading("Parameters")
    page.table(("", "value", "deviation", "bounds", ""), parameter_rows(found))
    page.text(
        "Deviations come from resampling blocks of windows, since residuals within one are correlated, "
        f"and are those of the file: {describe_widening(found)}.",
        note=True,
    )
    for spread in best.fitted.spreads:
        page.text(f"{spread.describe()}.")
    page.heading("Models")
    page.table(
        ("unknowns", "held-out error", "score above the best", ""),
        [nominal_row(found), *model_rows(found)],
    )
    if found.nominal_suffices:
        page.text(NO_BETTER)
    page.heading("What the logs can tell")
    lines = combination_lines(found)
    for line in lines or ["Every combination of the unknowns is told by these logs."]:
        page.text(line)
    page.picture(_singular_values(found))
    page.heading("Held-out windows")
    page.text(
        "The best, the middle and the worst of those that were predicted, each from its start alone."
    )
    page.picture(_held_out(found))
    page.heading("Residuals")
    page.text(
        "Over time within windows, a line for each, and how they hang together from sample to sample: "
        "of noise alone, only the first bar would stand."
    )
    page.picture(_residuals(found))
    page.write(path)


def _singular_values(found: Identification) -> "Figure":
    figure, (axis,) = new_figure(1, width=7.0, height=2.4)
    values = [max(each.singular_value, 1e-6) for each in found.uncertainty.combinations]
    colours = [COLOUR if each.identified else SECOND_COLOUR for each in found.uncertainty.combinations]
    axis.bar(np.arange(len(values)), values, color=colours)
    axis.set_yscale("log")
    axis.set_xlabel("combination of unknowns")
    axis.set_ylabel("singular value")
    return figure


def _held_out(found: Identification) -> "Figure":
    prediction = found.best.prediction
    windows = prediction.windows
    joints = found.setup.robot.description.joints
    shown = min(4, len(joints))
    size = np.sqrt((np.nan_to_num(prediction.error[0], nan=9.0) ** 2).mean(axis=(1, 2)))
    order = np.argsort(size)
    picked = order[np.linspace(0, len(order) - 1, min(SHOWN_WINDOWS, len(order))).astype(int)]
    low, high = found.low, found.high
    figure, axes = new_figure(len(picked), shown, width=3.2, height=2.0)
    for row in range(shown):
        for column, window in enumerate(picked):
            axis = axes[row * len(picked) + column]
            keep = windows.valid[window]
            time = windows.time[window][keep] - windows.lead
            edges = low[window, keep, row], high[window, keep, row]
            axis.fill_between(time, *edges, color=COLOUR, alpha=0.2, lw=0, label="band of the file")
            axis.plot(time, windows.position[window, keep, row], color="#222", lw=1.0, label="measured")
            predicted = prediction.predicted[0, window, keep, 0, row]
            axis.plot(time, predicted, color=COLOUR, lw=1.0, label="predicted")
            if column == 0:
                axis.set_ylabel(f"{joints[row].name}, {joints[row].unit}", fontsize=8)
            if row == 0:
                axis.set_title(_title(found, int(window), column, len(picked)), fontsize=8)
            if row == shown - 1:
                axis.set_xlabel("s since the window began", fontsize=8)
            _readable(axis)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure


def _title(found: Identification, window: int, place: int, places: int) -> str:
    """How good a held-out window is among those, and where it stands in its log."""
    windows = found.best.prediction.windows
    begin = windows.start[window] + windows.lead
    said = ("best, ", "middle, ", "worst, ")[place] if places == SHOWN_WINDOWS else ""
    return f"{said}from {begin:.2f} s of its log"


def _readable(axis: Any) -> None:
    """Small numbers written out, and no zoom into what is no motion."""
    low, high = axis.get_ylim()
    if high - low < LEAST_SHOWN:
        middle = 0.5 * (low + high)
        axis.set_ylim(middle - 0.5 * LEAST_SHOWN, middle + 0.5 * LEAST_SHOWN)
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.tick_params(labelsize=7)


def _residuals(found: Identification) -> "Figure":
    prediction = found.best.prediction
    joints = found.setup.robot.description.joints
    shown = min(4, len(joints))
    figure, axes = new_figure(shown, 2, width=3.2, height=2.0)
    valid = prediction.windows.valid
    for joint in range(shown):
        error = np.where(valid, np.nan_to_num(prediction.error[0, ..., joint]), np.nan)
        time = prediction.windows.time[0] - prediction.windows.lead
        axes[joint].plot(time, error.T, color=COLOUR, lw=0.5, alpha=0.4)
        axes[joint].set_title(joints[joint].name, fontsize=8)
        axes[joint].set_xlabel("s since the window began", fontsize=8)
        axes[joint].set_ylabel(f"predicted less measured, {joints[joint].unit}", fontsize=7)
        series = np.nan_to_num(error)
        power = max(float((series**2).sum()), 1e-30)
        lags = range(min(LAGS, series.shape[1] - 1))
        correlation = [
            float((series[:, : series.shape[1] - lag] * series[:, lag:]).sum()) / power for lag in lags
        ]
        axes[shown + joint].bar(list(lags), correlation, color=COLOUR, width=1.0)
        axes[shown + joint].set_xlabel("lag, samples", fontsize=8)
        axes[shown + joint].set_ylabel("correlation", fontsize=7)
        axes[shown + joint].tick_params(labelsize=7)
        _readable(axes[joint])
    return figure
