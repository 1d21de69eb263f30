"""Checks of anybody's model, one idea a file, beside those of `simreal.lint.model_checks`."""

from collections.abc import Iterator

from simreal.lint.finding import Finding
from simreal.lint.timestep_checks import check_timestep
from simreal.robot_add.checks.drive_checks import check_drives
from simreal.robot_add.checks.limit_checks import check_limits
from simreal.robot_add.checks.mass_checks import check_masses
from simreal.robot_add.checks.name_checks import check_names
from simreal.robot_add.checks.posture_checks import check_posture
from simreal.robot_add.checks.size_checks import check_size
from simreal.robot_add.subject import Subject


def _check_steps(subject: Subject) -> Iterator[Finding]:
    """Of `simreal.lint`, in the posture that was found for it."""
    if not subject.misread:
        yield from check_timestep(subject.file, subject.model, subject.qpos)


CHECKS = (
    check_names,
    check_limits,
    check_drives,
    check_masses,
    check_size,
    check_posture,
    _check_steps,
)

__all__ = ["check_subject"]


def check_subject(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    for check in CHECKS:
        yield from check(subject)
