"""What is linted, as far as it can be read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from simreal.config import Document, Location, faults
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, SuiteExperiment
from simreal.lint.finding import Finding, refused
from simreal.lint.model_file import ModelFile
from simreal.physics.model import Scene
from simreal.randomization.specification import ParameterConfig
from simreal.robots import Robot

OPEN_SECTIONS = ("randomization", "rewards", "initial_states", "pins")
"""Whose entries stand for themselves: one that cannot be read leaves the others."""

_PLACED = re.compile(r"(?P<where>[^:]+\.yaml:\d+): (?P<what>.+)")


@dataclass(frozen=True, slots=True)
class Subject:
    """An experiment with its robot.

    Attributes:
        document: which says where what stands.
        experiment: without its unreadable parts.
        robot: of the experiment.
        model: the robot's model.
    """

    document: Document
    experiment: ExperimentConfig
    robot: Robot
    model: ModelFile

    def entry(self, name: str, *part: str) -> str:
        """``file:line`` of an entry of the randomization, or of a part of it."""
        return self.document.where(("randomization", name, *part))

    @property
    def scene(self) -> Scene | None:
        """What stands around the robot."""
        return self.experiment.scene

    @property
    def entries(self) -> dict[str, ParameterConfig]:
        """The randomization."""
        return self.experiment.randomization


def read_experiment_parts(
    document: Document, data: Mapping[str, Any]
) -> tuple[ExperimentConfig | None, list[Finding]]:
    """Read an experiment without what cannot be read.

    Args:
        document: which says where what stands.
        data: its content, overrides applied.

    Returns:
        The rest, or None where too little is left; and what is wrong with the whole.
    """
    found: list[Finding] = []
    left = dict(data)
    while True:
        try:
            return ExperimentConfig.model_validate(left), found
        except UserError:
            return None, found  # of the robot, which whoever reads it tells
        except ValidationError as error:
            found += [_unreadable(where, what) for where, what in faults(error, left, document)]
            smaller = left
            for details in error.errors():
                smaller = _without(smaller, details["loc"])
            if smaller == left:
                return None, found
            left = smaller


def read_suite_experiment(document: Document, data: Mapping[str, Any]) -> list[Finding]:
    """What cannot be read in an experiment of dm_control; the rest tells who makes its environment."""
    try:
        SuiteExperiment.model_validate(data)
    except ValidationError as error:
        return [_unreadable(where, what) for where, what in faults(error, data, document)]
    return []


def _without(data: dict[str, Any], place: Location) -> dict[str, Any]:
    """The data less one of its open-ended entries, or less a section that has a default."""
    if not place or str(place[0]) not in data:
        return data
    section, key = data[str(place[0])], str(place[0])
    if key in OPEN_SECTIONS and len(place) > 1 and isinstance(section, dict):
        return data | {key: {name: entry for name, entry in section.items() if name != place[1]}}
    fields = ExperimentConfig.model_fields
    if key in fields and fields[key].is_required():
        return data
    return {name: entry for name, entry in data.items() if name != key}


def _unreadable(where: str, what: str) -> Finding:
    missing = what.endswith("Field required")
    keys = "docs/concepts.md and docs/randomization.md have the keys"
    return refused("unreadable", where, what, keys if missing else "")


def unreadable_robot(document: Document, message: str, found: list[Finding]) -> list[Finding]:
    """A robot that cannot be read, with what else is wrong with the experiment.

    Args:
        document: which names it.
        message: of the error; each of its lines that begins with ``file:line`` is a finding there.
        found: in the experiment; what it says of the robot and of its task only follows.
    """
    placed = [_PLACED.fullmatch(line) for line in message.splitlines()]
    where = document.where(("robot",))
    about = [refused("name", where, message, "simreal list names them")]
    if all(placed):
        about = [_unreadable(line["where"], line["what"]) for line in placed if line]
    follows = {where, document.where(("task",))}
    return about + [each for each in found if each.where not in follows]
