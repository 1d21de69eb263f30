"""Whether joints follow their own commands: signs and order of a robot that positions drive."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simreal.check_log.finding import Finding, Picture
from simreal.check_log.motion import LEAST_MOVING, correlation, moving_time
from simreal.check_log.subject import Subject
from simreal.logs.robot_log import RobotLog
from simreal.state import FloatArray

FOLLOWS = 0.5
"""Correlation from which on a joint follows a command."""
PLAINLY = 0.9
"""Correlation from which on no more need be asked of a motion: the joint follows its command."""
CHATTERS = 0.4
"""Share of a command's changes that undo the one before, from which on no joint can follow it."""
CLEARLY = 0.5
"""Another pairing of joints is named if its residual is below this share of the given one's."""
LATEST = 0.3
"""s, by which a joint may come after its command: a weak servo under load takes 0.2 s."""
LAGS = 31
"""That are tried up to then: 10 ms apart, a twentieth of the period of a motion of 5 Hz."""
UNITS = {"positions in degrees": 180 / np.pi, "commands in degrees": np.pi / 180}
"""Way of a joint over that of its command, where one of them is in another unit than rad."""
UNIT_TOLERANCE = 0.2
"""Share within which a ratio is taken for that of two units."""
FARTHER = 3.0
"""Times as far as it is told goes no servo, in whatever unit; many go less far."""
SOONEST, FURTHEST = 0.1, 1.0
"""s, between which commands that come after the motion are sought. A robot that is led by hand, whose
command is where it was a moment ago, is sooner."""
ALIKE = 0.03
"""Share of a motion that times between these, and between samples, may leave unexplained."""


def against_commands(subject: Subject) -> Finding | None:
    """Each joint must move as it is told; None where nothing tells positions."""
    pairs = _pairs(subject.log)
    if pairs is None or not pairs.moved.any():
        return None
    untold: dict[str, str] = {}
    for row in map(int, np.flatnonzero(pairs.moved)):
        why = pairs.unfit(row)
        fault = None if why else pairs.wrong_sign(row) or pairs.swapped(row) or pairs.other_unit(row)
        if fault is not None:
            return fault
        if why := why or pairs.unlike(row):
            untold[pairs.joints[row]] = why
    reasons = "; ".join(f"{joint} {why}" for joint, why in untold.items())
    if len(untold) == int(pairs.moved.sum()):
        text = f"not to be told from this log: {reasons}"
        return Finding("joint_order", "skip", text, pairs.numbers, unfit=True)
    largest = max(pairs.error[row, row] for row, name in enumerate(pairs.joints) if name not in untold)
    text = f"joints follow their own commands, within {largest:.2g} rad (root mean square)"
    text += f"; not told: {reasons}" if untold else ""
    return Finding("joint_order", "pass", text, pairs.numbers)


def seconds_ahead(subject: Subject) -> float | None:
    """How long before their commands all joints move alike, in s; None where they do not.

    No robot does: then commands are stamped by another clock, or where they arrive.
    """
    pairs = _pairs(subject.log)
    if pairs is None or not pairs.tells:
        return None
    leads = pairs.shifts()
    return pairs.shift_of_all(leads, -np.append(0.0, leads))


def seconds_behind(subject: Subject) -> float | None:
    """How long after their commands all joints move alike, in s; None if no longer than servos take."""
    pairs = _pairs(subject.log)
    if pairs is None or not pairs.tells:
        return None
    leads = pairs.shifts()
    sooner = np.concatenate([-np.linspace(0.0, LATEST, LAGS), leads])
    ahead = pairs.shift_of_all(-leads[leads > LATEST], sooner)
    return None if ahead is None else -ahead


