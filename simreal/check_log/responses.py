"""What robots make of their commands, and how much of their motion that explains at other times.

Of a robot that follows positions, it is some sum of what it was told shortly before; of one that efforts
drive, its model says it. That may change with how far and how fast it is told to go, as friction, play
and largest speeds have it, or with time, as of a motor that warms up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from scipy.ndimage import uniform_filter1d

from simreal.check_log.motion import INPUTS, inverse_model
from simreal.check_log.subject import Rows, Subject
from simreal.logs.robot_log import Channel
from simreal.state import FloatArray

PAIRS = {
    "commanded_position": "joint_position",
    "commanded_velocity": "joint_velocity",
    "commanded_effort": "joint_effort",
}
"""What is asked, and what answers it."""
LAGS = np.arange(-0.1, 0.41, 0.05)
"""s, by which joints may follow late; and early, as of a robot that is led by hand."""
MOTOR_LAGS = np.arange(0.0, 0.061, 0.02)
"""s, by which motors may be late."""
FEWEST = 100
"""Rows of an answer; fewer say nothing."""
REGULAR = 1e-6
"""Share of their mean power by which regressors are kept apart that are one and the same."""
PROBE = 0.01
"""V or N·m, by which a command is changed to see what that gives."""
AROUND = 1.0
"""s, in which it is seen how far and how fast a joint is told to go."""

Change = Literal["none", "motion", "time"]
"""What a response changes with."""
Warp = Callable[[FloatArray], FloatArray]
"""(n,) s of measurements to the stamps of the commands that were given then."""


class Response(Protocol):
    """What answers the commands of one channel."""

    @property
    def channel(self) -> str:
        """Of the commands."""

    @property
    def command(self) -> Channel:
        """The commands of joints that are moved by them."""

    @property
    def time(self) -> FloatArray:
        """(n,) s of what answers them."""

    def rows(self, keep: Rows) -> "Response":
        """Some of what answers them."""

    def unexplained(self, warp: Warp, change: Change = "none") -> FloatArray:
        """(joints,) share of the variance of the answers that no response to the commands explains."""


@dataclass(frozen=True, slots=True)
class Following:
    """Joints that go by what they are told: by some sum of what they were told shortly before.

    Attributes:
        channel: of the commands.
        command: a column for each joint.
        time: (n,) s.
        measured: (n, joints).
    """

    channel: str
    command: Channel
    time: FloatArray
    measured: FloatArray

    def rows(self, keep: Rows) -> "Following":
        """Some of the rows."""
        return replace(self, time=self.time[keep], measured=self.measured[keep])

    def unexplained(self, warp: Warp, change: Change = "none") -> FloatArray:
        """(joints,) share of the variance that no sum of commands within `LAGS` explains."""
        stamps = warp(self.time)
        known = stamps - LAGS[-1] >= self.command.time[0]
        known &= stamps - LAGS[0] <= self.command.time[-1]
        if np.mean(known) < 0.5:
            return np.full(self.measured.shape[1], np.inf)
        time, measured = self.time[known], self.measured[known]
        asked = np.stack([_held(self.command, stamps[known] - lag) for lag in LAGS], axis=2)
        return _rests(time, asked, change, measured)


@dataclass(frozen=True, slots=True)
class Driven:
    """Joints of a robot whose model says what they need to move so, and what their motors give.

    Attributes:
        channel: of the commands.
        command: a column for each actuator.
        time: (n,) s.
        needed: (n, joints) N·m, of the joints that have a motor.
        gains: (n, joints, actuators) N·m for a command of 1.
    """

    channel: str
    command: Channel
    time: FloatArray
    needed: FloatArray
    gains: FloatArray

    def rows(self, keep: Rows) -> "Driven":
        """Some of the rows."""
        return replace(self, time=self.time[keep], needed=self.needed[keep], gains=self.gains[keep])

    def unexplained(self, warp: Warp, change: Change = "none") -> FloatArray:
        """(joints,) share of the variance of what is needed that motors do not explain."""
        stamps = warp(self.time)
        given = [self.gains @ _held(self.command, stamps - lag)[:, :, None] for lag in MOTOR_LAGS]
        return _rests(self.time, np.concatenate(given, axis=2), change, self.needed)


def responses(subject: Subject) -> Iterator[Response]:
    """All that answers commands in a log."""
    log = subject.log
    for channel, answer in PAIRS.items():
        if channel not in log or answer not in log or len(log[answer]) < FEWEST:
            continue
        asked, told, table = log[channel], log.joints_of(channel), log[answer]
        columns = [
            column
            for column, joint in enumerate(told)
            if joint in table.names and np.ptp(asked.values[:, column]) and np.ptp(table.column(joint))
        ]
        if not columns:
            continue
        names, units = zip(*((asked.names[each], asked.units[each]) for each in columns), strict=True)
        command = Channel(asked.time, asked.values[:, columns], names, units)
        measured = np.stack([table.column(told[column]) for column in columns], axis=1)
        yield Following(channel, command, table.time, measured)
    driven = _driven(subject)
    if driven is not None:
        yield driven


def _driven(subject: Subject) -> Driven | None:
    asked, channel = inverse_model(subject), subject.log.first(INPUTS)
    if asked is None or channel is None or not np.ptp(subject.log[channel].values):
        return None
    model, motion, command = asked
    none, probes = np.zeros_like(command), PROBE * np.eye(command.shape[1])
    needed = model.lacking(motion, none)
    given = [(needed - model.lacking(motion, none + probe)) / PROBE for probe in probes]
    gains = np.stack(given, axis=2)
    motors = np.flatnonzero(np.abs(gains).max(axis=(0, 2)) > 0.0)
    table = subject.log[channel]
    return Driven(channel, table, motion.time, needed[:, motors], gains[:, motors])


def _held(table: Channel, time: FloatArray) -> FloatArray:
    """(n, columns) the last values before some times."""
    rows = np.searchsorted(table.time, time, side="right") - 1
    return table.values[np.clip(rows, 0, len(table) - 1)]


def _rests(time: FloatArray, regressors: FloatArray, change: Change, answers: FloatArray) -> FloatArray:
    """(joints,) share of the variance of (n, joints) answers that (n, joints, k) regressors leave."""
    pairs = zip(regressors.swapaxes(0, 1), answers.T, strict=True)
    return np.array([_rest(_changing(time, of, change), answer) for of, answer in pairs])


def _changing(time: FloatArray, regressors: FloatArray, change: Change) -> FloatArray:
    """(n, k) regressors of a joint, and each of them again by what its share changes with."""
    if change == "none":
        return regressors
    if change == "time":
        scales = [(time - time.mean()) / np.ptp(time)]
    else:
        rows = max(3, round(AROUND / float(np.median(np.diff(time)))))
        asked = regressors[:, 0]
        way, speed = asked - uniform_filter1d(asked, rows), np.gradient(asked, time)
        scales = [_size(way, rows), _size(speed, rows)]
    return np.concatenate([regressors, *(each[:, None] * regressors for each in scales)], axis=1)


def _size(series: FloatArray, rows: int) -> FloatArray:
    """(n,) root mean square of values around each, over that of all."""
    power = np.maximum(uniform_filter1d(series**2, rows), 0.0)
    return np.asarray(np.sqrt(power / max(float(power.mean()), 1e-300)))


def _rest(regressors: FloatArray, series: FloatArray) -> float:
    """Share of the variance of (n,) values that no sum of (n, k) others explains."""
    others, centred = regressors - regressors.mean(axis=0), series - series.mean()
    power = float(centred @ centred)
    if power == 0.0:
        return 1.0
    gram = others.T @ others
    gram += REGULAR * (np.trace(gram) / len(gram) + 1e-300) * np.eye(len(gram))
    rest = centred - others @ np.linalg.solve(gram, others.T @ centred)
    return float(rest @ rest) / power
