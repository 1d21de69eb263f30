"""Faults of a `robot.yaml` that only its own numbers tell."""

import math
from collections.abc import Iterator

from simreal.config import Document, read_document
from simreal.lint.finding import Finding
from simreal.robots import Robot
from simreal.robots.loader import DESCRIPTION

COARSEST = 0.1
"""rad or m per count; beyond it, counts per turn are more likely than such an encoder."""


def check_robot_file(robot: Robot) -> Iterator[Finding]:
    """All of them, each on its line of `robot.yaml`."""
    path = robot.model_path.parent / DESCRIPTION
    document = read_document(path) if path.is_file() else Document("{}", str(path))
    yield from _encoders(robot, document)


def _encoders(robot: Robot, document: Document) -> Iterator[Finding]:
    counts = robot.config.sensing.encoder_resolution
    if counts > COARSEST:
        what = (
            f"sensing.encoder_resolution {counts:g}: rad or m per count, not counts per turn; "
            "all that is measured would be rounded to that"
        )
        mend = f"{2 * math.pi / counts:.3g} for {counts:g} counts a turn"
        where = document.where(("sensing", "encoder_resolution"))
        yield Finding("error", "unit", where, what, mend)
