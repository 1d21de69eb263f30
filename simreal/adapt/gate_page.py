"""The gate's report: a table and a picture of every comparison."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from simreal.adapt.gate import Gate
from simreal.adapt.gate_measures import Part
from simreal.report import COLOUR, SECOND_COLOUR, Page, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = ("part", "measure", "base", "adapted", "gain (95 % interval)", "margin", "verdict")


TICKS = [sign * each for sign in (-1, 1) for each in (1, 3, 10, 30, 100, 300, 1000)] + [0]
"""Of the gains' axis, in margins."""


def rows(gate: Gate) -> list[list[str]]:
    """A row for each measure of each part."""
    return [
        [
            part.name,
            each.name,
            f"{each.base:.3g}",
            f"{each.adapted:.3g}",
            each.gain.told,
            f"{each.margin:.2g}",
            each.verdict,
        ]
        for part in gate.parts
        for each in part.measures
    ]


def verdict_text(gate: Gate) -> str:
    """The verdict in a sentence."""
    parts = ", ".join(f"{part.name} {_in_words(part)}" for part in gate.parts)
    return f"{gate.policy} {'passes' if gate.passed else 'is kept back'}: {parts}"


def _in_words(part: Part) -> str:
    """The verdict of a part; one that is better in some measures alone says in how many."""
    better = sum(each.verdict == "better" for each in part.measures)
    if part.verdict != "better" or better == len(part.measures):
        return part.verdict
    return f"better in {better} of {len(part.measures)} measures, not worse in the others"


def write_page(gate: Gate, path: Path) -> None:
    """Write it as HTML."""
    page = Page(f"simreal gate: {gate.policy} against {gate.base}")
    page.text(verdict_text(gate) + ".")
    for reason in gate.reasons:
        page.text(reason)
    for note in gate.notes:
        page.text(f"{note}.")
    for missing in gate.not_judged:
        page.text(f"Not judged: {missing}.", note=True)
    page.table(HEADER, rows(gate))
    page.text(
        "Gain: how much better the adapted policy is, as the mean over the same episodes, or the same "
        "stretches of logs, of both. Not worse: the interval stays above minus the margin. Undecided: "
        "it reaches below, and above zero too, so that more episodes might tell.",
        note=True,
    )
    page.picture(_gains(gate.parts))
    for part in gate.parts:
        page.text(f"{part.name}: {part.where}.", note=True)
    if gate.made_by:
        page.heading("What made it")
        page.code(yaml.safe_dump(gate.made_by, sort_keys=False))
    page.write(path)


def _gains(parts: tuple[Part, ...]) -> "Figure":
    """Gains in margins, with intervals: left of -1 keeps a policy back."""
    measures = [(part, each) for part in parts for each in part.measures]
    figure, (axis, *_) = new_figure(1, width=6.5, height=0.8 + 0.28 * len(measures))
    for place, (_, each) in enumerate(measures):
        passes = each.verdict in ("better", "not worse")
        low, value, high = (
            number / each.margin if each.margin else number
            for number in (each.gain.low, each.gain.value, each.gain.high)
        )
        style: Any = {"color": COLOUR if passes else SECOND_COLOUR}
        axis.plot([low, high], [place, place], lw=2.0, **style)
        axis.plot([value], [place], "o", ms=4.0, **style)
    axis.axvline(-1.0, color="#999", lw=0.8, ls="--")
    axis.axvline(0.0, color="#999", lw=0.8)
    labels = [f"{part.name}: {each.name}" for part, each in measures]
    axis.set_yticks(range(len(measures)), labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=3.0)
    low, high = axis.get_xlim()
    axis.set_xticks(
        shown := [each for each in TICKS if low <= each <= high], [f"{each:g}" for each in shown]
    )
    axis.set_xlim(low, high)
    axis.set_xlabel("gain, in margins (right is better)", fontsize=8)
    return figure