@dataclass(frozen=True)
class _Pairs:
    """Joints and the commands that they may follow, in one order.

    Attributes:
        log: that they are of.
        joints: names.
        time: (n,) s.
        position: (n, joints) rad.
        asked: (n, joints) rad, at the same times.
    """

    log: RobotLog
    joints: Sequence[str]
    time: FloatArray
    position: FloatArray
    asked: FloatArray

    @cached_property
    def moved(self) -> NDArray[np.bool_]:
        """(joints,) whether a command changes at all."""
        return np.asarray(np.ptp(self.asked, axis=0) > 0)

    @cached_property
    def error(self) -> FloatArray:
        """(joints, joints) rad, root mean square of each joint from each command."""
        apart = self.position[:, :, None] - self.asked[:, None, :]
        return np.asarray(np.sqrt(np.nanmean(apart**2, axis=0)))

    @cached_property
    def _by_lag(self) -> FloatArray:
        """(lags, joints, joints) correlation of each joint with each command some time before it.

        All of the same rows, which know what was commanded before them; of a short log, its second half.
        """
        start, end = self.log["commanded_position"].time[0], self.time[-1]
        latest = min(LATEST, 0.5 * (end - start))
        rows = self.time >= start + latest
        motion = _standard(self.position[rows]).T / np.count_nonzero(rows)
        late = [self.time[rows] - lag for lag in np.linspace(0.0, latest, LAGS)]
        asked = (self.log.at("commanded_position", time, hold=True) for time in late)
        return np.array([motion @ _standard(each) for each in asked])

    def shifts(self) -> FloatArray:
        """(leads,) s by which a log of this length can tell commands that come after the motion."""
        table = self.log["commanded_position"]
        length = min(table.time[-1], self.time[-1]) - max(table.time[0], self.time[0])
        return np.arange(SOONEST, min(FURTHEST, 0.25 * length), 0.01)

    def shifted(self, leads: FloatArray) -> FloatArray:
        """(leads, joints) correlation of joints with their own commands so many s later."""
        table = self.log["commanded_position"]
        rows = (self.time + leads.min() >= table.time[0]) & (self.time + leads.max() <= table.time[-1])
        motion = _standard(self.position[rows]) / max(1, int(rows.sum()))
        later = (self.log.at("commanded_position", self.time[rows] + lead, hold=True) for lead in leads)
        return np.array([np.sum(motion * _standard(each), axis=0) for each in later])

    @property
    def tells(self) -> bool:
        """Whether enough moves for long enough to compare times."""
        return bool(self.moved.any()) and len(self.time) >= 50

    def shift_of_all(self, leads: FloatArray, others: FloatArray) -> float | None:
        """The lead, s, at which all joints that move are like their commands, if there is one.

        Args:
            leads: (n,) that are asked for; there may be none.
            others: (m,) at which they must be less so, of either sign: what repeats itself, or turns the
                other way, is as much alike there.
        """
        if len(leads) == 0:
            return None
        alike = self.shifted(leads)
        best, alike = leads[alike.argmax(axis=0)][self.moved], alike.max(axis=0)[self.moved]
        elsewhere = np.abs(self.shifted(others)).max(axis=0)[self.moved]
        there, otherwise = (np.maximum(ALIKE, 1.0 - each**2) for each in (alike, elsewhere))
        if not alike.min() >= PLAINLY or (there > CLEARLY * otherwise).any():
            return None
        return float(np.median(best)) if np.ptp(best) < LATEST else None

    @cached_property
    def _resemblance(self) -> FloatArray:
        """(joints, joints) correlation of each joint with each command before it, furthest from 0."""
        low, high = self._by_lag.min(axis=0), self._by_lag.max(axis=0)
        return np.asarray(np.where(-low > high, low, high))

    @cached_property
    def likeness(self) -> FloatArray:
        """(joints, joints) largest correlation of each joint with each command before it."""
        return np.asarray(self._by_lag.max(axis=0))

    @property
    def numbers(self) -> dict[str, float]:
        """Error of each joint from its own command, rad."""
        return {f"error_{name}": float(self.error[row, row]) for row, name in enumerate(self.joints)}

    def unfit(self, row: int) -> str:
        """Why a motion does not tell whether a joint follows its command; empty if it does."""
        position, command = self.position[:, row], self.log["commanded_position"].values[:, row]
        if self._nearest(row) == row and correlation(position, self.asked[:, row]) > PLAINLY:
            return ""
        moving = moving_time(self.time, position)
        if moving < LEAST_MOVING:
            return f"moves for {moving:.2g} s in all, too short"
        changes = np.diff(command)
        changes = changes[changes != 0.0]
        undone = float(np.mean(changes[1:] * changes[:-1] < 0.0)) if len(changes) > 1 else 0.0
        if undone > CHATTERS:
            return f"is told to and fro from sample to sample ({100 * undone:.0f} % of its changes)"
        return ""

    def unlike(self, row: int) -> str:
        """Why a joint may well follow no command of its own; empty if it follows it.

        Load that moves a joint more than its command does hides whether it follows. It does, if it is
        far nearer to its command than to any other's, and than it would be with the other sign.
        """
        if self._moves_against(row):
            return "comes late by half a swing, or moves the wrong way"
        follows = float(self.likeness[row, row])
        mirrored = np.sqrt(np.nanmean((self.position[:, row] + self.asked[:, row]) ** 2))
        others = np.append(np.delete(self.error[row], row), mirrored)
        if follows >= FOLLOWS or self.error[row, row] < CLEARLY * others.min():
            return ""
        return f"hardly moves as it is told (correlation {follows:.2f})"

    def _moves_against(self, row: int) -> bool:
        """Whether a joint moves against its command of the same time, and does not just come late.

        A swing that comes late by half of it does so too, but follows an earlier command far better.
        """
        # No number, of a joint that stands still, is not below either.
        if not self._by_lag[0, row, row] < -FOLLOWS:
            return False
        late, against = self._unexplained(row)
        return not late < CLEARLY * against

    def _unexplained(self, row: int) -> tuple[float, float]:
        """Share of a joint's motion that its command does not explain, as it is and mirrored.

        A pure swing says nothing either way: mirrored and half of it later, it is the same.
        """
        own = self._by_lag[:, row, row]
        follows, against = max(0.0, float(own.max())), max(0.0, float(-own.min()))
        return max(ALIKE, 1.0 - follows**2), max(ALIKE, 1.0 - against**2)

    def wrong_sign(self, row: int) -> Finding | None:
        """That a joint moves against its command, which no delay explains as well."""
        late, against = self._unexplained(row)
        if not (self._moves_against(row) and against < CLEARLY * late):
            return None
        follows = float(self._by_lag[0, row, row])
        text = f"{self.joints[row]} moves against its command (correlation {follows:.2f}): wrong sign"
        picture = Picture("rad", self._curves(row))
        return Finding("joint_order", "fail", text, self.numbers, "mend its sign", picture)

    def swapped(self, row: int) -> Finding | None:
        """That a joint and another follow each other's commands, by where they are or how they move.

        Legs under load leave their own commands; two that are swapped each follow the other's.
        """
        name, nearest, likest = (
            self.joints[row],
            self._nearest(row),
            int(np.abs(self._resemblance[row]).argmax()),
        )
        if self._nearer_swapped(row, nearest):
            other, apart = nearest, (self.error[row, nearest], self.error[row, row])
            how = f"error {apart[0]:.3g} rad against {apart[1]:.3g}"
        elif self._liker_swapped(row, likest):
            other, alike = likest, (self._resemblance[row, likest], self.likeness[row, row])
            how = f"correlation {alike[0]:.2f} against {alike[1]:.2f}"
            how += ", of the other sign" if alike[0] < 0.0 else ""
        else:
            return None
        text = f"{name} follows the command of {self.joints[other]} ({how}): joints are swapped"
        curves = self._curves(row)
        curves[f"command of {self.joints[other]}"] = (self.time, self.asked[:, other])
        advice = "mend the order of columns in the mapping or the driver"
        return Finding("joint_order", "fail", text, self.numbers, advice, Picture("rad", curves))

    def other_unit(self, row: int) -> Finding | None:
        """That a joint moves as it is told, but many times as far: its unit is another one."""
        follows = float(self.likeness[row, row])
        if not follows > PLAINLY:
            return None
        ratio = follows * float(np.std(self.position[:, row]) / np.std(self.asked[:, row]))
        unit = next((u for u, r in UNITS.items() if abs(ratio / r - 1) < UNIT_TOLERANCE), None)
        if unit is None and ratio < FARTHER:
            return None
        text = f"{self.joints[row]} moves {ratio:.3g} times as far as it is told"
        text += f": {unit}?" if unit else ""
        numbers, picture = self.numbers | {"ratio": ratio}, Picture("rad", self._curves(row))
        return Finding(
            "joint_order", "fail", text, numbers, "mend unit or scale in the mapping", picture
        )

    def _nearest(self, row: int) -> int:
        return int(np.argmin(self.error[row]))

    def _nearer_swapped(self, row: int, other: int) -> bool:
        pair = self.error[np.ix_([row, other], [row, other])]
        return row != other and bool((pair[[0, 1], [1, 0]] < CLEARLY * pair.diagonal()).all())

    def _liker_swapped(self, row: int, other: int) -> bool:
        """Whether neither plainly follows its own command, and both explain far more of the other's."""
        if row == other or self.unfit(other):
            return False
        own = self.likeness[[row, other], [row, other]]
        swapped = np.abs(self._resemblance[[row, other], [other, row]])
        if (own > PLAINLY).any() or (swapped < FOLLOWS).any():
            return False
        unexplained = np.sum(1.0 - np.maximum(own, 0.0) ** 2), np.sum(1.0 - swapped**2)
        return bool(unexplained[1] < CLEARLY * unexplained[0])

    def _curves(self, row: int) -> dict[str, tuple[FloatArray, FloatArray]]:
        own = {self.joints[row]: self.position[:, row], "its command": self.asked[:, row]}
        return {label: (self.time, values) for label, values in own.items()}


def _pairs(log: RobotLog) -> _Pairs | None:
    if "commanded_position" not in log or "joint_position" not in log:
        return None
    table = log["joint_position"]
    asked = log.at("commanded_position", table.time, hold=True)
    joints = log.joints_of("commanded_position")
    if not set(joints) <= set(table.names) or not np.isfinite(asked).all():
        return None
    position = np.stack([table.column(joint) for joint in joints], axis=1)
    return _Pairs(log, joints, table.time, position, asked)


def _standard(values: FloatArray) -> FloatArray:
    """(n, columns) with mean 0 and deviation 1; 0 where a column is constant."""
    spread = np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), np.inf)
    return np.asarray((values - values.mean(axis=0)) / spread)
