"""Reports: self-contained HTML pages with pictures as SVG and motion on a canvas, no network, no GL."""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from simreal.figure import WireFigure
from simreal.files import PAGE_HEAD, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

mpl.use("Agg")

COLOUR, SECOND_COLOUR = "#1f6f8b", "#c0562f"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .25rem .9rem .25rem 0; text-align: left;
       border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } canvas { border: 1px solid #ddd; cursor: grab; }
pre { background: #f4f4f2; padding: .8rem; overflow-x: auto; } .note { color: #666; }
.wide { overflow-x: auto; margin: 1rem 0; } .wide table { font-size: .8rem; line-height: 1.35; }
.wide td, .wide th { padding: .2rem .5rem; vertical-align: top; }
.wide td[style] { text-align: right; padding: .2rem .3rem; font-size: .75rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 1rem; }
.card { border: 1px solid #ddd; border-radius: 6px; overflow: hidden; font-size: .8rem;
       line-height: 1.4; }
.card > img, .card > svg { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover;
       background: #f4f4f2; }
figure { margin: 1rem 0; } figure > img { max-width: 100%; image-rendering: pixelated; }
.card > div { padding: .5rem .7rem .7rem; } .card h3 { font-size: .9rem; margin: 0 0 .2rem; }
.card p { margin: 0; } .card table { font-size: .75rem; } .card td { padding: .05rem .6rem .05rem 0; }
.dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .4rem; }
summary { cursor: pointer; color: #666; }
"""
WIRE_SIZE = (320, 240)
"""Pixels of a figure of lines."""
PLAYER = Path(__file__).with_name("motion.js")


@dataclass(frozen=True, slots=True)
class Card:
    """A picture among others, with what there is to say of it.

    Attributes:
        title: of the picture.
        colour: CSS colour of the same thing in other pictures.
        picture: of `image_markup` or `wire_markup`.
        lines: said below it.
        details: name and value, shown on a click.
    """

    title: str
    colour: str
    picture: str
    lines: Sequence[str]
    details: Sequence[tuple[str, str]]


class Page:
    """An HTML page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        """Begin with a title."""
        self._title = title
        self._parts: list[str] = []
        self._players = 0

    def heading(self, text: str) -> None:
        """A section begins."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, note: bool = False) -> None:
        """A paragraph; a note stands back."""
        self._parts.append(f"<p{' class=note' if note else ''}>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        """Commands to copy."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table."""
        self._parts.append(_table(header, [[(cell, "") for cell in row] for row in rows]))

    def wide_table(self, header: Sequence[str], rows: Sequence[Sequence[tuple[object, str]]]) -> None:
        """A table in small type that may be scrolled sideways.

        Args:
            header: names of the columns.
            rows: each cell with the CSS colour behind it, empty for none.
        """
        self._parts.append(f"<div class=wide>{_table(header, rows)}</div>")

    def cards(self, cards: Sequence[Card]) -> None:
        """Pictures side by side."""
        self._parts.append("<div class=cards>" + "".join(map(_card, cards)) + "</div>")

    def image(self, pixels: NDArray[np.uint8], caption: str) -> None:
        """A (height, width, 3) picture, no wider than the page, and what it shows."""
        shown = f"<figure>{image_markup(pixels)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        self._parts.append(shown)

    def picture(self, figure: "Figure") -> None:
        """A matplotlib figure, as SVG."""
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        text = buffer.getvalue()
        self._parts.append(text[text.index("<svg") :])

    def motion(self, figure: WireFigure, rate: float, thickness: float = 6.0) -> None:
        """A moving figure; dragging turns it.

        Args:
            figure: what to show.
            rate: frames per second.
            thickness: pixels, of the lines of what moves.
        """
        self._players += 1
        name = f"motion{self._players}"
        points = figure.segments.reshape(-1, 3)
        low, high = points.min(axis=0), points.max(axis=0)
        content = json.dumps(
            {
                "rate": rate,
                "centre": ((low + high) / 2).round(4).tolist(),
                "radius": float(np.linalg.norm(high - low) / 2),
                "colours": figure.colours,
                "widths": [
                    _line_width(figure, place, thickness) for place in range(len(figure.colours))
                ],
                "frames": figure.segments.reshape(len(figure.segments), -1, 6).round(4).tolist(),
            }
        )
        self._parts.append(
            f'<canvas id="{name}" width="620" height="420"></canvas>'
            f'<script type="application/json" id="{name}-data">{content}</script>'
            f'<script>{PLAYER.read_text("utf-8")}("{name}");</script>'
        )

    def write(self, path: Path) -> None:
        """Write the page atomically."""
        title = html.escape(self._title)
        write_text(
            path,
            f"{PAGE_HEAD}<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
            + "\n".join(self._parts)
            + "</body></html>\n",
        )


def _table(header: Sequence[str], rows: Sequence[Sequence[tuple[object, str]]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(_cell(*cell) for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(content: object, colour: str) -> str:
    style = f' style="background:{html.escape(colour)}"' if colour else ""
    return f"<td{style}>{html.escape(str(content))}</td>"


def _card(card: Card) -> str:
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in card.lines)
    rows = [[(cell, "") for cell in row] for row in card.details]
    details = f"<details><summary>all values</summary>{_table((), rows)}</details>" if rows else ""
    dot = f'<span class=dot style="background:{html.escape(card.colour)}"></span>'
    title = f"<h3>{dot}{html.escape(card.title)}</h3>"
    return f"<div class=card>{card.picture}<div>{title}{lines}{details}</div></div>"


def image_markup(pixels: NDArray[np.uint8]) -> str:
    """A (height, width, 3) picture as markup that holds it."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def wire_markup(figure: WireFigure, frame: int) -> str:
    """One moment of a figure of lines as SVG, seen from where `Page.motion` begins.

    All moments are to the same scale.
    """
    turn, tilt, (width, height) = 0.7, 0.35, WIRE_SIZE
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    up = np.array([np.sin(turn) * np.sin(tilt), -np.cos(turn) * np.sin(tilt), np.cos(tilt)])
    if not figure.colours:
        return f'<svg viewBox="0 0 {width} {height}"></svg>'
    points = figure.segments @ np.stack((right, -up), axis=1)
    low, high = points.reshape(-1, 2).min(axis=0), points.reshape(-1, 2).max(axis=0)
    scale = 0.9 * min(np.array([width, height]) / np.maximum(high - low, 1e-9))
    ends = (points[frame] - (low + high) / 2) * scale + np.array([width, height]) / 2
    lines = "".join(
        f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" stroke="{colour}"/>'
        for (a, b), colour in zip(ends, figure.colours, strict=True)
    )
    return f'<svg viewBox="0 0 {width} {height}" stroke-width="3" stroke-linecap="round">{lines}</svg>'


def _line_width(figure: WireFigure, place: int, thickness: float) -> float:
    """Moving parts are drawn thick, the ground that they stand on thin."""
    moves = np.ptp(figure.segments[:, place], axis=0).max() > 1e-6
    return thickness if moves else 1.5


def new_figure(
    columns: int, rows: int = 1, width: float = 3.4, height: float = 2.6, spaced: bool = True
) -> tuple["Figure", list[Any]]:
    """A figure and its axes, row by row; spaced by what stands around them, which takes a while."""
    from matplotlib.figure import Figure

    layout: Any = "constrained" if spaced else None
    figure = Figure(figsize=(width * columns, height * rows), layout=layout)
    axes = np.atleast_1d(np.array(figure.subplots(rows, columns))).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def line_chart(
    series: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]], x: str, y: str
) -> "Figure":
    """Named lines over a common axis."""
    figure, (axis,) = new_figure(1, width=8.5, height=2.6)
    for name, (horizontal, vertical) in series.items():
        axis.plot(horizontal, vertical, lw=1.2, label=name)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    if len(series) > 1:
        axis.legend(fontsize=8, frameon=False)
    return figure
