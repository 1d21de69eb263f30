"""What a page plots: tracks of numbers over time, thinned so that no peak is lost."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simreal.state import FloatArray
from simreal.watch.follower import Entry

POINTS = 800
"""Of each line of a plot."""
MOST_ROWS = 400_000
"""That a track remembers; beyond, the older half of them is forgotten."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: what is in it.

    Attributes:
        title: with the unit.
        topic: of the log.
        keys: of the messages: one that holds numbers by name, or several that are numbers; none if the
            message itself is numbers by name.
    """

    title: str
    topic: str
    keys: tuple[str, ...] = ()


PLOTS = (
    Plot("joint position (rad, m)", "/state", ("joint_position",)),
    Plot("joint velocity (rad/s, m/s)", "/state", ("joint_velocity",)),
    Plot("command (actuators' units)", "/command"),
    Plot("action", "/action"),
    Plot("asked", "/asked"),
    Plot("timing (ms)", "/timing", ("late_ms", "compute_ms", "observation_age_ms", "latency_ms")),
    Plot("angular velocity (rad/s)", "/state", ("angular_velocity",)),
    Plot("effort (N·m, N)", "/state", ("joint_effort",)),
    Plot("temperature (°C)", "/state", ("temperature",)),
)


@dataclass(slots=True)
class Track:
    """The rows of one plot.

    Attributes:
        names: of the columns.
        times: s of each row, since the log began.
        rows: numbers; NaN where there is none.
    """

    names: tuple[str, ...] = ()
    times: list[float] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)

    def add(self, time: float, values: dict[str, float | None]) -> None:
        """Add a row."""
        if not self.names:
            self.names = tuple(values)
        if len(self.times) >= MOST_ROWS:
            del self.times[: MOST_ROWS // 2], self.rows[: MOST_ROWS // 2]
        self.times.append(time)
        found = (values.get(name) for name in self.names)
        self.rows.append([math.nan if value is None else value for value in found])

    def window(self, begin: float, end: float) -> tuple[FloatArray, FloatArray]:
        """(points,) s and (points, columns) numbers between two times, thinned to `POINTS`."""
        first, last = np.searchsorted(self.times, (begin, end), "left")
        rows = np.array(self.rows[first : last + 1]).reshape(-1, len(self.names))
        return thinned(np.array(self.times[first : last + 1]), rows)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the log.

    Attributes:
        time: s since the log began.
        kind: such as fault.
        text: for people.
    """

    time: float
    kind: str
    text: str


@dataclass(slots=True)
class Story:
    """All that a log has told so far.

    Attributes:
        tracks: by the titles of `PLOTS`.
        happenings: events, in order.
        phase: of the supervisor, if the log tells.
        overruns: periods skipped so far.
        end: s of the newest entry since the log began.
    """

    tracks: dict[str, Track] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)
    phase: str | None = None
    overruns: int = 0
    end: float = 0.0
    _start: int | None = None

    def hear(self, entries: Iterable[Entry]) -> bool:
        """Take what is new; whether anything was."""
        heard = False
        for topic, log_time, content in entries:
            self._start = log_time if self._start is None else self._start
            time = 1e-9 * (log_time - self._start)
            self.end, heard = max(self.end, time), True
            self._take(topic, time, content)
        return heard

    def _take(self, topic: str, time: float, content: dict[str, Any]) -> None:
        if topic == "/event":
            self.happenings.append(Happening(time, str(content["kind"]), str(content["text"])))
        elif topic == "/supervisor":
            self.phase = str(content.get("phase"))
        elif topic == "/timing":
            self.overruns = int(content.get("overruns", 0))
        for plot in PLOTS:
            if plot.topic == topic and (values := _values(plot, content)):
                self.tracks.setdefault(plot.title, Track()).add(time, values)


def _values(plot: Plot, content: dict[str, Any]) -> dict[str, float | None]:
    if not plot.keys:
        return content
    if len(plot.keys) > 1:
        return {key: content[key] for key in plot.keys if key in content}
    values: dict[str, float | None] = content.get(plot.keys[0], {})
    return values


def thinned(times: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most about `POINTS` rows: of each stretch of rows the least and the greatest of each column."""
    if len(times) <= POINTS:
        return times, rows
    length = -(-len(times) // (POINTS // 2))
    whole = len(times) // length * length
    stretches = rows[:whole].reshape(-1, length, rows.shape[1])
    # Of a stretch without a number neither is one.
    nothing = np.isnan(stretches)
    least = np.where(nothing, np.inf, stretches).min(axis=1)
    greatest = np.where(nothing, -np.inf, stretches).max(axis=1)
    both = np.stack((least, greatest), axis=1).reshape(-1, rows.shape[1])
    both[~np.isfinite(both)] = np.nan
    at = times[:whole].reshape(-1, length)
    moments = np.stack((at[:, 0], at[:, length // 2]), axis=1).ravel()
    return np.append(moments, times[whole:]), np.concatenate((both, rows[whole:]))
