"""Excitation files: commands to play to a robot, so that a log of it tells its parameters.

`simreal design` writes them. What plays them needs this module alone: NumPy and pydantic.

    format: simreal-excitation
    version: 1
    robot: qube
    actuators: [motor]
    units: [V]
    rate: 100.0
    targets:
    - [0.0]
    - [0.12]
    provenance: simreal design
"""

import sys
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from simreal.config import Config, parse, read_document
from simreal.contract import RobotDescription
from simreal.errors import UserError
from simreal.files import write_text

FORMAT: Final = "simreal-excitation"
VERSION: Final = 1


class Excitation(Config):
    """Commands at a fixed rate; each holds until the next, the last to the end."""

    format: Literal["simreal-excitation"] = FORMAT
    version: Literal[1] = VERSION
    robot: str
    actuators: tuple[str, ...] = Field(min_length=1)
    units: tuple[str, ...]
    """Of each actuator's commands."""
    rate: float = Field(gt=0.0, le=10_000.0)
    """Hz."""
    targets: tuple[tuple[float, ...], ...] = Field(min_length=2)
    """One row for each tick, one number for each actuator."""
    provenance: str = ""
    """How it was made, for people."""

    @field_validator("targets")
    @classmethod
    def _rows_fit(cls, rows: tuple[tuple[float, ...], ...], info: ValidationInfo) -> Any:
        width = len(info.data.get("actuators", rows[0]))
        for number, row in enumerate(rows):
            if len(row) != width:
                raise ValueError(f"row {number} has {len(row)} numbers for {width} actuators")
            if not np.isfinite(row).all():
                raise ValueError(f"row {number} holds a number that is none")
        return rows

    @property
    def duration(self) -> float:
        """Of the whole, s."""
        return len(self.targets) / self.rate

    @property
    def commands(self) -> NDArray[np.float64]:
        """(ticks, actuators) in the order of the file."""
        return np.array(self.targets)

    def target(self, time: float) -> NDArray[np.float64]:
        """(actuators,) command at a time in s since the beginning; the last one afterwards."""
        tick = min(max(int(time * self.rate + 1e-9), 0), len(self.targets) - 1)
        return np.array(self.targets[tick])

    def refuse_unfit(self, robot: RobotDescription) -> None:
        """Hold it against a robot before anything moves.

        Raises:
            UserError: another robot, other actuators or units, or a command beyond a limit.
        """
        if self.robot != robot.name:
            raise UserError(f"an excitation for robot {self.robot}, not for {robot.name}")
        if self.actuators != robot.actuator_names:
            raise UserError(
                f"the excitation moves {', '.join(self.actuators)}, the robot has "
                f"{', '.join(robot.actuator_names)}"
            )
        for column, actuator in enumerate(robot.actuators):
            if self.units[column] != actuator.unit:
                raise UserError(
                    f"actuator {actuator.name}: {self.units[column]} in the file, {actuator.unit} here"
                )
            values = self.commands[:, column]
            low, high = float(values.min()), float(values.max())
            if low < actuator.lower or high > actuator.upper:
                raise UserError(
                    f"actuator {actuator.name}: the excitation asks for {low:.4g} to {high:.4g} "
                    f"{actuator.unit}, beyond {actuator.lower:g} to {actuator.upper:g}"
                )


def read_excitation(path: Path) -> Excitation:
    """Read an excitation file.

    Raises:
        UserError: no such file, or one with faults, each with its line.
    """
    document = read_document(path)
    if document.data.get("format") != FORMAT:
        raise UserError(f"{document.source}: not an excitation: 'format: {FORMAT}' is missing")
    return parse(Excitation, document.data, document)


def write_excitation(path: Path, excitation: Excitation) -> None:
    """Write an excitation file, whole or not at all, one line per tick."""
    data = excitation.model_dump(mode="json")
    write_text(path, yaml.safe_dump(data, default_flow_style=None, sort_keys=False, width=sys.maxsize))
