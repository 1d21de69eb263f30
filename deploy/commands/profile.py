"""Commands by a file: what is asked when, in s since the run began."""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from simreal.config import Config, parse, read_document
from simreal.contract import Contract
from simreal.deploy.command_source import Wish
from simreal.errors import UserError, nearest
from simreal.state import FloatArray


class Point(Config):
    """What is asked from a moment on; what is not named stays as it was."""

    time: float = Field(ge=0)
    """s."""
    command: dict[str, float]


class Profile(Config):
    """The file."""

    between: Literal["hold", "linear"] = "hold"
    """Whether what is asked stays until the next point, or goes evenly towards it."""
    points: tuple[Point, ...] = Field(min_length=1)
    """In order of their times."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        times = [point.time for point in self.points]
        if sorted(set(times)) != times:
            raise ValueError("points: times must rise from one to the next")
        return self


class ProfileSource:
    """Asks what a profile says; nobody is at the controls. See `CommandSource`."""

    def __init__(self, profile: Profile, contract: Contract, source: str) -> None:
        """Hold the profile against what the policy was trained for.

        Raises:
            UserError: a command that the policy does not know, or one beyond its range.
        """
        self.person = False
        self.emergency: str | None = None
        self._times = np.array([point.time for point in profile.points])
        self._values = _table(profile, contract, source)
        self._linear = profile.between == "linear"
        self._began: float | None = None

    def asked(self, now: float) -> FloatArray:
        """See `CommandSource`; the first call is time zero."""
        self._began = now if self._began is None else self._began
        time = now - self._began
        if self._linear:
            columns = [np.interp(time, self._times, column) for column in self._values.T]
            return np.array(columns, dtype=np.float64)
        row: FloatArray = self._values[max(0, int(np.searchsorted(self._times, time, "right")) - 1)]
        return row

    def wish(self) -> Wish | None:
        """Never any."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""


def _table(profile: Profile, contract: Contract, source: str) -> FloatArray:
    """(points, commands) values."""
    commands = {command.name: command for command in contract.commands}
    current = {name: min(max(0.0, each.low), each.high) for name, each in commands.items()}
    rows = []
    for point in profile.points:
        for name, value in point.command.items():
            if name not in commands:
                hint = nearest(name, commands)
                raise UserError(f"{source}: at {point.time:g} s: no command {name!r}: {hint}")
            low, high = commands[name].low, commands[name].high
            if not low <= value <= high:
                raise UserError(
                    f"{source}: at {point.time:g} s: {name} is {value:g}, the policy was trained for "
                    f"{low:g} to {high:g} {commands[name].unit}"
                )
            current[name] = value
        rows.append(list(current.values()))
    return np.array(rows)


def open_profile(contract: Contract, path: Path) -> ProfileSource:
    """Read a profile file.

    Raises:
        UserError: no such file, or a fault in it, with file and line.
    """
    document = read_document(path)
    return ProfileSource(parse(Profile, document.data, document), contract, str(path))
