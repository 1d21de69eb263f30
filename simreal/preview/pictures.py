"""The pictures of `simreal preview`."""

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from simreal.figure import WireFigure
from simreal.preview.worlds import SAMPLES, Preview
from simreal.report import COLOUR, SECOND_COLOUR, line_chart, new_figure
from simreal.state import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


BINS = 32
ACROSS = 4
"""Histograms in a row."""
PAIRS = 6
"""Scatter plots for a joint entry: its most correlated pairs."""
POINTS = 500
"""In a scatter plot."""
NOMINAL_COLOUR = "#222222"


def world_colours(count: int) -> list[str]:
    """A colour for each world, neighbours far apart."""
    golden = (5**0.5 - 1) / 2  # a turn by it never comes near to where one has been before
    rgb = [colorsys.hls_to_rgb((0.55 + golden * k) % 1.0, 0.45, 0.6) for k in range(count)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in rgb]


def command_curves(preview: Preview) -> "Figure":
    """What all robots are commanded."""
    motions, actuators = preview.response.sampled, preview.env.contract.robot.actuators
    lines = {
        f"{actuator.name} [{actuator.unit}]": (motions.time[:-1], motions.command[:, place])
        for place, actuator in enumerate(actuators)
    }
    return line_chart(lines, "s", "command" if len(lines) > 1 else next(iter(lines)))


def motion_curves(preview: Preview) -> "Figure":
    """True positions of each joint, and what the controllers get wrong about them."""
    sampled, nominal = preview.response.sampled, preview.response.nominal
    joints = preview.env.contract.robot.joints
    figure, axes = new_figure(2, len(joints), width=4.4, height=2.2)
    colours = world_colours(len(preview.seeds))
    for place, joint in enumerate(joints):
        truth, error = axes[2 * place], axes[2 * place + 1]
        for world, colour in enumerate(colours):
            position, reading = sampled.position[world, :, place], sampled.reading[world, :, place]
            truth.plot(sampled.time, position, color=colour, lw=0.9)
            error.plot(sampled.time, reading - position, color=colour, lw=0.7)
        truth.plot(nominal.time, nominal.position[0, :, place], color=NOMINAL_COLOUR, lw=1.8)
        wrong = nominal.reading[0, :, place] - nominal.position[0, :, place]
        error.plot(nominal.time, wrong, color=NOMINAL_COLOUR, lw=1.2)
        truth.set_title(f"{joint.name}: true position [{joint.unit}]", fontsize=9)
        error.set_title(f"{joint.name}: reading minus truth [{joint.unit}]", fontsize=9)
    for axis in axes:
        axis.tick_params(labelsize=7)
    for axis in axes[-2:]:
        axis.set_xlabel("s", fontsize=8)
    return figure


def together(figures: Sequence[WireFigure], nominal: WireFigure) -> WireFigure:
    """Robots in one picture: what moves in the colour of its world, what stands still once."""
    pieces = [*zip(figures, world_colours(len(figures)), strict=True), (nominal, NOMINAL_COLOUR)]
    segments, colours = [], []
    for figure, colour in pieces:
        moves = np.ptp(figure.segments, axis=0).max(axis=(1, 2)) > 1e-6
        shown = np.flatnonzero(moves | (figure is nominal))
        segments.append(figure.segments[:, shown])
        colours += [colour if moves[i] else "#bbbbbb" for i in shown]
    return WireFigure(np.concatenate(segments, axis=1), colours)


def histograms(preview: Preview, columns: Sequence[int]) -> "Figure":
    """How often each value of some columns is drawn."""
    rows, tall, gap = -(-len(columns) // ACROSS), 1.05, 0.5
    height = tall * (1.0 + gap - gap / rows)  # so that all figures have axes of one size
    figure, axes = new_figure(ACROSS, rows, width=2.4, height=height, spaced=False)
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0, wspace=0.12, hspace=gap)
    for axis in axes[len(columns) :]:
        axis.set_visible(False)
    for axis, column in zip(axes, columns, strict=False):
        _draw_histogram(axis, preview, column)
    return figure


