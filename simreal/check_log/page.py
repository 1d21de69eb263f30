"""The sections of a page on checked logs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simreal.check_log.finding import Finding, Picture, worst
from simreal.report import COLOUR, SECOND_COLOUR, Page, new_figure
from simreal.state import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"skip": "#f4f4f2", "pass": "#d9ecd9", "warn": "#fbe7b5", "fail": "#f3c4bb"}
MOST_POINTS = 4000
"""Of a curve in a picture."""


def add_checks(
    page: Page, results: Mapping[str, Sequence[Finding]], notes: Mapping[str, Sequence[str]]
) -> None:
    """A table of all verdicts, then of each log what is wrong, with pictures.

    Args:
        page: to add to.
        results: findings of each log, by its source.
        notes: what there is to know before them, likewise.
    """
    checks = [finding.check for finding in next(iter(results.values()), ())]
    telling = [
        place
        for place in range(len(checks))
        if any(findings[place].verdict in ("warn", "fail") for findings in results.values())
    ]
    page.wide_table(
        ("log", "", *(checks[place] for place in telling)),
        [
            [(source, ""), (worst(findings), COLOURS[worst(findings)])]
            + [(_shown(findings[place]), COLOURS[findings[place].verdict]) for place in telling]
            for source, findings in results.items()
        ],
    )
    page.text(f"{len(checks)} checks; those that found nothing in any log are left out here.", note=True)
    for source, findings in results.items():
        page.heading(f"{source}: {worst(findings)}")
        for note in notes[source]:
            page.text(f"{note}.", note=True)
        page.wide_table(
            ("check", "verdict", "finding", "what to do, or to record next"),
            [
                [
                    (each.check, ""),
                    (each.verdict, COLOURS[each.verdict]),
                    (each.text, ""),
                    (each.advice, ""),
                ]
                for each in findings
                if each.verdict != "skip"
            ],
        )
        skipped = [f"{each.check} ({each.text})" for each in findings if each.verdict == "skip"]
        if skipped:
            page.text("Not checked: " + "; ".join(skipped) + ".", note=True)
        for each in findings:
            if each.picture is not None:
                page.text(f"{each.check}: {each.text}.")
                page.picture(_figure(each.picture))


def _shown(finding: Finding) -> str:
    return "" if finding.verdict == "skip" else finding.verdict


def _figure(picture: Picture) -> "Figure":
    figure, (axis,) = new_figure(1, width=8.5, height=2.4, spaced=False)
    colours = (COLOUR, SECOND_COLOUR, "#666666", "#999999")
    for (label, (time, values)), colour in zip(picture.curves.items(), colours, strict=False):
        few = len(time) <= 40
        axis.plot(
            *_thinned(time, values), lw=1.0, color=colour, label=label, marker="o" if few else "", ms=3
        )
    for start, end in picture.spans:
        axis.axvspan(start, max(end, start + 1e-9), color=SECOND_COLOUR, alpha=0.35, lw=0.8)
    axis.set_xlabel("s")
    axis.set_ylabel(picture.unit)
    axis.legend(fontsize=8, frameon=False)
    return figure


def _thinned(time: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Few enough points for a page that still show every extreme."""
    if len(time) <= MOST_POINTS:
        return time, values
    blocks = np.array_split(np.arange(len(time)), MOST_POINTS // 2)
    keep = sorted(
        {int(b[np.argmin(values[b])]) for b in blocks} | {int(b[np.argmax(values[b])]) for b in blocks}
    )
    return time[keep], values[keep]
