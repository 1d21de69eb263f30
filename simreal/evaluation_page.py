"""An evaluation on a page: its numbers, and success over each parameter."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simreal.evaluate import Evaluation, Summary, evaluation_rows, summarize
from simreal.report import COLOUR, SECOND_COLOUR, Page, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 6
"""Of episodes, over a parameter."""


def add_evaluation(page: Page, evaluation: Evaluation, labels: Mapping[str, str]) -> None:
    """A section on an evaluation: numbers, curves over each parameter, sweeps.

    Args:
        page: that grows.
        evaluation: of a policy.
        labels: of the drawn parameters, for axes; their names where there is none.
    """
    page.heading(f"Evaluation of {evaluation.candidate}")
    page.table(("", "value (95 % interval)"), evaluation_rows(evaluation))
    if evaluation.pins:
        pins = ", ".join(f"{name} = {value:g}" for name, value in evaluation.pins.items())
        page.text(f"Held: {pins}.")
    names = [name for name in evaluation.episodes[0].draw if _varies(evaluation, name)]
    if names:
        page.text(
            "Success (line, with 95 % intervals, in bins of as many episodes each) and return (dots) "
            "over each randomized parameter, the others drawn as in training."
        )
        page.picture(parameter_curves(evaluation, names, labels))
    if evaluation.curves:
        page.text("Sweeps: the parameter held at each value, success (line) and mean return (dots).")
        page.picture(
            sweep_curves({labels.get(name, name): each for name, each in evaluation.curves.items()})
        )


def _varies(evaluation: Evaluation, name: str) -> bool:
    values = {episode.draw[name] for episode in evaluation.episodes}
    return len(values) > 1


def parameter_curves(
    evaluation: Evaluation, names: Sequence[str], labels: Mapping[str, str]
) -> "Figure":
    """Success and return over the drawn values of each parameter, in bins of equal count."""
    columns = min(3, len(names))
    figure, axes = new_figure(columns, -(-len(names) // columns))
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes, names, strict=False):
        episodes = sorted(evaluation.episodes, key=lambda episode: episode.draw[name])
        bins = [b for b in np.array_split(np.arange(len(episodes)), BINS) if len(b)]
        groups = [[episodes[i] for i in b] for b in bins]
        centres = [float(np.mean([e.draw[name] for e in group])) for group in groups]
        _plot_success(axis, centres, [summarize(group) for group in groups])
        returns = axis.twinx()
        returns.scatter(
            [e.draw[name] for e in episodes],
            [e.episode_return for e in episodes],
            s=5,
            color=SECOND_COLOUR,
            alpha=0.35,
            linewidths=0,
        )
        returns.tick_params(labelsize=7, colors=SECOND_COLOUR)
        _label(axis, returns, labels.get(name, name))
    return figure


def sweep_curves(curves: Mapping[str, Sequence[tuple[float, Summary]]]) -> "Figure":
    """Success (line, with 95 % intervals) and mean return (dots) over each swept parameter."""
    columns = min(3, len(curves))
    figure, axes = new_figure(columns, -(-len(curves) // columns))
    for axis in axes[len(curves) :]:
        axis.set_visible(False)
    means = [summary.mean_return.value for points in curves.values() for _, summary in points]
    margin = 0.05 * (max(means) - min(means)) or 1.0
    for axis, (name, points) in zip(axes, curves.items(), strict=False):
        values = [value for value, _ in points]
        _plot_success(axis, values, [summary for _, summary in points])
        returns = axis.twinx()
        of_points = [summary.mean_return.value for _, summary in points]
        returns.set_ylim(min(means) - margin, max(means) + margin)
        returns.scatter(values, of_points, s=12, color=SECOND_COLOUR, alpha=0.6, linewidths=0)
        returns.tick_params(labelsize=7, colors=SECOND_COLOUR)
        _label(axis, returns, name)
    return figure


def _label(axis: Any, returns: Any, parameter: str) -> None:
    axis.set_xlabel(parameter, fontsize=8)
    returns.set_ylabel("return", color=SECOND_COLOUR, fontsize=8)


def _plot_success(axis: Any, values: Sequence[float], summaries: Sequence[Summary]) -> None:
    shares = [summary.success.value for summary in summaries]
    below = [max(0.0, s.success.value - s.success.low) for s in summaries]
    above = [max(0.0, s.success.high - s.success.value) for s in summaries]
    axis.errorbar(values, shares, yerr=(below, above), color=COLOUR, marker="o", ms=4, capsize=2)
    axis.set_ylim(-0.05, 1.05)
    axis.set_ylabel("success", color=COLOUR)
    axis.tick_params(labelsize=8)
