"""The page: plots, events and the robot, by viser, which serves everything from this computer."""

import time
from collections.abc import Callable
from html import escape

import numpy as np
import viser
from viser import uplot

from simreal.watch.figure import RobotFigure
from simreal.watch.follower import Follower
from simreal.watch.tracks import PLOTS, Happening, Story, Track

HOST = "127.0.0.1"
PERIOD = 0.25
"""s between two looks at a log that grows."""
COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"),
    *("#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#aec7e8", "#ffbb78"),
)
EVENTS = 30
PANEL_WIDTH = 560.0
"""Pixels, of the plots."""
WINDOW = 20.0
"""s that are shown of a log that grows."""


class Page:
    """Shows a story that is still being told, or one that has ended."""

    def __init__(self, name: str, follower: Follower, live: bool, port: int) -> None:
        """Serve it.

        Args:
            name: of the log.
            follower: reads it.
            live: whether to go along with its end.
            port: at which; the next free one if it is taken.
        """
        self._follower, self._live, self._story = follower, live, Story()
        self.server = viser.ViserServer(
            host=HOST, port=port, label=f"simreal watch {name}", verbose=False
        )
        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        self._status = gui.add_html("")
        self._end = gui.add_slider("until, s", min=0.0, max=1.0, step=0.01, initial_value=1.0)
        self._length = gui.add_number("shown, s", initial_value=WINDOW, min=0.1, step=1.0)
        self._events = gui.add_html("")
        self._panel = self.server.gui.add_panel()
        self._panel.float(x=12.0, y=12.0, width=PANEL_WIDTH)
        self.server.initial_camera.position = (1.2, -1.2, 0.8)
        self._plots: dict[str, viser.GuiUplotHandle] = {}
        self._figure: RobotFigure | None = None
        self._drawn: tuple[float, float, int] | None = None

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server.get_port()}"

    def run(self, until: Callable[[], bool]) -> None:
        """Follow and show until told to end."""
        while not until():
            if self._story.hear(self._follower.read()):
                self._follow()
            self._show()
            time.sleep(PERIOD)

    def _follow(self) -> None:
        story = self._story
        # Whoever has moved back in time stays there.
        at_end = self._drawn is None or self._end.value >= self._end.max
        self._end.max = max(round(story.end, 2), 0.01)
        if at_end:
            self._end.value = self._end.max  # type: ignore[misc]  # viser's own way
            self._length.value = WINDOW if self._live else self._end.max  # type: ignore[misc]
        if self._figure is None and self._follower.contract is not None:
            self._figure = RobotFigure(self.server.scene, self._follower.contract.robot.name)

    def _show(self) -> None:
        end, length = float(self._end.value), float(self._length.value)
        wanted = (end, length, len(self._story.happenings))
        self._tell()
        if wanted == self._drawn:
            return
        self._drawn = wanted
        for plot in PLOTS:
            if track := self._story.tracks.get(plot.title):
                self._draw(plot.title, track, end - length, end)
        position = self._story.tracks.get("joint position (rad, m)")
        if self._figure is not None and position is not None:
            self._figure.show(position, end)

    def _draw(self, title: str, track: Track, begin: float, end: float) -> None:
        times, rows = track.window(begin, end)
        data = (times, *rows.T) if len(times) else (np.zeros(1), *np.full((len(track.names), 1), np.nan))
        handle = self._plots.get(title)
        if handle is not None:
            handle.data = data
            return
        series = [uplot.Series(label="s")]
        series += [
            uplot.Series(label=name, stroke=COLOURS[place % len(COLOURS)], width=1.5)
            for place, name in enumerate(track.names)
        ]
        with self._panel.add_tab(title.partition(" (")[0]):
            self._plots[title] = self.server.gui.add_uplot(
                data, tuple(series), title=title, scales={"x": uplot.Scale(time=False)}, aspect=1.6
            )

    def _tell(self) -> None:
        story, state = self._story, "growing"
        if self._follower.ended:
            state = "complete"
        elif self._follower.damaged:
            state = f"damaged: {self._follower.damaged}"
        elif not self._live:
            state = "cut off, or still growing"
        facts = {"log": state, "seconds": f"{story.end:.1f}", "overruns": str(story.overruns)}
        if story.phase is not None:
            facts["phase"] = story.phase
        content = "".join(f"<b>{name}</b> {escape(value)}<br>" for name, value in facts.items())
        if self._status.content != content:
            self._status.content = content
        events = "".join(map(_line, story.happenings[-EVENTS:][::-1]))
        if self._events.content != events:
            self._events.content = events

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()


def _line(happening: Happening) -> str:
    colour = "#c22" if happening.kind == "fault" else "inherit"
    text = escape(f"{happening.time:.2f} s {happening.kind}: {happening.text}")
    return f'<div style="color:{colour}; font-size:0.85em">{text}</div>'
