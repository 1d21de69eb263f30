"""The page of the benchmark: all that its results say so far."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simreal.evaluate import number_text, share_text
from simreal.report import COLOUR, Page, new_figure
from simreal.transfer_bench.arms import ARMS
from simreal.transfer_bench.results import Result
from simreal.transfer_bench.tables import Line, lines, mean_gap
from simreal.transfer_bench.targets import TARGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = (
    "robot",
    "target",
    "arm",
    "seeds",
    "return",
    "success",
    "gap closed (return)",
    "gap closed (success)",
    "ended early",
    "robot time",
    "violations",
)


def rows(found: Sequence[Line]) -> list[list[str]]:
    """A row for each arm on each target."""
    return [
        [
            each.robot,
            each.target,
            each.arm,
            str(each.seeds),
            number_text(each.measures["mean_return"], ".1f"),
            share_text(each.measures["success"]),
            share_text(each.gap["mean_return"]),
            share_text(each.gap["success"]),
            f"{100 * each.ended_early:.0f} %",
            f"{each.robot_seconds:.0f} s",
            f"{each.violations:.1f}",
        ]
        for each in found
    ]


def write_page(results: Sequence[Result], path: Path) -> None:
    """Write it as HTML."""
    found = lines(results)
    page = Page("simreal: from simulation to hidden robots")
    steps = sorted({each.steps for each in results})
    episodes = sorted({each.episodes for each in results})
    page.text(
        f"{len(results)} results of {', '.join(f'{each:,}' for each in steps)} environment steps, "
        f"judged by {', '.join(map(str, episodes))} episodes on the target itself. Interquartile means "
        "over seeds, 95 % intervals by bootstrap over seeds."
    )
    page.text(
        "The gap lies between no randomization and an oracle: a half-trained policy that went on "
        "learning on the target itself. Robot time: of moving the hidden robot to adapt. Violations: "
        "control steps beyond its limits then.",
        note=True,
    )
    page.table(HEADER, rows(found))
    targets = sorted({(each.robot, each.target) for each in found})
    if found:
        page.picture(_bars(found, targets))
    page.heading("Mean over targets")
    names = list(dict.fromkeys(each.arm for each in found))
    page.table(
        ("arm", "gap closed (return)", "gap closed (success)"),
        [
            [name, *(_percent(mean_gap(found, name, each)) for each in ("mean_return", "success"))]
            for name in names
        ],
    )
    page.heading("Arms and targets")
    page.table(("arm", ""), [(name, arm.description) for name, arm in ARMS.items()])
    told = [(f"{r} {t}", TARGETS[r][t].description) for r, t in targets if r in TARGETS]
    page.table(("target", ""), told)
    page.write(path)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.0f} %"


def _bars(found: Sequence[Line], targets: Sequence[tuple[str, str]]) -> "Figure":
    """Returns with intervals: a panel for each target."""
    most = max(sum((each.robot, each.target) == place for each in found) for place in targets)
    figure, axes = new_figure(len(targets), height=0.9 + 0.3 * most)
    for axis, place in zip(axes, targets, strict=True):
        shown = [each for each in found if (each.robot, each.target) == place]
        for row, each in enumerate(shown):
            number = each.measures["mean_return"]
            axis.plot([number.low, number.high], [row, row], color=COLOUR, lw=2.0)
            axis.plot([number.value], [row], "o", color=COLOUR, ms=4.0)
        axis.set_yticks(range(len(shown)), [each.arm for each in shown], fontsize=7)
        axis.invert_yaxis()
        axis.tick_params(labelsize=7)
        axis.set_title(f"{place[0]} {place[1]}: return", fontsize=9)
    return figure
