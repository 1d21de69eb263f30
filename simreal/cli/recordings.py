"""Logs that a command fits to: read, and refused where a fit could only mislead."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simreal.cli_types import console
from simreal.errors import UserError

if TYPE_CHECKING:
    from simreal.check_log.subject import Subject
    from simreal.identification.recording import Recording
    from simreal.logs.robot_log import RobotLog
    from simreal.randomization.posterior import Source
    from simreal.robots import Robot


def read_recordings(
    paths: Sequence[Path], mapping: str | None, robot: "Robot", channel: str | None
) -> tuple[list["Recording"], tuple["Source", ...]]:
    """Recordings of a robot from its logs, and which logs those are; prints what of them is left out.

    Args:
        paths: of the logs.
        mapping: how to read CSV and npz files.
        robot: whose logs they are.
        channel: that drove the actuators, where it is not the usual one.

    Raises:
        UserError: a log that is given twice or cannot be read, or that tells nothing of this robot.
    """
    from simreal.check_log.subject import Subject
    from simreal.identification.acting import acting_recordings
    from simreal.logs.formats import read_logs
    from simreal.physics.model import compile_model
    from simreal.randomization.posterior import refuse_twice, sources_of

    logs = _told_apart([(path, each) for path in paths for each in read_logs(path, mapping)])
    if not logs:
        raise UserError(f"{paths[0]}: no log in it")
    sources = sources_of(paths)
    refuse_twice(paths, sources, "a fit would be judged by what it was fitted to")
    recordings: list[Recording] = []
    model = compile_model(robot)
    for log in logs:
        parts, left_out = acting_recordings([log], robot.description, channel)
        _refuse_misread(Subject(log, robot, model), parts)
        recordings += parts
        for line in left_out:
            console.print(line, soft_wrap=True)
    return recordings, sources


def _told_apart(found: Sequence[tuple[Path, "RobotLog"]]) -> list["RobotLog"]:
    """Logs of one name by their folders, too: what differs by log must not take them for one."""
    names = Counter(log.source for _, log in found)
    return [
        replace(log, source=f"{path.parent}/{log.source}") if names[log.source] > 1 else log
        for path, log in found
    ]


def _refuse_misread(subject: "Subject", parts: Sequence["Recording"]) -> None:
    """As `simreal check-log` does: times in ms, two clocks, degrees, swapped joints, other signs.

    What joints did is looked at where it is fitted to: a hand may have moved a robot that was off.
    """
    from simreal.check_log.clock_checks import late_commands, slow
    from simreal.check_log.joint_checks import joint_order, position_range
    from simreal.check_log.subject import Subject

    log = subject.log
    acted = [
        Subject(
            log.between(part.time[0], np.nextafter(part.time[-1], np.inf)), subject.robot, subject.model
        )
        for part in parts
    ]
    longest = max(acted, key=lambda each: each.log.duration)
    found = (
        slow(subject),
        late_commands(subject),
        *map(position_range, acted),
        joint_order(longest),  # all of a log was written by one hand
    )
    for finding in found:
        if finding is not None and finding.verdict == "fail":
            raise UserError(f"{log.source}: {finding.text}: see simreal check-log")