def _draw_histogram(axis: Any, preview: Preview, column: int) -> None:
    space, nominal = preview.space, float(preview.nominal[column])
    low, high = float(space.low[column]), float(space.high[column])
    logarithmic = bool(space.logarithmic[column])
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    edges[[0, -1]] = low, high
    counts, _ = np.histogram(preview.samples[:SAMPLES, column], edges)
    axis.stairs(counts, edges, fill=True, color=COLOUR, alpha=0.65)
    if preview.schedule is not None:
        start, end = (ends[column] for ends in preview.schedule.ranges())
        axis.axvspan(start, end, color=SECOND_COLOUR, alpha=0.3, lw=0)
    for limit in (low, high):
        axis.axvline(limit, color=SECOND_COLOUR, lw=0.9, ls="--")
    if abs(nominal - 0.5 * (low + high)) < high - low:  # else it would press the histogram together
        axis.axvline(nominal, color=NOMINAL_COLOUR, lw=1.1, ls=":")
    tall = counts.max()
    colours = world_colours(len(preview.seeds))
    axis.vlines(preview.draws[:, column], -0.16 * tall, -0.03 * tall, colors=colours, lw=1.4)
    axis.set_ylim(-0.2 * tall, 1.05 * tall)
    if logarithmic:
        axis.set_xscale("log")
    ticks = [low, float(np.sqrt(low * high)) if logarithmic else 0.5 * (low + high), high]
    axis.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks], fontsize=6)
    axis.set_xticks([], minor=True)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_title(preview.label(column), fontsize=7)


def rank_correlation(samples: FloatArray) -> FloatArray:
    """(columns, columns) Spearman's rank correlation of (samples, columns)."""
    found = np.atleast_2d(spearmanr(samples).statistic)
    if found.shape == (1, 1):  # of two columns SciPy gives one number
        return np.array([[1.0, found[0, 0]], [found[0, 0], 1.0]])
    return found


def correlations(preview: Preview, columns: Sequence[int]) -> "Figure":
    """A matrix of rank correlations."""
    found = rank_correlation(preview.samples[:SAMPLES, columns])
    size = 1.6 + 0.45 * len(columns)
    figure, (axis,) = new_figure(1, width=size + 1.2, height=size)
    axis.imshow(found, cmap="RdBu_r", vmin=-1, vmax=1)
    names = [preview.space.columns[i] for i in columns]
    axis.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    if len(names) <= 12:
        for (i, j), value in np.ndenumerate(found):
            shade = "white" if abs(value) > 0.6 else NOMINAL_COLOUR
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6, color=shade)
    return figure


def scatters(preview: Preview, columns: Sequence[int]) -> "Figure":
    """Draws of the most correlated pairs of columns, the sampled worlds in their colours."""
    found = np.abs(rank_correlation(preview.samples[:SAMPLES, columns]))
    rows, others = np.triu_indices(len(columns), 1)
    strongest = np.argsort(-found[rows, others], kind="stable")[:PAIRS]
    across = min(3, len(strongest))
    figure, axes = new_figure(across, -(-len(strongest) // across), width=2.9, height=2.3)
    for axis in axes[len(strongest) :]:
        axis.set_visible(False)
    for axis, pair in zip(axes, strongest, strict=False):
        x, y = columns[rows[pair]], columns[others[pair]]
        axis.scatter(*preview.samples[:POINTS, [x, y]].T, s=3, color=COLOUR, alpha=0.3, linewidths=0)
        colours = world_colours(len(preview.seeds))
        axis.scatter(*preview.draws[:, [x, y]].T, s=16, c=colours, edgecolors="white", linewidths=0.5)
        axis.set_xlabel(preview.space.columns[x], fontsize=7)
        axis.set_ylabel(preview.space.columns[y], fontsize=7)
        axis.tick_params(labelsize=6)
    return figure
