"""What identification takes from a log: commands as they were sent, and what the joints did."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simreal.contract import RobotDescription
from simreal.errors import UserError, nearest
from simreal.logs.robot_log import Channel, RobotLog, describe_unbelievable, is_believable
from simreal.state import FloatArray

Scope = Literal["group", "log"]
"""Of what a value may be: each group of logs, of an excitation and a day, or each log."""
INPUTS = {
    "voltage": ("applied_voltage", "commanded_voltage"),
    "effort": ("applied_effort", "commanded_effort"),
    "position": ("commanded_position",),
}
"""Kind of an actuator's command to the channels that hold it: what was applied says more."""

MOVES = 0.1
"""rad or m that a joint must move in all, so that one beside it that nothing drives must move, too."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One log of one robot, in the order of its description.

    Attributes:
        name: for people.
        group: excitation and day: what held-out data differ in.
        command_time: (m,) s, at which each command was sent.
        command: (m, actuators) in the actuators' units; each holds until the next.
        time: (n,) s of the measurements.
        position: (n, joints) rad or m.
        velocity: (n, joints) rad/s or m/s as the robot reports them, or None.
        pushed: s, begin and end of the times in which something pushed that is not in the log; nothing
            is fitted to them.
        repeated: number of rows that were dropped: they repeated the one before, stamp and all.
        of_log: name of the log that it is a part of; its own where it is the whole one.
    """

    name: str
    group: str
    command_time: FloatArray
    command: FloatArray
    time: FloatArray
    position: FloatArray
    velocity: FloatArray | None
    pushed: tuple[tuple[float, float], ...] = ()
    repeated: int = 0
    of_log: str = ""

    def part(self, scope: Scope) -> str:
        """Group or log that it is of, by what unknowns may differ."""
        return self.group if scope == "group" else self.of_log or self.name

    @property
    def period(self) -> float:
        """Median time between measurements, s."""
        return float(np.median(np.diff(self.time)))


def make_recording(log: RobotLog, robot: RobotDescription, channel: str | None = None) -> Recording:
    """Take what identification needs from a log; rows that repeat the one before tell nothing new.

    Args:
        log: of that robot.
        robot: its description.
        channel: that drives the actuators; what was applied, else what was commanded, if absent.

    Raises:
        UserError: a log of another robot, one without commands or positions, a number that is none,
            time that runs backwards or stands still under new values, commands and positions by two
            clocks, or a dead sensor.
    """
    log.refuse_other_robot(robot.name)
    rows = len(log["joint_position"])
    log = log.without_repeats().named_as(robot)
    commands = _command_channel(log, robot, channel)
    measured = log["joint_position"]
    position = _ordered(log, "joint_position", measured, robot.joint_names)
    velocity = None
    if "joint_velocity" in log:
        table = log["joint_velocity"]
        values = _ordered(log, "joint_velocity", table, robot.joint_names)
        if len(table.time) == len(measured.time) and np.allclose(table.time, measured.time):
            velocity = values
    _refuse_broken_time(log, "joint_position", measured)
    _refuse_broken_time(log, commands[0], log[commands[0]])
    _refuse_two_clocks(log, commands[0])
    _refuse_dead_sensors(log, robot, commands[1], position)
    return Recording(
        log.source,
        _group(log),
        log[commands[0]].time,
        commands[1],
        measured.time,
        position,
        velocity,
        repeated=rows - len(measured),
    )


def _group(log: RobotLog) -> str:
    known = [log.provenance[key] for key in ("excitation", "day") if key in log.provenance]
    return " ".join(known) or log.source


def _command_channel(
    log: RobotLog, robot: RobotDescription, channel: str | None
) -> tuple[str, FloatArray]:
    kinds = {actuator.command for actuator in robot.actuators}
    if len(kinds) > 1 and channel is None:
        raise UserError(
            f"robot {robot.name}: actuators of several kinds ({', '.join(sorted(kinds))}): say --input"
        )
    wanted = (channel,) if channel is not None else INPUTS[next(iter(kinds))]
    found = log.first(wanted)
    if found is None:
        raise UserError(
            f"{log.source}: no {' and no '.join(wanted)}, which drives the actuators of {robot.name}: "
            f"{nearest(wanted[0], log.channels)}"
        )
    # Of a measured effort, the columns are joints.
    names = [each.name for each in robot.actuators]
    if found.startswith("joint_"):
        names = [each.joint for each in robot.actuators]
    return found, _ordered(log, found, log[found], names)


def _ordered(log: RobotLog, channel: str, table: Channel, names: Iterable[str]) -> FloatArray:
    missing = [name for name in names if name not in table.names]
    if missing:
        raise UserError(
            f"{log.source}: {channel} has no {missing[0]!r}: {nearest(missing[0], table.names)}"
        )
    values = np.stack([table.column(name) for name in names], axis=1)
    faulty = np.argwhere(~is_believable(values))
    if len(faulty):
        row, column = faulty[0]
        told = describe_unbelievable(values[row, column])
        raise UserError(
            f"{log.source}: {channel} of {list(names)[column]} is {told} in row {row} "
            f"({table.time[row]:.3f} s)"
        )
    return values


def _refuse_broken_time(log: RobotLog, channel: str, table: Channel) -> None:
    if len(table) < 2:
        raise UserError(f"{log.source}: {channel} has {len(table)} rows")
    backwards = np.flatnonzero(np.diff(table.time) <= 0.0)
    if backwards.size:
        row = int(backwards[0]) + 1
        raise UserError(
            f"{log.source}: the time of {channel} does not advance in row {row} "
            f"({table.time[row]:.4f} s): see simreal check-log"
        )


def _refuse_two_clocks(log: RobotLog, command: str) -> None:
    """Commands that were sent at other times than anything was measured cannot have moved it."""
    sent, measured = log[command].time, log["joint_position"].time
    shared = min(sent[-1], measured[-1]) - max(sent[0], measured[0])
    if shared < 0.5 * min(sent[-1] - sent[0], measured[-1] - measured[0]):
        raise UserError(
            f"{log.source}: two clocks: {command} from {sent[0]:.3f} to {sent[-1]:.3f} s, "
            f"joint_position from {measured[0]:.3f} to {measured[-1]:.3f} s"
        )


def _refuse_dead_sensors(
    log: RobotLog, robot: RobotDescription, command: FloatArray, position: FloatArray
) -> None:
    """A joint may stand still, but not while its actuator works, or others move and nothing holds it."""
    still = np.ptp(position, axis=0) == 0.0
    if still.all():
        raise UserError(f"{log.source}: joint_position is constant from the first row to the last")
    for actuator, values in zip(robot.actuators, command.T, strict=True):
        joint = robot.joint_names.index(actuator.joint)
        if still[joint] and np.ptp(values) > 0.0:
            raise _dead(log, actuator.joint, position[0, joint], f"{actuator.name} is driven")
    driven = {actuator.joint for actuator in robot.actuators}
    widest = int(np.argmax(np.ptp(position, axis=0)))
    for joint, name in enumerate(robot.joint_names):
        if still[joint] and name not in driven and np.ptp(position[:, widest]) > MOVES:
            meanwhile = f"{robot.joint_names[widest]} moves and no motor holds it"
            raise _dead(log, name, position[0, joint], meanwhile)


def _dead(log: RobotLog, joint: str, reading: float, meanwhile: str) -> UserError:
    return UserError(
        f"{log.source}: joint_position of {joint} is constant, {reading:.4g}, while {meanwhile}: "
        "the sensor is dead, or the joint is blocked"
    )
