"""Pieces of logs from which a simulation starts afresh: multiple shooting.

A model that is wrong by a little is wrong by anything after some seconds. So a log is cut into windows,
each of which starts where the robot was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.identification.recording import Recording
from simreal.state import FloatArray

SMOOTHING = 0.024
"""s to either side of a window's start, from which its velocity is estimated."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of equal length of some recordings.

    Attributes:
        recordings: that they are cut from.
        source: (windows,) index of each one's recording.
        start: (windows,) s, in the recording's time.
        length: s, with the lead.
        lead: s at each one's beginning that only tell its start.
        time: (windows, samples) s of the measurements, from the window's start.
        position: (windows, samples, joints) measured.
        velocity: (windows, samples, joints) reported, or None where a recording has none.
        valid: (windows, samples) where there is a measurement.
        start_state: (windows, 2, joints) position and velocity at the start, estimated.
        start_deviation: (windows, 2, joints) standard deviations of that.
        start_reported: (windows, joints) velocity that the robot reported there, or None.
    """

    recordings: tuple[Recording, ...]
    source: NDArray[np.int64]
    start: FloatArray
    length: float
    time: FloatArray
    position: FloatArray
    velocity: FloatArray | None
    valid: NDArray[np.bool_]
    start_state: FloatArray
    start_deviation: FloatArray
    start_reported: FloatArray | None
    lead: float = 0.0

    def __len__(self) -> int:
        return len(self.start)

    @property
    def groups(self) -> list[str]:
        """Excitation and day of each window."""
        return [self.recordings[index].group for index in self.source]

    @property
    def pushed(self) -> NDArray[np.bool_]:
        """(windows,) in which something pushed that is not in the log, the leads included."""
        return np.array(
            [
                any(begin < start + self.length and end > start for begin, end in recording.pushed)
                for start, recording in zip(
                    self.start, (self.recordings[index] for index in self.source), strict=True
                )
            ],
            dtype=bool,
        )

    def rows(self, keep: NDArray[np.integer] | NDArray[np.bool_]) -> "Windows":
        """Some of the windows."""
        return Windows(
            self.recordings,
            self.source[keep],
            self.start[keep],
            self.length,
            self.time[keep],
            self.position[keep],
            None if self.velocity is None else self.velocity[keep],
            self.valid[keep],
            self.start_state[keep],
            self.start_deviation[keep],
            None if self.start_reported is None else self.start_reported[keep],
            self.lead,
        )

    @property
    def leads(self) -> NDArray[np.bool_]:
        """(windows, samples) which measurements are of the lead."""
        return self.valid & (self.time < self.lead * (1.0 - 1e-9))

    def leading(self) -> "Windows":
        """The leads alone, as windows."""
        samples = max(2, int(self.leads.sum(axis=1).max()) + 1)
        return replace(
            self,
            length=self.lead,
            time=self.time[:, :samples],
            position=self.position[:, :samples],
            velocity=None if self.velocity is None else self.velocity[:, :samples],
            valid=self.leads[:, :samples],
        )

    def only(self, valid: NDArray[np.bool_]) -> "Windows":
        """The same with some of the measurements, (windows, samples)."""
        return replace(self, valid=valid)

    def without_others(self) -> "Windows":
        """The same without recordings that no window is of."""
        kept, source = np.unique(self.source, return_inverse=True)
        return replace(self, recordings=tuple(self.recordings[each] for each in kept), source=source)

    def of(self, groups: Sequence[str]) -> "Windows":
        """Those of some groups."""
        return self.rows(np.array([group in groups for group in self.groups], dtype=bool))


def cut(
    recordings: Sequence[Recording],
    length: float,
    stride: float | None = None,
    resolution: float = 0.0,
    between: tuple[float, float] = (0.0, 1.0),
    lead: float = 0.0,
) -> Windows:
    """Cut recordings into windows.

    Args:
        recordings: of one robot.
        length: s.
        stride: s from one start to the next; the length if absent.
        resolution: rad or m, the step of the encoders.
        between: shares of each recording within which windows lie, but for their leads.
        lead: s before each window, from which its start is found.

    Raises:
        UserError: no recording is long enough.
    """
    pieces = [
        (index, first)
        for index, recording in enumerate(recordings)
        for first in _starts(recording, length, stride or length, between, lead)
    ]
    if not pieces:
        longest = max((each.time[-1] - each.time[0] for each in recordings), default=0.0)
        low, high = (f"{100 * end:.0f}" for end in between)
        within = "" if between == (0.0, 1.0) else f", within {low} to {high} % of each,"
        raise UserError(
            f"no window of {length:g} s in the logs{within} with {lead + SMOOTHING:.3g} s before it, "
            f"which tell how it begins: the longest has {longest:.3g} s"
        )
    length += lead
    source = np.array([index for index, _ in pieces], dtype=np.int64)
    counts = [
        int(np.searchsorted(recordings[index].time, recordings[index].time[first] + length * (1 + 1e-9)))
        - first
        for index, first in pieces
    ]
    samples, joints = max(counts), recordings[0].position.shape[1]
    has_velocity = all(recording.velocity is not None for recording in recordings)
    time, valid = np.zeros((len(pieces), samples)), np.zeros((len(pieces), samples), dtype=bool)
    position = np.zeros((len(pieces), samples, joints))
    velocity = np.zeros_like(position)
    state, deviation = np.zeros((2, len(pieces), 2, joints))
    for row, ((index, first), count) in enumerate(zip(pieces, counts, strict=True)):
        recording, part = recordings[index], slice(first, first + count)
        time[row, :count] = recording.time[part] - recording.time[first]
        valid[row, :count] = True
        position[row, :count] = recording.position[part]
        if recording.velocity is not None:
            velocity[row, :count] = recording.velocity[part]
        state[row], deviation[row] = _state(recording, first, resolution)
    starts = np.array([recordings[index].time[first] for index, first in pieces])
    return Windows(
        tuple(recordings),
        source,
        starts,
        length,
        time,
        position,
        velocity if has_velocity else None,
        valid,
        state,
        deviation,
        velocity[:, 0] if has_velocity else None,
        lead,
    )


def _starts(
    recording: Recording, length: float, stride: float, between: tuple[float, float], lead: float
) -> list[int]:
    """Rows at which windows with their leads begin: behind enough of the past to know the velocity."""
    begin, end = recording.time[0], recording.time[-1]
    low = max(begin + between[0] * (end - begin), begin + SMOOTHING + lead)
    high = begin + between[1] * (end - begin) - length
    wanted = np.arange(low, high + 1e-9, stride)
    return [int(row) for row in np.searchsorted(recording.time, wanted - lead - 1e-9)]


def _state(recording: Recording, row: int, resolution: float) -> tuple[FloatArray, FloatArray]:
    """(2, joints) position and velocity at a row, and their standard deviations.

    A cubic is laid through the positions around it. Reported velocities are of no use for that: filters
    delay them.
    """
    reach = max(3, round(SMOOTHING / recording.period))
    first, last = max(0, row - reach), min(len(recording.time), row + reach + 1)
    time = recording.time[first:last] - recording.time[row]
    scaled = time / np.abs(time).max()
    basis = np.stack([scaled**power for power in range(4)], axis=1)
    values = recording.position[first:last]
    coefficients, *_ = np.linalg.lstsq(basis, values, rcond=None)
    residual = values - basis @ coefficients
    freedom = max(1, len(time) - basis.shape[1])
    noise = np.sqrt(np.sum(residual**2, axis=0) / freedom + resolution**2 / 12.0)
    covariance = np.linalg.inv(basis.T @ basis)
    spread = np.sqrt(np.diag(covariance))[:2, None] * noise
    factors = np.array([[1.0], [1.0 / np.abs(time).max()]])
    floor = np.array([[1e-6], [1e-4]])
    return coefficients[:2] * factors, np.maximum(spread * factors, floor)
