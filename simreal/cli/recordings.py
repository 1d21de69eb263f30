"""Logs that a command fits to: read, and refused where a fit could only mislead."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simreal.cli_types import console
from simreal.errors import UserError

if TYPE_CHECKING:
    from simreal.check_log.subject import Subject
    from simreal.identification.recording import Recording
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

    logs = [each for path in paths for each in read_logs(path, mapping)]
    if not logs:
        raise UserError(f"{paths[0]}: no log in it")
    sources = sources_of(paths)
    refuse_twice(paths, sources, "a fit would be judged by what it was fitted to")
    recordings, left_out = acting_recordings(logs, robot.description, channel)
    model = compile_model(robot)
    for log in logs:
        _refuse_misread(Subject(log, robot, model))
    for line in left_out:
        console.print(line, soft_wrap=True)
    return recordings, sources


def _refuse_misread(subject: "Subject") -> None:
    """As `simreal check-log` does: times in ms, two clocks, degrees, swapped joints, other signs."""
    from simreal.check_log.clock_checks import late_commands, slow
    from simreal.check_log.joint_checks import joint_order, position_range

    for check in (slow, late_commands, position_range, joint_order):
        finding = check(subject)
        if finding is not None and finding.verdict == "fail":
            raise UserError(f"{subject.log.source}: {finding.text}: see simreal check-log")
